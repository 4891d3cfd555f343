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

/* Write the word of a hash, as if it had been seen so long before now. */
static inline void
put(const struct known *known, uint64_t hash, uint32_t now_s, uint32_t before_s)
{
	uint32_t *set = known_set(known, hash);
	uint32_t now = now_s >> KNOWN_TIME_SHIFT & KNOWN_TIME_MASK;
	uint32_t seen = (now_s - before_s) >> KNOWN_TIME_SHIFT & KNOWN_TIME_MASK;
	uint32_t tag = known_tag(hash), most = 0;
	uint32_t *oldest = &set[tag >> 8 & (KNOWN_WAYS - 1)]; /* if all are as young */

	for (unsigned int i = 0; i < KNOWN_WAYS; i++) {
		uint32_t word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
		uint32_t age = word == 0 ? KNOWN_TIME_MASK + 1 : (now - word) & KNOWN_TIME_MASK;

		if ((word ^ tag) <= KNOWN_TIME_MASK) {
			/* Mostly it stands there as it should: the line stays everybody's. */
			if (word != (tag | seen))
				__atomic_store_n(&set[i], tag | seen, __ATOMIC_RELAXED);
			return;
		}
		if (age > most) {
			most = age;
			oldest = &set[i];
		}
	}
	__atomic_store_n(oldest, tag | seen, __ATOMIC_RELAXED);
}

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
