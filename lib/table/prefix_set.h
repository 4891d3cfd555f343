/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of prefixes of both families, each with a value of 12 bytes.
 *
 * One open-addressed table of masked addresses under a keyed hash, and the
 * list of the lengths in use, longest first. A look-up probes once for each
 * length, whatever the number of prefixes. Lengths that no prefix of the
 * address's family has are not tried: there is a list for each family.
 *
 * Whoever forges sources has each length of an access list tried, and lists of networks have
 * dozens. So a set may be made to know which lengths are worth a try near an address. Lengths lie
 * in bands:
 *
 *   IPv4     0      /8       /16      /24      /32
 *            |always| near /8| near /16| near /24 |
 *   IPv6     0      /16      /32      /48                         /128
 *            |always|near /16|near /32|        near /48              |
 *
 * For each network of the size that a band begins with, in which some prefix of the band is, one
 * word has a bit for each length: found by the same keyed hash, without a probe. Two that share a
 * word have both their lengths tried. A word is asked only where it spares more than one try.
 *
 * Private to policy*.c and its tests. Built once, then read by anybody; the
 * values may be changed by who built it until then.
 */
#ifndef SYNFRONT_PREFIX_SET_H
#define SYNFRONT_PREFIX_SET_H

#include <emmintrin.h>
#include <stddef.h>

#include "addr.h"
#include "flow_hash.h"

#define PREFIX_SLOT_EMPTY 0xffu

struct prefix_slot {
	struct prefix prefix; /* len PREFIX_SLOT_EMPTY: no prefix here */
	uint32_t value[3];
};
_Static_assert(sizeof(struct prefix_slot) == 32, "two slots a cache line, none across");

struct prefix_length {
	struct ip_addr mask;
	uint8_t len;
};

#define PREFIX_BANDS 3u
#define PREFIX_NEAR_LENGTHS 64u /* of a family, the longest; what is beyond is always tried */

/* Of one family. Bit n of a word is lengths[n] of the set. */
struct prefix_near {
	struct prefix_length bands[PREFIX_BANDS]; /* that are asked for: what they begin with */
	uint32_t n_bands;                         /* 0: all lengths are tried */
	uint32_t word_mask;                       /* words - 1, a power of two less one */
	uint64_t *words;
	uint64_t always; /* what is tried whatever they say */
};

struct prefix_set {
	const struct flow_hash_key *key;
	struct prefix_slot *slots;
	uint32_t slot_mask;               /* slots - 1, a power of two less one */
	uint32_t n_prefixes;              /* distinct ones */
	struct prefix_length *lengths[2]; /* [is_v4], longest first */
	uint32_t n_lengths[2];
	struct prefix_near near[2]; /* [is_v4] */
};

/* Slots for each prefix. A probe that does not end at its first slot is one that no branch
 * foretells: of prefixes asked for at random, one in eight or one in sixty. */
#define PREFIX_ROOM 4u
#define PREFIX_ROOM_AMPLE 32u

/* Build the set of n prefixes (0..2^26; one that is repeated counts once), all
 * values 0. `key` must outlive the set. False: no memory, nothing to free. */
bool prefix_set_init(struct prefix_set *set, const struct flow_hash_key *key,
                     const struct prefix *prefixes, size_t n, unsigned int room);
/* Make a set know which lengths are worth a try where: for prefix_set_contains(). False: no memory,
 * the set is as before. */
bool prefix_set_note_near(struct prefix_set *set);
void prefix_set_fini(struct prefix_set *set);

/* The slot of exactly this masked address and length, or NULL. */
static inline struct prefix_slot *
prefix_set_exact(const struct prefix_set *set, const struct ip_addr *masked, uint8_t len)
{
	uint32_t i = (uint32_t)addr_hash(set->key, masked, len) & set->slot_mask;
	__m128i wanted = _mm_loadu_si128((const __m128i *)masked->bytes);

	for (;; i = (i + 1) & set->slot_mask) {
		struct prefix_slot *slot = &set->slots[i];

		__m128i equal = _mm_cmpeq_epi8(_mm_load_si128((const __m128i *)slot), wanted);
		if (slot->prefix.len == len && _mm_movemask_epi8(equal) == 0xffff)
			return slot;
		if (slot->prefix.len == PREFIX_SLOT_EMPTY)
			return NULL;
	}
}

/* The prefix of one length that contains `addr`, or NULL. */
static inline struct prefix_slot *
prefix_set_try(const struct prefix_set *set, const struct ip_addr *addr,
               const struct prefix_length *length)
{
	struct ip_addr masked;

	/* As one 16-byte store: addr_hash() loads all of it at once, and would have to
	 * wait for two halves to reach the cache. */
	_mm_storeu_si128((__m128i *)masked.bytes,
	                 _mm_and_si128(_mm_loadu_si128((const __m128i *)addr->bytes),
	                               _mm_loadu_si128((const __m128i *)length->mask.bytes)));
	return prefix_set_exact(set, &masked, length->len);
}

/*
 * Walk over the prefixes that contain `addr`, the most specific first: start
 * with *at = 0, call until NULL. `is_v4` is ip_addr_is_v4(addr).
 */
static inline struct prefix_slot *
prefix_set_next(const struct prefix_set *set, const struct ip_addr *addr, bool is_v4, uint32_t *at)
{
	while (*at < set->n_lengths[is_v4]) {
		struct prefix_slot *slot = prefix_set_try(set, addr, &set->lengths[is_v4][(*at)++]);

		if (slot != NULL)
			return slot;
	}
	return NULL;
}

/* prefix_set_contains() of a set that knows what is near, of this family. */
bool prefix_set_contains_near(const struct prefix_set *set, const struct ip_addr *addr, bool is_v4);

/* Whether any prefix of the set contains `addr`. */
static inline bool
prefix_set_contains(const struct prefix_set *set, const struct ip_addr *addr)
{
	bool is_v4 = ip_addr_is_v4(addr);
	uint32_t at = 0;

	if (set->near[is_v4].n_bands != 0)
		return prefix_set_contains_near(set, addr, is_v4);
	return prefix_set_next(set, addr, is_v4, &at) != NULL;
}

#endif
