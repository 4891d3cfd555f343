/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Known flows: a cache that remembers of which flows something speaks for them, where no
 * connection is kept. It is lossy on purpose: whoever asks must be content with "not known" for
 * any flow at any time. A stranger passes for known with 8 in 2^24 where all is full,
 * and for expected with twice that.
 *
 * A set of eight words, half a cache line, is chosen by the flow's hash; a word is
 *
 *    31               8   7        0
 *   +------------------+------------+    tag: more of the hash, never 0; a word of 0 is free
 *   |       tag        |    time    |    time: when it was last seen, in units of 16 s
 *   +------------------+------------+
 *
 * A flow that finds no free word takes that of the one that was seen longest ago. The time comes
 * round after 68 minutes: one that has been silent for longer may seem younger than it is.
 *
 * What speaks for a flow only to those who have seen it is expected: a word in the flow's own set,
 * whose tag is that of the flow XORed with that of a sequence number. Who does not know the number
 * is as strange as all others. Anybody may cause such words, so they are written as if they were
 * 64 s older than they are: they take what is free or silent, and then the place of each other.
 *
 * Ownership: one cache for all workers, who read and write single words, relaxed. A word says
 * all by itself, so no order matters; of two that are written at the same time one is lost, or
 * a flow has two. The key is the cache's own, since all workers must come to the same hash.
 */
#ifndef SYNFRONT_KNOWN_H
#define SYNFRONT_KNOWN_H

#include <smmintrin.h>
#include <stdbool.h>
#include <stddef.h>

#include "flow_hash.h"

#define KNOWN_WAYS 8u
#define KNOWN_TIME_SHIFT 4u /* 16 s */
#define KNOWN_TIME_MASK 0xffu
#define KNOWN_EXPECTED_S 64u /* how much older than known flows expected ones are */

enum known_as {
	KNOWN_FLOW,
	KNOWN_EXPECTED, /* only for who has this SEG.ACK */
	KNOWN_NOT = -1
};

struct known {
	struct flow_hash_key key;
	uint32_t *words; /* relaxed */
	uint32_t mask;   /* sets - 1 */
};

/* Room for `flows`, rounded up to a power of two, at least 16. */
size_t known_size(uint32_t flows);
/* `memory`: known_size(flows) bytes, 64-byte aligned; zeroed here. `key`: uniformly random. */
void known_init(struct known *known, void *memory, uint32_t flows, const uint8_t key[64]);
/* Words in use: a look at all of them. */
uint32_t known_used(const struct known *known);

/* Make it known, or seen again; `now_s` is monotonic. */
void known_note(const struct known *known, uint64_t hash, uint32_t now_s);
/* Who acknowledges `seq`, or one more, is expected: its peer has sent a segment of that SEG.SEQ. */
void known_expect(const struct known *known, uint64_t hash, uint32_t seq, uint32_t now_s);
/* The flow was expected with this SEG.ACK, and becomes known, in the same place. */
void known_confirm(const struct known *known, uint64_t hash, uint32_t ack, uint32_t now_s);

/* The same flow in other VLANs is the same here: at worst it is known too early. */
static inline uint64_t
known_hash(const struct known *known, const struct flow *flow)
{
	return flow_hash(&known->key, flow, 0);
}

static inline uint32_t *
known_set(const struct known *known, uint64_t hash)
{
	return known->words + (size_t)((uint32_t)hash & known->mask) * KNOWN_WAYS;
}

static inline uint32_t
known_tag(uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32) & ~KNOWN_TIME_MASK;

	return tag != 0 ? tag : KNOWN_TIME_MASK + 1;
}

static inline void
known_prefetch(const struct known *known, uint64_t hash)
{
	__builtin_prefetch(known_set(known, hash), 1, 3);
}

/* The hash of a flow that is expected with a sequence number: of the same set. Each bit of the
 * number reaches the highest of the product. */
static inline uint64_t
known_expected(uint64_t hash, uint32_t seq)
{
	return hash ^ (uint64_t)(seq * 0x9e3779b1u) << 32;
}

/* Four words of a set. */
static inline __m128i
known_four(const uint32_t *set)
{
	return _mm_setr_epi32((int)__atomic_load_n(&set[0], __ATOMIC_RELAXED),
	                      (int)__atomic_load_n(&set[1], __ATOMIC_RELAXED),
	                      (int)__atomic_load_n(&set[2], __ATOMIC_RELAXED),
	                      (int)__atomic_load_n(&set[3], __ATOMIC_RELAXED));
}

/* The tags of four words of a set. */
static inline __m128i
known_tags(const uint32_t *set)
{
	return _mm_andnot_si128(_mm_set1_epi32((int)KNOWN_TIME_MASK), known_four(set));
}

/* Is it one of these tags? All ones in the lanes where it is. */
static inline __m128i
known_among(__m128i low, __m128i high, uint64_t hash)
{
	__m128i tag = _mm_set1_epi32((int)known_tag(hash));

	return _mm_or_si128(_mm_cmpeq_epi32(low, tag), _mm_cmpeq_epi32(high, tag));
}

static inline bool
known_has(const struct known *known, uint64_t hash)
{
	const uint32_t *set = known_set(known, hash);

	return _mm_movemask_epi8(known_among(known_tags(set), known_tags(set + 4), hash)) != 0;
}

/* As what is a flow known, to a segment of it that has this SEG.ACK? */
static inline enum known_as
known_look(const struct known *known, uint64_t hash, uint32_t ack)
{
	const uint32_t *set = known_set(known, hash);
	__m128i low = known_tags(set), high = known_tags(set + 4);

	if (_mm_movemask_epi8(known_among(low, high, hash)) != 0)
		return KNOWN_FLOW;
	__m128i expected = _mm_or_si128(known_among(low, high, known_expected(hash, ack)),
	                                known_among(low, high, known_expected(hash, ack - 1)));
	return _mm_movemask_epi8(expected) != 0 ? KNOWN_EXPECTED : KNOWN_NOT;
}

#endif
