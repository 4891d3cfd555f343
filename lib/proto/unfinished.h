/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows whose entry has expired while their handshake was under way, remembered for one to two
 * minutes. A client believes in its connection as soon as it has the SYN-ACK, and all that it has
 * sent since may have been lost or be late; a RST to the next that comes would end what its resend
 * opens. So it is told from what belongs to nothing:
 *
 *   answered here   the cookie is good for longer than the entry: what proves nothing is dropped
 *   passed          its server still has it (Linux: for 63 s): it crosses as a candidate for adoption
 *
 * A Bloom filter, so that a flood that lets entries expire costs no memory; it takes strangers for
 * known then, which are treated as in cookie mode, or come under the caps of adoption.
 * Inside lib/proto only.
 */
#ifndef SYNFRONT_UNFINISHED_H
#define SYNFRONT_UNFINISHED_H

#include "core_state.h"

#define UNFINISHED_PERIOD_MS 60000u
#define UNFINISHED_BITS \
	64u /* for each half-open entry: with as many lost in a second 8 % pass for seen */

_Static_assert(UNFINISHED_PERIOD_MS >= COOKIE_LIFE_MAX_S * 1000u, "longer than a cookie lives");

static inline void
unfinished_note(struct core *core, const struct flow *flow, uint32_t path, bool passed,
                const struct instant *now)
{
	uint64_t hash = flow_hash(&core->hash_key, flow, core->paths.paths[path].tags);

	recent_add(&core->unfinished, passed ? ~hash : hash, (uint32_t)now->now_ms);
	core->unfinished_until_ms = now->now_ms + 2ull * UNFINISHED_PERIOD_MS;
}

/* Has the engine answered the SYN of this segment's flow? */
static inline bool
unfinished_answered(const struct core *core, const struct segment *seg, const struct instant *now)
{
	return now->now_ms < core->unfinished_until_ms &&
	       recent_has(&core->unfinished, seg->found.hash);
}

/* Or has it passed? */
static inline bool
unfinished_passed(const struct core *core, const struct segment *seg, const struct instant *now)
{
	return now->now_ms < core->unfinished_until_ms &&
	       recent_has(&core->unfinished, ~seg->found.hash);
}

#endif
