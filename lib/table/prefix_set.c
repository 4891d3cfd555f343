/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the set, and looking up where it is of many lengths; else that is inline in the header. */
#include <stdlib.h>

#include "prefix_set.h"

#define MAPPED_LEN 96u /* of ::ffff:0:0/96, within which IPv4 addresses lie */

/* The empty slot where the probe for a prefix ends. */
static struct prefix_slot *
place(const struct prefix_set *set, const struct prefix *prefix)
{
	uint32_t i = (uint32_t)addr_hash(set->key, &prefix->addr, prefix->len) & set->slot_mask;

	while (set->slots[i].prefix.len != PREFIX_SLOT_EMPTY)
		i = (i + 1) & set->slot_mask;
	return &set->slots[i];
}

/* Make the list of lengths that addresses of one family are probed for. */
static bool
lengths_make(struct prefix_set *set, const bool in_use[129], bool is_v4)
{
	struct ip_addr ones = { .quads_be = { ~0ull, ~0ull } };
	uint32_t n = 0;

	for (unsigned int len = 0; len <= 128; len++)
		n += in_use[len];
	set->lengths[is_v4] = calloc(n > 0 ? n : 1, sizeof(*set->lengths[0]));
	if (set->lengths[is_v4] == NULL)
		return false;
	for (unsigned int len = 129; len-- > 0;) {
		if (!in_use[len])
			continue;
		struct prefix_length *length = &set->lengths[is_v4][set->n_lengths[is_v4]++];

		length->mask = ip_addr_mask(&ones, len);
		length->len = (uint8_t)len;
	}
	return true;
}

bool
prefix_set_init(struct prefix_set *set, const struct flow_hash_key *key,
                const struct prefix *prefixes, size_t n, unsigned int room)
{
	const struct ip_addr mapped = ip_addr_v4(0);
	bool in_use[2][129] = { 0 };
	uint32_t n_slots = 2;

	while (n_slots < room * n)
		n_slots *= 2;
	memset(set, 0, sizeof(*set));
	set->key = key;
	set->slot_mask = n_slots - 1;
	set->slots = aligned_alloc(64, n_slots * sizeof(*set->slots));
	if (set->slots == NULL)
		return false;
	for (uint32_t i = 0; i < n_slots; i++)
		set->slots[i] = (struct prefix_slot){ .prefix.len = PREFIX_SLOT_EMPTY };

	for (size_t i = 0; i < n; i++) {
		uint8_t len = prefixes[i].len;
		struct prefix p = { ip_addr_mask(&prefixes[i].addr, len), len };

		if (prefix_set_exact(set, &p.addr, len) != NULL)
			continue;
		place(set, &p)->prefix = p;
		set->n_prefixes++;
		/* A short IPv6 prefix such as ::/0 contains IPv4 addresses too. */
		bool within = p.len >= MAPPED_LEN && ip_addr_is_v4(&p.addr);
		in_use[true][p.len] |= within || prefix_contains(&p, &mapped);
		in_use[false][p.len] |= !within;
	}
	if (lengths_make(set, in_use[false], false) && lengths_make(set, in_use[true], true))
		return true;
	prefix_set_fini(set);
	return false;
}

/* Words for each prefix, and how many there are at least: each that two networks share costs those
 * who ask for one of them a try. */
#define NEAR_ROOM 4u
#define NEAR_WORDS_LEAST 512u

/* What the bands of a family begin with. */
static const uint8_t band_begins[2][PREFIX_BANDS] = {
	{ 16, 32, 48 },
	{ MAPPED_LEN + 8, MAPPED_LEN + 16, MAPPED_LEN + 24 },
};

/* The band of a length; PREFIX_BANDS: none. */
static unsigned int
band_of(uint8_t len, bool is_v4)
{
	unsigned int band = PREFIX_BANDS;

	for (unsigned int i = 0; i < PREFIX_BANDS; i++)
		if (len >= band_begins[is_v4][i])
			band = i;
	return band;
}

