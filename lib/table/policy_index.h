/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The look-up index of a policy, for policy.c and policy_compile.c alone.
 *
 * Each distinct destination prefix has a run of port ranges, sorted and
 * disjoint, each with its service. A prefix that belongs to one service points
 * at that service's run, made once; one that is shared by several has a run of
 * its own. A run of one range, the usual case, lies in the prefix's slot.
 *
 * Two services may share an address, but not a port of it. So at most one
 * prefix on the way from the most specific to the least has a run with the
 * port, and the order of the walk has no bearing on the result.
 */
#ifndef SYNFRONT_POLICY_INDEX_H
#define SYNFRONT_POLICY_INDEX_H

#include "policy.h"
#include "prefix_set.h"

struct port_slot {
	uint16_t first, last;
	uint16_t service; /* index in policy->services */
	uint16_t id;      /* its id */
};

/* The value of a prefix. */
struct port_run {
	union {
		struct port_range only; /* n_less_1 == 0 */
		uint32_t start;         /* index of the first of many in ports[] */
	};
	uint16_t service; /* of `only`, or SERVICE_NONE: no ports at all */
	uint16_t id;
	uint32_t n_less_1; /* 1..65536 ranges */
};
_Static_assert(sizeof(struct port_run) == sizeof(((struct prefix_slot *)0)->value) &&
                       offsetof(struct port_run, service) == 4 &&
                       offsetof(struct port_run, id) == 6,
               "a run is a prefix's value, in words");

struct admission_lists {
	struct prefix_set allow, deny;
};

struct policy_index {
	struct flow_hash_key key;
	struct prefix_set addresses;
	struct port_slot *ports;
	uint32_t n_ports, room_ports;
	uint32_t n_lists; /* of the services whose lists are made */
	struct admission_lists *lists;
};

static inline struct port_run
run_of(const struct prefix_slot *slot)
{
	const uint32_t *value = slot->value;

	/* From words: as bytes, it would go by way of the stack. */
	return (struct port_run){
		.start = value[0],
		.service = (uint16_t)value[1],
		.id = (uint16_t)(value[1] >> 16),
		.n_less_1 = value[2],
	};
}

#endif
