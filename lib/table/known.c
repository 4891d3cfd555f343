/* SPDX-License-Identifier: BSD-3-Clause */
#include "known.h"

#include "pow2.h"

#define FLOWS_MIN (2 * KNOWN_WAYS) /* a whole line */

static uint32_t
known_words(uint32_t flows)
{
	return pow2_ceil(flows < FLOWS_MIN ? FLOWS_MIN : flows);
}

size_t
known_size(uint32_t flows)
{
	return (size_t)known_words(flows) * sizeof(uint32_t);
}

void
known_init(struct known *known, void *memory, uint32_t flows, const uint8_t key[64])
{
	_Static_assert(sizeof(known->key) == 64, "all of the key is given");

	memset(memory, 0, known_size(flows));
	known->words = memory;
	known->mask = known_words(flows) / KNOWN_WAYS - 1;
	memcpy(&known->key, key, sizeof(known->key));
}

uint32_t
known_used(const struct known *known)
{
	size_t n = ((size_t)known->mask + 1) * KNOWN_WAYS;
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += __atomic_load_n(&known->words[i], __ATOMIC_RELAXED) != 0;
	return used;
}

/* The least of these is the word that has been silent longest; NEWEST: it was seen in the running
 * unit of time. A free word, which is 0, has 0. */
#define NEWEST (KNOWN_TIME_MASK + 1)

static inline __m128i
ranks(__m128i words, uint32_t now)
{
	__m128i age = _mm_and_si128(_mm_sub_epi32(_mm_set1_epi32((int)now), words),
	                            _mm_set1_epi32((int)KNOWN_TIME_MASK));
	__m128i is_free = _mm_cmpeq_epi32(words, _mm_setzero_si128());

	return _mm_andnot_si128(is_free, _mm_sub_epi32(_mm_set1_epi32((int)NEWEST), age));
}

/* Write the word of a hash, as if it had been seen so long before now. */
static inline void
put(const struct known *known, uint64_t hash, uint32_t now_s, uint32_t before_s)
{
	uint32_t *set = known_set(known, hash);
	uint32_t now = now_s >> KNOWN_TIME_SHIFT & KNOWN_TIME_MASK;
	uint32_t seen = (now_s - before_s) >> KNOWN_TIME_SHIFT & KNOWN_TIME_MASK;
	uint32_t tag = known_tag(hash), wanted = tag | seen;

	for (unsigned int i = 0; i < KNOWN_WAYS; i++) {
		uint32_t word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);

		if ((word ^ tag) <= KNOWN_TIME_MASK) {
			/* Mostly it stands there as it should: the line stays everybody's. */
			if (word != wanted)
				__atomic_store_n(&set[i], wanted, __ATOMIC_RELAXED);
			return;
		}
	}
	/* The first of the least, and which it is. */
	uint32_t least = (uint32_t)_mm_cvtsi128_si32(_mm_minpos_epu16(
		_mm_packus_epi32(ranks(known_four(set), now), ranks(known_four(set + 4), now))));
	uint32_t at = (least & UINT16_MAX) != NEWEST ? least >> 16 : tag >> 8;

	__atomic_store_n(&set[at & (KNOWN_WAYS - 1)], wanted, __ATOMIC_RELAXED);
}
_Static_assert(KNOWN_WAYS == 8, "a set is two vectors of words, and one of 16 bits");

void
known_note(const struct known *known, uint64_t hash, uint32_t now_s)
{
	put(known, hash, now_s, 0);
}

void
known_expect(const struct known *known, uint64_t hash, uint32_t seq, uint32_t now_s)
{
	put(known, known_expected(hash, seq), now_s, KNOWN_EXPECTED_S);
}

void
known_confirm(const struct known *known, uint64_t hash, uint32_t ack, uint32_t now_s)
{
	uint32_t *set = known_set(known, hash);
	uint32_t equal = known_tag(known_expected(hash, ack));
	uint32_t below = known_tag(known_expected(hash, ack - 1));

	for (unsigned int i = 0; i < KNOWN_WAYS; i++) {
		uint32_t word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);

		/* What another worker has written there since is lost. */
		if ((word ^ equal) <= KNOWN_TIME_MASK || (word ^ below) <= KNOWN_TIME_MASK)
			__atomic_store_n(&set[i], 0, __ATOMIC_RELAXED);
	}
	known_note(known, hash, now_s);
}
