/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live lists as the packet path sees them: for each source prefix, and each service or all of
 * them, whether it is denied, allowed, or both.
 *
 * One table for each family, open-addressed under a keyed hash, of which each prefix takes one
 * slot. An IPv4 slot is one word, so that a million prefixes fit 32 MiB and a look-up reads one
 * line of them for each length that it tries:
 *
 *    63              32 31       19 18    13 12      2  1  0
 *   +------------------+-----------+--------+--------+--+--+
 *   |  address, masked |   scope   | length | 0    1 |A |D |     0: empty
 *   +------------------+-----------+--------+--------+--+--+
 *
 * An IPv6 slot is half a line: the address, and a word of scope, length and verdict.
 *
 * A length is tried if the scope has prefixes of it and, where the scope has several lengths, one
 * of these prefixes may lie near; else whoever forges sources would have each length of a long list
 * tried. For IPv4 one word for each /16 says which lengths meet it. For IPv6 one for each /16 says
 * so of lengths 16 to 31, and one for each /32 of 32 to 95, which it shares with others of the same
 * place under the keyed hash; all other lengths are tried.
 *
 * Of all prefixes of a service, and of all services, that contain an address, the longest has the
 * verdict. The caller says what both verdicts together mean.
 *
 * Ownership: one writer, who adds and takes away in place; any number of readers meanwhile. A slot
 * once taken keeps its prefix until the set is given up; of one that is taken away the verdict
 * is 0. Memory order: an IPv6 slot's last word is a release after its address, and an acquire by
 * who reads; all else is relaxed, since each word stands for itself. A reader who must see a change
 * is told of it by other means (the plane's grace period).
 */
#ifndef SYNFRONT_LIVE_SET_H
#define SYNFRONT_LIVE_SET_H

#include <stddef.h>
#include <wmmintrin.h>

#include "flow_hash.h"

#define LIVE_DENY 1u
#define LIVE_ALLOW 2u
#define LIVE_VERDICT 3u
#define LIVE_TAKEN 4u

#define LIVE_SCOPES 4097u /* 0: all services; 1 + the id of one */
#define LIVE_NETS 65536u  /* /16, and places of /32 of IPv6 */

/* Bit n: there are prefixes of length n. */
struct live_lengths {
	uint64_t v4;
	uint64_t v6[3];
};

struct live_slot {
	uint64_t quads[2];
	uint64_t word; /* as of IPv4, with a length of 8 bits above LIVE_TAKEN */
	uint64_t none;
};
_Static_assert(sizeof(struct live_slot) == 32, "two slots a cache line, none across");

struct live_set {
	struct flow_hash_key key;
	uint64_t *v4;
	struct live_slot *v6;
	uint64_t v4_mask, v6_mask; /* slots - 1, a power of two less one */
	uint64_t v4_taken, v6_taken;
	void *v4_memory, *v6_memory;
	uint32_t near[LIVE_NETS]; /* bit n - 1: a prefix of length n meets this /16 */
	/* IPv6: bit n - 16, there is a prefix of length n in this /16; bit n - 32, in a /32 here. */
	uint16_t v6_near_16[LIVE_NETS];
	uint64_t v6_near_32[LIVE_NETS];
	struct live_lengths lengths[LIVE_SCOPES];
};

/* A set with room for n prefixes of each family and twice as many. NULL: no memory. */
struct live_set *live_set_new(uint64_t n_v4, uint64_t n_v6);
void live_set_free(struct live_set *set);

/* Give a masked prefix this verdict (0: none any more). False: there is no room; nothing has
 * changed. */
bool live_set_put(struct live_set *set, const struct prefix *prefix, uint32_t scope,
                  uint32_t verdict);
/* The same beside the verdict that it has. */
bool live_set_join(struct live_set *set, const struct prefix *prefix, uint32_t scope,
                   uint32_t verdict);

/* Is it so full that look-ups grow long? */
bool live_set_is_crowded(const struct live_set *set);

/* Has the scope, or have all services together, any prefix? */
bool live_set_concerns(const struct live_set *set, uint32_t scope);

/* ---- looking up -------------------------------------------------------- */

static inline uint64_t
live_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t
live_word_v4(uint32_t masked, uint32_t scope, uint32_t len)
{
	return (uint64_t)masked << 32 | (uint64_t)scope << 19 | len << 13 | LIVE_TAKEN;
}

static inline uint64_t
live_word_v6(uint32_t scope, uint32_t len)
{
	return (uint64_t)scope << 19 | len << 3 | LIVE_TAKEN;
}

/* Two rounds of AES mix eight bytes into all of them. */
static inline uint64_t
live_hash_v4(const struct live_set *set, uint64_t word)
{
	const __m128i *k = (const __m128i *)set->key.bytes;
	__m128i x = _mm_xor_si128(_mm_cvtsi64_si128((long long)word), k[0]);

	return (uint64_t)_mm_cvtsi128_si64(_mm_aesenc_si128(_mm_aesenc_si128(x, k[1]), k[2]));
}

static inline uint32_t
live_probe_v4(const struct live_set *set, uint64_t word)
{
	for (uint64_t i = live_hash_v4(set, word);; i++) {
		uint64_t slot = live_load(&set->v4[i & set->v4_mask]);

		if ((slot & ~(uint64_t)LIVE_VERDICT) == word)
			return slot & LIVE_VERDICT;
		if (slot == 0)
			return 0;
	}
}

static inline uint32_t
live_mask_v4(uint32_t len)
{
	return (uint32_t)(UINT64_C(0xffffffff00000000) >> len);
}

static inline uint32_t
live_find_v4(const struct live_set *set, uint32_t addr, uint32_t scope)
{
	uint64_t all = live_load(&set->lengths[0].v4);
	uint64_t own = live_load(&set->lengths[scope].v4);
	uint64_t left = all | own;

	/* Of one length alone there is nothing to choose, and nothing to wait for. */
	if ((left & (left - 1)) != 0) {
		uint64_t near = __atomic_load_n(&set->near[addr >> 16], __ATOMIC_RELAXED);
		left &= near << 1 | 1;
	}

	while (left != 0) {
		uint32_t len = 63u - (uint32_t)__builtin_clzll(left);
		uint32_t masked = addr & live_mask_v4(len), verdict = 0;

		if (all >> len & 1)
			verdict = live_probe_v4(set, live_word_v4(masked, 0, len));
		if (own >> len & 1)
			verdict |= live_probe_v4(set, live_word_v4(masked, scope, len));
		if (verdict != 0)
			return verdict;
		left ^= UINT64_C(1) << len;
	}
	return 0;
}

/* The verdict on an address for the service of this scope: 1 + its id. */
uint32_t live_find_v6(const struct live_set *set, const struct ip_addr *addr, uint32_t scope);

static inline uint32_t
live_set_find(const struct live_set *set, const struct ip_addr *addr, uint32_t scope)
{
	if (ip_addr_is_v4(addr))
		return live_find_v4(set, __builtin_bswap32(addr->words_be[3]), scope);
	return live_find_v6(set, addr, scope);
}

#endif
