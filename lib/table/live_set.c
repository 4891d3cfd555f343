/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and changing the set; looking up IPv4 addresses is inline in the header. */
#include "live_set.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define LINE 64u
#define V4_LEN 96u                  /* bits of the 16-byte form before an IPv4 address */
#define HUGE_FROM ((size_t)4 << 20) /* from where on large pages spare misses of the TLB */

/* A slot in three at most, when it is made. */
static uint64_t
slots_for(uint64_t n)
{
	uint64_t n_slots = 64;

	while (n_slots < 3 * n)
		n_slots *= 2;
	return n_slots;
}

/* Zeroed, and where a line begins; *memory is what is freed. */
static void *
table_new(uint64_t n_slots, size_t slot_size, void **memory)
{
	size_t size = n_slots * slot_size + LINE;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*memory = calloc(1, size);
	if (*memory == NULL)
		return NULL;
	if (size >= HUGE_FROM) {
		/* A wish: without it the table is slower, and as good. */
		uintptr_t first = ((uintptr_t)*memory + page - 1) & ~(uintptr_t)(page - 1);
		(void)madvise((void *)first, (size - page) & ~(page - 1), MADV_HUGEPAGE);
	}
	return (void *)(((uintptr_t)*memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
}

struct live_set *
live_set_new(uint64_t n_v4, uint64_t n_v6)
{
	struct live_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->v4_mask = slots_for(n_v4) - 1;
	set->v6_mask = slots_for(n_v6) - 1;
	set->v4 = table_new(set->v4_mask + 1, sizeof(*set->v4), &set->v4_memory);
	set->v6 = table_new(set->v6_mask + 1, sizeof(*set->v6), &set->v6_memory);
	if (set->v4 != NULL && set->v6 != NULL &&
	    getrandom(&set->key, sizeof(set->key), 0) == (ssize_t)sizeof(set->key))
		return set;
	live_set_free(set);
	return NULL;
}

void
live_set_free(struct live_set *set)
{
	if (set == NULL)
		return;
	free(set->v4_memory);
	free(set->v6_memory);
	free(set);
}

/* One more slot may be taken of so many: look-ups must find an empty one soon. */
static bool
has_room(uint64_t taken, uint64_t mask)
{
	return 4 * (taken + 1) <= 3 * (mask + 1);
}

static void
set_bit(uint64_t *word, uint32_t bit)
{
	__atomic_store_n(word, live_load(word) | UINT64_C(1) << bit, __ATOMIC_RELAXED);
}

/* Note at each /16 that a prefix meets that there is one of its length. */
static void
note_near(struct live_set *set, uint32_t masked, uint32_t len)
{
	uint32_t first = masked >> 16, n = len >= 16 ? 1 : 1u << (16 - len);

	if (len == 0) /* always tried */
		return;
	for (uint32_t i = first; i < first + n; i++)
		__atomic_store_n(&set->near[i], set->near[i] | 1u << (len - 1), __ATOMIC_RELAXED);
}

static bool
put_v4(struct live_set *set, uint32_t masked, uint32_t len, uint32_t scope, uint32_t verdict,
       bool joins)
{
	uint64_t word = live_word_v4(masked, scope, len), i = live_hash_v4(set, word);

	for (;; i++) {
		uint64_t slot = set->v4[i & set->v4_mask];

		if (slot == 0 || (slot & ~(uint64_t)LIVE_VERDICT) == word)
			break;
	}
	uint64_t *slot = &set->v4[i & set->v4_mask];
	if (*slot == 0) {
		if (verdict == 0)
			return true;
		if (!has_room(set->v4_taken, set->v4_mask))
			return false;
		set->v4_taken++;
	}
	if (joins)
		verdict |= *slot & LIVE_VERDICT;
	__atomic_store_n(slot, word | verdict, __ATOMIC_RELAXED);
	set_bit(&set->lengths[scope].v4, len);
	note_near(set, masked, len);
	return true;
}

/* Where the word of an address's /32 stands. */
static uint32_t
near_at(const struct live_set *set, const struct ip_addr *addr)
{
	return (uint32_t)(live_hash_v4(set, addr->words_be[0]) % LIVE_NETS);
}

static uint32_t
net_16(const struct ip_addr *addr)
{
	return (uint32_t)addr->bytes[0] << 8 | addr->bytes[1];
}

/* Note that there is one of its length; those of other lengths are always tried. */
static void
note_near_v6(struct live_set *set, const struct prefix *prefix)
{
	uint32_t len = prefix->len;

	if (len >= 16 && len < 32) {
		uint16_t *word = &set->v6_near_16[net_16(&prefix->addr)];

		__atomic_store_n(word, (uint16_t)(*word | 1u << (len - 16)), __ATOMIC_RELAXED);
	} else if (len >= 32 && len < 96) {
		set_bit(&set->v6_near_32[near_at(set, &prefix->addr)], len - 32);
	}
}

/* Of the lengths 64 * quad and up, a bit each, those that are worth a try. */
static uint64_t
near_v6(const struct live_set *set, const struct ip_addr *addr, unsigned int quad)
{
	uint64_t in_32 = live_load(&set->v6_near_32[near_at(set, addr)]);

	if (quad == 1) /* 64 to 95 */
		return in_32 >> 32 | UINT64_C(0xffffffff00000000);
	uint64_t in_16 = __atomic_load_n(&set->v6_near_16[net_16(addr)], __ATOMIC_RELAXED);
	return in_32 << 32 | in_16 << 16 | 0xffff;
}

static uint64_t
hash_v6(const struct live_set *set, const struct ip_addr *masked, uint64_t word)
{
	return addr_hash(&set->key, masked, (uint32_t)word);
}

static bool
put_v6(struct live_set *set, const struct prefix *prefix, uint32_t scope, uint32_t verdict,
       bool joins)
{
	uint64_t word = live_word_v6(scope, prefix->len);
	uint64_t i = hash_v6(set, &prefix->addr, word);
	struct live_slot *slot;

	for (;; i++) {
		slot = &set->v6[i & set->v6_mask];
		if (slot->word == 0 || ((slot->word & ~(uint64_t)LIVE_VERDICT) == word &&
		                        slot->quads[0] == prefix->addr.quads_be[0] &&
		                        slot->quads[1] == prefix->addr.quads_be[1]))
			break;
	}
	if (slot->word == 0) {
		if (verdict == 0)
			return true;
		if (!has_room(set->v6_taken, set->v6_mask))
			return false;
		set->v6_taken++;
		__atomic_store_n(&slot->quads[0], prefix->addr.quads_be[0], __ATOMIC_RELAXED);
		__atomic_store_n(&slot->quads[1], prefix->addr.quads_be[1], __ATOMIC_RELAXED);
	}
	if (joins)
		verdict |= slot->word & LIVE_VERDICT;
	__atomic_store_n(&slot->word, word | verdict, __ATOMIC_RELEASE);
	set_bit(&set->lengths[scope].v6[prefix->len / 64], prefix->len % 64);
	note_near_v6(set, prefix);
	return true;
}

static bool
put(struct live_set *set, const struct prefix *prefix, uint32_t scope, uint32_t verdict, bool joins)
{
	if (prefix->len >= V4_LEN && ip_addr_is_v4(&prefix->addr))
		return put_v4(set, __builtin_bswap32(prefix->addr.words_be[3]),
		              prefix->len - V4_LEN, scope, verdict, joins);
	return put_v6(set, prefix, scope, verdict, joins);
}

bool
live_set_put(struct live_set *set, const struct prefix *prefix, uint32_t scope, uint32_t verdict)
{
	return put(set, prefix, scope, verdict, false);
}

bool
live_set_join(struct live_set *set, const struct prefix *prefix, uint32_t scope, uint32_t verdict)
{
	return put(set, prefix, scope, verdict, true);
}

bool
live_set_is_crowded(const struct live_set *set)
{
	return 2 * set->v4_taken > set->v4_mask || 2 * set->v6_taken > set->v6_mask;
}

static bool
has_lengths(const struct live_lengths *l)
{
	return (live_load(&l->v4) | live_load(&l->v6[0]) | live_load(&l->v6[1]) |
	        live_load(&l->v6[2])) != 0;
}

bool
live_set_concerns(const struct live_set *set, uint32_t scope)
{
	return has_lengths(&set->lengths[0]) || has_lengths(&set->lengths[scope]);
}

static uint32_t
probe_v6(const struct live_set *set, const struct ip_addr *masked, uint64_t word)
{
	for (uint64_t i = hash_v6(set, masked, word);; i++) {
		const struct live_slot *slot = &set->v6[i & set->v6_mask];
		uint64_t found = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);

		if (found == 0)
			return 0;
		if ((found & ~(uint64_t)LIVE_VERDICT) == word &&
		    live_load(&slot->quads[0]) == masked->quads_be[0] &&
		    live_load(&slot->quads[1]) == masked->quads_be[1])
			return found & LIVE_VERDICT;
	}
}

uint32_t
live_find_v6(const struct live_set *set, const struct ip_addr *addr, uint32_t scope)
{
	for (unsigned int quad = 3; quad-- > 0;) {
		uint64_t all = live_load(&set->lengths[0].v6[quad]);
		uint64_t own = live_load(&set->lengths[scope].v6[quad]);

		uint64_t left = all | own;

		if (quad < 2 && (left & (left - 1)) != 0)
			left &= near_v6(set, addr, quad);
		while (left != 0) {
			uint32_t bit = 63u - (uint32_t)__builtin_clzll(left), len = 64 * quad + bit;
			struct ip_addr masked = ip_addr_mask(addr, len);
			uint32_t verdict = 0;

			if (all >> bit & 1)
				verdict = probe_v6(set, &masked, live_word_v6(0, len));
			if (own >> bit & 1)
				verdict |= probe_v6(set, &masked, live_word_v6(scope, len));
			if (verdict != 0)
				return verdict;
			left ^= UINT64_C(1) << bit;
		}
	}
	return 0;
}
