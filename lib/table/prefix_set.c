/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the set; looking up is inline in the header. */
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

void
prefix_set_fini(struct prefix_set *set)
{
	free(set->slots);
	free(set->lengths[0]);
	free(set->lengths[1]);
	memset(set, 0, sizeof(*set));
}
