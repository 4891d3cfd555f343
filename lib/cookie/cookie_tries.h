/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACKs whose cookies are looked at, many under one key: two tries for each, since the client's ISS
 * is SEG.SEQ - 1, or SEG.SEQ of a keep-alive or window probe (RFC 9293, 3.8.4).
 *
 * Both tries differ in the word of the ISS alone, so of IPv6 two of three blocks are encrypted once
 * for both. Nor is a cookie made to be compared: its six low bits say which profile and parity it
 * claims, and are a fold of the others XORed with these. Computed with what it claims, it is the
 * same if and only if the 26 bits of the MAC are.
 */
#ifndef SYNFRONT_COOKIE_TRIES_H
#define SYNFRONT_COOKIE_TRIES_H

#include <stddef.h>

#include "cookie_lane.h"

/* Of segment i of the lane: blocks and words 2i and 2i + 1 are of its tries, and block i of `both`,
 * of IPv6, is of both. */
struct cookie_tries {
	struct cookie_row last;         /* IPv4: the only block; IPv6: the third. Takes the MACs */
	struct cookie_row both[2];      /* IPv6: client and server */
	uint32_t iss[COOKIE_ROW];       /* what the client brings as a cookie */
	uint8_t number[COOKIE_ROW / 2]; /* whose they are: the caller's */
	const struct epoch_keys *keys;
	bool is_v4;
	unsigned int n; /* segments */
};

/* Begin a lane for ACKs of one family and epoch parity. */
static inline void
cookie_tries_start(struct cookie_tries *tries, const struct epoch_keys *keys, bool is_v4)
{
	tries->keys = keys;
	tries->is_v4 = is_v4;
	tries->n = 0;
}

/* Both tries of a segment: at most COOKIE_ROW / 2 segments. `iss` is the cookie that it brings, with
 * this profile, and of the lane's parity. `is_v4` is the lane's, for the caller who knows it. */
static inline __attribute__((always_inline)) void
cookie_tries_add(struct cookie_tries *tries, bool is_v4, const struct flow *flow, uint32_t seq,
                 uint32_t iss, unsigned int profile, unsigned int number)
{
	unsigned int at = tries->n;
	__m128i mask = _mm_load_si128((const __m128i *)tries->keys->profile_mask[profile]);
	__m128i *last = (__m128i *)tries->last.blocks[2 * at];
	__m128i block;

	tries->n = at + 1;
	tries->number[at] = (uint8_t)number;
	tries->iss[2 * at] = tries->iss[2 * at + 1] = iss;
	/* As cookie_lane_put_v4() and cookie_lane_put_v6() lay them out. */
	if (is_v4) {
		__m128i client = _mm_cvtsi32_si128((int)flow->client.words_be[3]);
		__m128i server = _mm_loadl_epi64((const __m128i *)&flow->server.bytes[12]);
		block = _mm_unpacklo_epi64(client, server);
	} else {
		memcpy(tries->both[0].blocks[at], &flow->client, sizeof(flow->client));
		memcpy(tries->both[1].blocks[at], &flow->server, sizeof(flow->server));
		block = _mm_loadu_si32(&flow->client_port_be);
	}
	_mm_store_si128(last, _mm_xor_si128(_mm_insert_epi32(block, (int)(seq - 1), 1), mask));
	_mm_store_si128(last + 1, _mm_xor_si128(_mm_insert_epi32(block, (int)seq, 1), mask));
}

/* Compute them all. */
void cookie_tries_run(struct cookie_tries *tries);
/* The same with a variant of the caller's choice; tries->n is not 0. */
void cookie_tries_run_by(struct cookie_tries *tries, cookie_encrypt_fn *encrypt);

/* Which tries of two segments, from this one on, are the cookie, of all that has been computed: a
 * bit each. */
static inline unsigned int
cookie_tries_hits(const struct cookie_tries *tries, unsigned int at)
{
	const __m128i *blocks = (const __m128i *)tries->last.blocks[2 * at];
	__m128i word = _mm_unpacklo_epi64(_mm_unpacklo_epi32(blocks[0], blocks[1]),
	                                  _mm_unpacklo_epi32(blocks[2], blocks[3]));
	__m128i iss = _mm_load_si128((const __m128i *)(const void *)&tries->iss[2 * at]);
	__m128i differ = _mm_srli_epi32(_mm_xor_si128(word, iss), 6);

	return (unsigned int)_mm_movemask_ps(
		_mm_castsi128_ps(_mm_cmpeq_epi32(differ, _mm_setzero_si128())));
}
_Static_assert(offsetof(struct cookie_tries, iss) % 16 == 0, "ISSs are read as vectors");

#endif