/* The word of the network around `addr` that a band begins with. No prefix has a salt like it. */
static inline uint64_t *
near_word(const struct prefix_set *set, const struct prefix_near *near, const struct ip_addr *addr,
          const struct prefix_length *band)
{
	struct ip_addr masked;

	_mm_storeu_si128((__m128i *)masked.bytes,
	                 _mm_and_si128(_mm_loadu_si128((const __m128i *)addr->bytes),
	                               _mm_loadu_si128((const __m128i *)band->mask.bytes)));
	return &near->words[addr_hash(set->key, &masked, 0x100u | band->len) & near->word_mask];
}

/* Which bands are asked for, and what is tried without: what is in none, and of a band with one
 * length alone that one, since the word costs as much as its try. */
static void
bands_choose(const struct prefix_set *set, bool is_v4, struct prefix_near *near)
{
	const struct ip_addr ones = { .quads_be = { ~0ull, ~0ull } };
	uint64_t in_band[PREFIX_BANDS + 1] = { 0 };

	for (uint32_t i = 0; i < set->n_lengths[is_v4] && i < PREFIX_NEAR_LENGTHS; i++)
		in_band[band_of(set->lengths[is_v4][i].len, is_v4)] |= UINT64_C(1) << i;
	near->always = in_band[PREFIX_BANDS];
	for (unsigned int i = 0; i < PREFIX_BANDS; i++) {
		uint8_t len = band_begins[is_v4][i];

		if ((in_band[i] & (in_band[i] - 1)) == 0)
			near->always |= in_band[i];
		else
			near->bands[near->n_bands++] = (struct prefix_length){
				.mask = ip_addr_mask(&ones, len), .len = len
			};
	}
}

/* Note each prefix of the family whose band is asked for. */
static void
near_fill(const struct prefix_set *set, bool is_v4, struct prefix_near *near)
{
	uint8_t at[129] = { 0 }; /* number of each length */

	for (uint32_t i = 0; i < set->n_lengths[is_v4]; i++)
		at[set->lengths[is_v4][i].len] = (uint8_t)i;
	for (uint32_t i = 0; i <= set->slot_mask; i++) {
		const struct prefix *p = &set->slots[i].prefix;

		if (p->len == PREFIX_SLOT_EMPTY ||
		    is_v4 != (p->len >= MAPPED_LEN && ip_addr_is_v4(&p->addr)) ||
		    at[p->len] >= PREFIX_NEAR_LENGTHS)
			continue;
		for (uint32_t band = near->n_bands; band-- > 0;) {
			if (p->len < near->bands[band].len)
				continue;
			*near_word(set, near, &p->addr, &near->bands[band]) |= UINT64_C(1)
			                                                       << at[p->len];
			break;
		}
	}
}

bool
prefix_set_note_near(struct prefix_set *set)
{
	struct prefix_near near[2] = { 0 };
	uint32_t n_words = NEAR_WORDS_LEAST;

	while (n_words < NEAR_ROOM * set->n_prefixes)
		n_words *= 2;
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		bands_choose(set, is_v4, &near[is_v4]);
		if (near[is_v4].n_bands == 0)
			continue;
		near[is_v4].word_mask = n_words - 1;
		near[is_v4].words = calloc(n_words, sizeof(*near[is_v4].words));
		if (near[is_v4].words == NULL) {
			free(near[0].words);
			return false;
		}
		near_fill(set, is_v4, &near[is_v4]);
	}
	memcpy(set->near, near, sizeof(set->near));
	return true;
}

bool
prefix_set_contains_near(const struct prefix_set *set, const struct ip_addr *addr, bool is_v4)
{
	const struct prefix_near *near = &set->near[is_v4];
	const struct prefix_length *lengths = set->lengths[is_v4];
	uint64_t left = near->always;

	for (uint32_t i = 0; i < near->n_bands; i++)
		left |= *near_word(set, near, addr, &near->bands[i]);
	for (; left != 0; left &= left - 1)
		if (prefix_set_try(set, addr, &lengths[__builtin_ctzll(left)]) != NULL)
			return true;
	for (uint32_t i = PREFIX_NEAR_LENGTHS; i < set->n_lengths[is_v4]; i++)
		if (prefix_set_try(set, addr, &lengths[i]) != NULL)
			return true;
	return false;
}

void
prefix_set_fini(struct prefix_set *set)
{
	free(set->near[0].words);
	free(set->near[1].words);
	free(set->slots);
	free(set->lengths[0]);
	free(set->lengths[1]);
	memset(set, 0, sizeof(*set));
}
