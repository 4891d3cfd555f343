/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Floods: when the services enter and leave cookie mode, and how many SYNs come.
 *
 * A flood that comes in bursts takes a service out of cookie mode after each second of rest, and
 * back into it. Clients do not notice; who is called for each beginning and each end would. So
 * a flood is over for the events when the service has been out of cookie mode for FLOOD_CALM_MS,
 * and then ended when it left. Bursts that are closer than that are one flood. Its beginning is
 * told when the rate of SYNs has been counted over a time in which it had begun, RATE_MS later at
 * most.
 */
#ifndef SYNFRONT_FLOOD_H
#define SYNFRONT_FLOOD_H

#include "events.h"
#include "plane_state.h"

#define FLOOD_CALM_MS 10000u

struct flood {
	uint64_t looked_ms; /* when the rates were last worked out */
	struct flood_service {
		uint64_t syns;           /* then */
		uint64_t syns_begin;     /* when its flood began */
		uint32_t rate, rate_max; /* SYNs per second; the most in this flood */
		uint64_t begun_ms;       /* when it was first seen in cookie mode, in this flood */
		uint64_t seen_ms;        /* ... and last */
		uint64_t syns_seen;      /* then */
		bool is_seen;            /* at the last look */
		bool is_owed;            /* it has begun, and that is not told */
		unsigned int n_prefixes; /* whom it came from, when cookie mode was last left */
		struct event_prefix prefixes[EVENT_PREFIXES_MAX];
	} services[SERVICES_MAX]; /* by id */
};

/* The workers begin, and their counts of SYNs at zero. */
void flood_begin(struct flood *flood, uint64_t now_ms);
/* Look at all services of the policy in force; a few times a second. */
void flood_look(struct flood *flood, const struct plane *plane, const struct policy *policy,
                struct events *events, uint64_t now_ms);
/* A reload puts `fresh` in the place of `old`: the floods of services that go are over. */
void flood_forget(const struct policy *old, const struct policy *fresh, struct events *events);

/*
 * Whom the flood on a service comes from, the heaviest first: where its events have their
 * `prefixes` from, and the one place to change for them. How many, EVENT_PREFIXES_MAX at most; 0:
 * that is not known, and the events have no such member.
 */
unsigned int flood_prefixes(const struct plane *plane, const struct service *service,
                            struct event_prefix *prefixes);

#endif
