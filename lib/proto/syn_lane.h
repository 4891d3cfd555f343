/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The straight lane: SYNs that are answered by cookie, one after the other, with nothing
 * looked at that the burst has in common. A flood is made of them.
 *
 * What takes it is said in two places: of a service by syn_lane_of(), of a SYN by
 * syn_lane_takes() in syn_lane.c. All else goes by the decision table, and so could these:
 * listen_syn() and handoff_syn() come to the same bytes, counts and state, which
 * tests/fuzz/fuzz_syn_lane.c holds against each other. Whatever might make a difference is
 * theirs. Inside lib/proto only.
 */
#ifndef SYNFRONT_SYN_LANE_H
#define SYNFRONT_SYN_LANE_H

#include "actions.h"
#include "core_state.h"

/* When SYNs of a service may take it: for struct service_state and segment_found. */
enum syn_lane_when {
	SYN_LANE_ALWAYS,
	SYN_LANE_IN_COOKIE_MODE,
	SYN_LANE_NEVER = UINT8_MAX
};

static inline uint8_t
syn_lane_of(const struct service_state *state)
{
	bool always = state->cookies == COOKIES_ALWAYS;

	if (state->is_listed)
		return SYN_LANE_NEVER;
	switch ((enum service_mode)state->mode) {
	case MODE_PROXY:
	case MODE_RESPOND:
		return always ? SYN_LANE_ALWAYS : SYN_LANE_IN_COOKIE_MODE;
	case MODE_HANDOFF:
		/* Where SYNs pass in calm, they are counted at any time. */
		if (state->is_stateless && (always || state->service->calm != CALM_TRANSPARENT))
			return SYN_LANE_ALWAYS;
		return SYN_LANE_NEVER;
	default:
		return SYN_LANE_NEVER;
	}
}

/* The same at this moment: cookie mode, once on, lasts longer than a burst. */
static inline uint8_t
syn_lane_now(const struct service_state *state)
{
	if (state->lane == SYN_LANE_IN_COOKIE_MODE && !state->cookie_mode)
		return SYN_LANE_NEVER;
	return state->lane;
}

/* Answer the segments of a burst from number `first` on, as far as the lane takes them one
 * after the other. Returns how many it has taken. */
unsigned int syn_lane_run(struct core *core, struct segment *seg, unsigned int first,
                          unsigned int n, const struct instant *now, struct actions *out);

#endif
