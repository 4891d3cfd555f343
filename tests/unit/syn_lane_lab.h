/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the straight lane of SYNs begin with. */
#ifndef SYNFRONT_SYN_LANE_LAB_H
#define SYNFRONT_SYN_LANE_LAB_H

#include "core_lab.h"

#include "core_state.h"

#define SYN_OF(...) \
	(&(struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_SYN, .seq = 9, ##__VA_ARGS__ })
#define TAKES(...) CHECK(lab_n_taken(lab, SYN_OF(__VA_ARGS__), 1, 0) == 1)

static inline struct service_state *
state_of(struct lab *lab, uint16_t service)
{
	return &lab->core->services[service];
}

/* The service of mode respond, answered by cookie at any time. */
static inline void
start(struct lab *lab)
{
	lab->server_port = LAB_RESPOND;
	lab->services[1].cookies = COOKIES_ALWAYS;
	lab_start(lab);
}

#endif
