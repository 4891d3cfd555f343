/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Known flows: a cache that remembers of which flows something speaks for them, where no
 * connection is kept. It is lossy on purpose: whoever asks must be content with "not known" for
 * any flow at any time. A stranger passes for known with 8 in 2^24 where all is full.
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
 * Ownership: one cache for all workers, who read and write single words, relaxed. A word says
 * all by itself, so no order matters; of two that are written at the same time one is lost, or
 * a flow has two. The key is the cache's own, since all workers must come to the same hash.
 */
#ifndef SYNFRONT_KNOWN_H
#define SYNFRONT_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "flow_hash.h"

#define KNOWN_WAYS 8u
#define KNOWN_TIME_SHIFT 4u /* 16 s */
#define KNOWN_TIME_MASK 0xffu

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

static inline bool
known_has(const struct known *known, uint64_t hash)
{
	const uint32_t *set = known_set(known, hash);
	uint32_t tag = known_tag(hash);
	bool has = false;

	/* Without branches, for none could foretell. */
	for (unsigned int i = 0; i < KNOWN_WAYS; i++)
		has |= (__atomic_load_n(&set[i], __ATOMIC_RELAXED) ^ tag) <= KNOWN_TIME_MASK;
	return has;
}

#endif
