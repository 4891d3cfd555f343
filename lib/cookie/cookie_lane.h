/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies on the way: the blocks of many under one key, laid out for the cipher as they
 * are added, encrypted at once, and read out again.
 *
 * The variants encrypt a row of blocks and know nothing of flows; all give the same
 * bits because each is AES-128.
 */
#ifndef SYNFRONT_COOKIE_LANE_H
#define SYNFRONT_COOKIE_LANE_H

#include <smmintrin.h>

#include "cookie.h"

/* One row: two tries for each segment of a burst (cookie_tries.h). */
#define COOKIE_ROW 128u

struct cookie_row {
	uint8_t blocks[COOKIE_ROW][16];
} __attribute__((aligned(64)));

/* Encrypt the first n (0..COOKIE_ROW) blocks in place. */
typedef void cookie_encrypt_fn(const struct aes_key *key, struct cookie_row *row, unsigned int n);

cookie_encrypt_fn cookie_encrypt_aesni;   /* needs AES-NI */
cookie_encrypt_fn cookie_encrypt_vaes256; /* needs AVX2, VAES */
cookie_encrypt_fn cookie_encrypt_vaes512; /* needs AVX-512F, VAES */

/* Of three rows the CBC-MAC by the plain variant, into the first. */
void cookie_chain_aesni(const struct aes_key *key, struct cookie_row rows[3], unsigned int n);
/* The same of n segments with two tries each, into `last`: see cookie_tries.h. */
void cookie_chain_tries_aesni(const struct aes_key *key, const struct cookie_row both[2],
                              struct cookie_row *last, unsigned int n);

struct cookie_lane {
	struct cookie_row row[3];   /* IPv4: one block each; IPv6: three. [0] takes the MACs */
	uint8_t number[COOKIE_ROW]; /* whose they are: the caller's */
	uint8_t profile[COOKIE_ROW];
	const struct epoch_keys *keys;
	uint32_t parity;
	bool is_v4;
	unsigned int n;
};

/* Begin a lane for cookies of one family and epoch parity. */
static inline void
cookie_lane_start(struct cookie_lane *lane, const struct secret_set *set, uint32_t parity,
                  bool is_v4)
{
	lane->keys = &set->parity[parity];
	lane->parity = parity;
	lane->is_v4 = is_v4;
	lane->n = 0;
}

/* The mask of a profile: as long as the lane's keys are the same. */
static inline const __m128i *
cookie_lane_mask(const struct cookie_lane *lane, unsigned int profile)
{
	return (const __m128i *)lane->keys->profile_mask[profile & 31];
}

/* A place for one more: the caller's number, and the profile. */
static inline unsigned int
cookie_lane_take(struct cookie_lane *lane, unsigned int profile, unsigned int number)
{
	unsigned int at = lane->n++;

	lane->number[at] = (uint8_t)number;
	lane->profile[at] = (uint8_t)profile;
	return at;
}

/* cookie_lane_add() of IPv4 for who has the profile's mask, and the flow as flow_ends_v4(). */
static inline __attribute__((always_inline)) void
cookie_lane_put_v4(struct cookie_lane *lane, __m128i ends, uint32_t irs, __m128i mask,
                   unsigned int profile, unsigned int number)
{
	unsigned int at = cookie_lane_take(lane, profile, number);
	__m128i block = _mm_shuffle_epi32(_mm_insert_epi32(ends, (int)irs, 3),
	                                  _MM_SHUFFLE(1, 0, 3, 2));

	_mm_store_si128((__m128i *)lane->row[0].blocks[at], _mm_xor_si128(block, mask));
}

/* The same of IPv6. */
static inline __attribute__((always_inline)) void
cookie_lane_put_v6(struct cookie_lane *lane, const struct flow *flow, uint32_t irs, __m128i mask,
                   unsigned int profile, unsigned int number)
{
	unsigned int at = cookie_lane_take(lane, profile, number);
	__m128i client = _mm_loadu_si128((const __m128i *)flow->client.bytes);
	__m128i server = _mm_loadu_si128((const __m128i *)flow->server.bytes);
	__m128i ports = _mm_srli_si128(_mm_loadl_epi64((const __m128i *)&flow->server.bytes[12]),
	                               4);
	__m128i last = _mm_insert_epi32(ports, (int)irs, 1);

	_mm_store_si128((__m128i *)lane->row[0].blocks[at], client);
	_mm_store_si128((__m128i *)lane->row[1].blocks[at], server);
	_mm_store_si128((__m128i *)lane->row[2].blocks[at], _mm_xor_si128(last, mask));
}

/* Add one cookie: at most COOKIE_ROW. Blocks are laid out as cookie.h says. `is_v4` is the
 * lane's, for the caller who knows it. */
static inline void
cookie_lane_add(struct cookie_lane *lane, bool is_v4, const struct flow *flow, uint32_t irs,
                unsigned int profile, unsigned int number)
{
	__m128i mask = _mm_load_si128(cookie_lane_mask(lane, profile));

	if (is_v4)
		cookie_lane_put_v4(lane, flow_ends_v4(flow), irs, mask, profile, number);
	else
		cookie_lane_put_v6(lane, flow, irs, mask, profile, number);
}

/* Compute them all. */
void cookie_lane_run(struct cookie_lane *lane);
/* The same with a variant of the caller's choice; lane->n is not 0. */
void cookie_lane_run_by(struct cookie_lane *lane, cookie_encrypt_fn *encrypt);

/* What the six low bits are XORed with: a fold of the whole MAC. */
static inline uint32_t
cookie_fold(uint32_t mac)
{
	uint32_t folded = mac ^ mac >> 13;

	return (folded ^ folded >> 6) & 63u;
}

/* Parity << 5 | profile of a cookie. */
static inline uint32_t
cookie_low(uint32_t iss)
{
	return (iss ^ cookie_fold(iss >> 6)) & 63u;
}

/* Cookie `at` of a lane that has run; `profile` as it was added. */
static inline uint32_t
cookie_lane_get(const struct cookie_lane *lane, unsigned int at, uint32_t profile)
{
	uint32_t word;

	memcpy(&word, lane->row[0].blocks[at], sizeof(word));
	return (word & ~63u) | (lane->parity << 5 ^ profile ^ cookie_fold(word >> 6));
}

/* The same for four, from `at` on, of the profiles that they were added with. */
static inline __m128i
cookie_lane_get_four(const struct cookie_lane *lane, unsigned int at)
{
	const __m128i *blocks = (const __m128i *)lane->row[0].blocks[at];
	__m128i low = _mm_set1_epi32(63);
	__m128i word = _mm_unpacklo_epi64(_mm_unpacklo_epi32(blocks[0], blocks[1]),
	                                  _mm_unpacklo_epi32(blocks[2], blocks[3]));
	__m128i profile = _mm_cvtepu8_epi32(_mm_loadu_si32(&lane->profile[at]));
	__m128i mac = _mm_srli_epi32(word, 6);
	__m128i folded = _mm_xor_si128(mac, _mm_srli_epi32(mac, 13));

	folded = _mm_xor_si128(folded, _mm_srli_epi32(folded, 6));
	folded = _mm_and_si128(_mm_xor_si128(folded, profile), low);
	return _mm_xor_si128(_mm_or_si128(_mm_andnot_si128(low, word), folded),
	                     _mm_set1_epi32((int)(lane->parity << 5)));
}

#endif
