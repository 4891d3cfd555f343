/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom a service admits: first by the live lists, of whose prefixes the longest decides (in both
 * lists: it is allowed); then by the lists of the configuration. Inside lib/proto only.
 */
#ifndef SYNFRONT_ADMIT_H
#define SYNFRONT_ADMIT_H

#include "core_state.h"

/* What the live lists say of it: LIVE_DENY or LIVE_ALLOW, 0 if nothing. */
uint32_t live_verdict(const struct core *core, const struct service *service,
                      const struct ip_addr *client);

bool admits(const struct core *core, const struct service *service, const struct ip_addr *client);
/* May the answer be no? */
bool admit_is_asked(const struct core *core, const struct service *service);

#endif
