/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzzer of the straight lane has its cores go by. */
#ifndef SYNFRONT_LANE_POLICY_H
#define SYNFRONT_LANE_POLICY_H

#include "live_set.h"
#include "policy.h"
#include "secret.h"

#define LANE_SERVICES 8u /* of each mode and kind; their addresses end in 1 to 8 */
#define LANE_LISTS 4u
/* Of IPv6 each service has two addresses, which differ in the last bit of this byte, of the net. */
#define LANE_NET_BYTE 7u

/* By whether the port has a cap; by whether services are under observe. */
extern struct policy lane_policies[2][2];
extern struct secret_ring lane_secrets;
/* The first one: NULL, none. */
extern struct live_set *lane_lists[LANE_LISTS];

void lane_policies_make(void);

#endif
