/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cookies of a burst, as core_locate() gathers and computes them: those that SYNs are answered
 * with, and those that ACKs may prove. A part of locate.c.
 */
#ifndef SYNFRONT_LOCATE_COOKIES_H
#define SYNFRONT_LOCATE_COOKIES_H

#include "core_state.h"

static void
lanes_start(struct core *core, const struct secret_set *secrets)
{
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		cookie_lane_start(&core->syn_lanes[is_v4], secrets, secrets->epoch & 1, is_v4);
		for (uint32_t parity = 0; parity < 2; parity++)
			cookie_tries_start(&core->tries[is_v4][parity], &secrets->parity[parity],
			                   is_v4);
	}
}

/* Compute the cookies of these SYNs. */
static void
syn_finish(struct segment *seg, struct cookie_lane *lane)
{
	unsigned int i = 0;

	cookie_lane_run(lane);
	for (; i + 4 <= lane->n; i += 4) {
		__m128i cookies = cookie_lane_get_four(lane, i);

		seg[lane->number[i]].found.cookie = (uint32_t)_mm_cvtsi128_si32(cookies);
		seg[lane->number[i + 1]].found.cookie = (uint32_t)_mm_extract_epi32(cookies, 1);
		seg[lane->number[i + 2]].found.cookie = (uint32_t)_mm_extract_epi32(cookies, 2);
		seg[lane->number[i + 3]].found.cookie = (uint32_t)_mm_extract_epi32(cookies, 3);
	}
	for (; i < lane->n; i++)
		seg[lane->number[i]].found.cookie = cookie_lane_get(lane, i, lane->profile[i]);
}

/* Of two segments, from number `at` of the lane on, the tries that are the cookie which they bring. */
static inline void
ack_settle(struct segment *seg, const struct cookie_tries *tries, unsigned int at,
           unsigned int hits)
{
	for (; __builtin_expect(hits != 0, 0); hits &= hits - 1) {
		unsigned int hit = (unsigned int)__builtin_ctz(hits);
		struct segment *s = &seg[tries->number[at + hit / 2]];

		*(hit & 1 ? &s->found.probe : &s->found.proof) = PROOF_EXACT;
	}
}

/* Compute those of these ACKs. */
static void
ack_finish(struct segment *seg, struct cookie_tries *tries)
{
	const unsigned int n = tries->n;
	unsigned int i = 0;

	cookie_tries_run(tries);
	for (; i + 2 <= n; i += 2)
		ack_settle(seg, tries, i, cookie_tries_hits(tries, i));
	/* What is computed beyond the last one is nobody's. */
	if (i < n)
		ack_settle(seg, tries, i, cookie_tries_hits(tries, i) & 3);
}

/* A lane under the keys of one service: if another's are in it, what has been added so far is
 * computed first. */
static inline void
syn_switch(struct segment *seg, struct cookie_lane *lane, const struct secret_set *secrets)
{
	uint32_t parity = secrets->epoch & 1;

	if (__builtin_expect(lane->keys == &secrets->parity[parity], 1))
		return;
	syn_finish(seg, lane);
	cookie_lane_start(lane, secrets, parity, lane->is_v4);
}

/* The same of tries. */
static inline void
ack_switch(struct segment *seg, struct cookie_tries *tries, const struct epoch_keys *keys)
{
	if (__builtin_expect(tries->keys == keys, 1))
		return;
	ack_finish(seg, tries);
	cookie_tries_start(tries, keys, tries->is_v4);
}

_Static_assert(PROOF_NONE == 0 && offsetof(struct segment_found, probe) ==
                                          offsetof(struct segment_found, proof) + 1,
               "what has come of both tries is one word");

/* Both tries at once: of SEG.SEQ - 1, and of SEG.SEQ for what may be a probe. Whether the
 * second one counts is proof_check()'s to say. They prove nothing unless ack_finish() says so. */
static inline __attribute__((always_inline)) void
ack_add(struct core *core, struct segment *seg, unsigned int number, const struct instant *now,
        bool hands_off, bool is_v4)
{
	struct segment *s = &seg[number];
	/* As cookie_low(), whose bits are looked at apart. */
	uint32_t iss = s->ack - 1, low = iss ^ cookie_fold(iss >> 6);
	uint32_t parity = low >> 5 & 1, profile = low & 31;
	struct cookie_tries *tries = &core->tries[is_v4][parity];

	/* All of it lies at fixed places from here, each of which would be computed by itself. */
	__asm__("" : "+r"(tries));
	memset(&s->found.proof, PROOF_NONE, 2);
	s->found.profile = (uint8_t)profile;
	if (hands_off) {
		const struct service_state *state = &core->services[s->found.service];
		ack_switch(seg, tries, &service_secrets(state, now)->parity[parity]);
	}
	cookie_tries_add(tries, is_v4, &s->flow, s->seq, iss, profile, number);
}

/* The same of either family. */
static inline void
ack_add_any(struct core *core, struct segment *seg, unsigned int number, const struct instant *now,
            bool hands_off)
{
	if (seg[number].is_v4)
		ack_add(core, seg, number, now, hands_off, true);
	else
		ack_add(core, seg, number, now, hands_off, false);
}

/* Segments of a burst whose candidates are half-open. */
struct half_open_acks {
	unsigned int n;
	uint8_t numbers[CORE_BURST_MAX];
};
_Static_assert(CORE_BURST_MAX <= UINT8_MAX + 1u, "numbers are bytes");

/* Those that do not acknowledge their entry's SYN-ACK may prove another one's cookie. By now, what
 * was fetched of their entries is there. */
static __attribute__((noinline)) void
locate_half_open_acks(struct core *core, struct segment *seg, const struct half_open_acks *acks,
                      const struct instant *now, bool hands_off)
{
	for (unsigned int i = 0; i < acks->n; i++) {
		const struct segment *s = &seg[acks->numbers[i]];
		uint32_t number = FLOW_NUMBER(s->found.entry);

		if (s->ack != core->half_open.entries[number].iss + 1)
			ack_add_any(core, seg, acks->numbers[i], now, hands_off);
	}
}

#endif
