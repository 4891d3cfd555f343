/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which service a destination has, for those that were looked up lately. However random
 * a flood is, it is for the addresses and ports of some servers; and what is asked for
 * again is the same answer for as long as the policy is.
 *
 * Each destination has one place, where the last one of its kind stands. Nothing is keyed:
 * whoever finds destinations that share a place has the policy asked each time, as for
 * any that is asked for once.
 *
 * Owner: one worker. Not for two policies: start anew for another one.
 */
#ifndef SYNFRONT_DESTINATION_H
#define SYNFRONT_DESTINATION_H

#include <smmintrin.h>

#include "policy.h"

#define DESTINATIONS_BITS 9u

struct destination {
	struct ip_addr addr;
	uint16_t port_be;
	uint16_t service; /* as policy_find_id() has it */
	uint32_t backend; /* the caller's: where to look for it first, see backend.h */
	uint32_t unused[2];
} __attribute__((aligned(32)));

_Static_assert(sizeof(struct destination) == 32, "two to a cache line, found by a shift");

struct destinations {
	struct destination places[1u << DESTINATIONS_BITS];
};

/* For this policy. */
void destinations_init(struct destinations *d, const struct policy *policy);

/* Ask the policy, and note its answer at this place. */
uint16_t destination_ask(struct destination *place, const struct policy *policy,
                         const struct flow *flow, bool is_v4);

/* The upper bits of a product depend on all bits of a factor, and neighbours differ. */
static inline struct destination *
destination_place(struct destinations *d, const struct flow *flow)
{
	uint64_t both = flow->server.quads_be[0] ^ flow->server.quads_be[1];
	uint64_t mixed = (both + flow->server_port_be) * 0x9e3779b97f4a7c15u;

	return &d->places[mixed >> (64 - DESTINATIONS_BITS)];
}

/* Is it the flow's server that stands here? */
static inline bool
destination_is(const struct destination *place, const struct flow *flow)
{
	__m128i differ = _mm_xor_si128(_mm_load_si128((const __m128i *)(const void *)place),
	                               _mm_loadu_si128((const __m128i *)flow->server.bytes));

	return _mm_testz_si128(differ, differ) && place->port_be == flow->server_port_be;
}

/* The place of the flow's server, with its service in it. It may have been another's. */
static inline struct destination *
destination_find(struct destinations *d, const struct policy *policy, const struct flow *flow,
                 bool is_v4)
{
	struct destination *place = destination_place(d, flow);

	if (__builtin_expect(!destination_is(place, flow), 0))
		destination_ask(place, policy, flow, is_v4);
	return place;
}

/* policy_find_id() of the flow's server. */
static inline uint16_t
destination_service(struct destinations *d, const struct policy *policy, const struct flow *flow,
                    bool is_v4)
{
	return destination_find(d, policy, flow, is_v4)->service;
}

#endif
