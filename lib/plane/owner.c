/* SPDX-License-Identifier: BSD-3-Clause */
#include "owner.h"

#include <rte_thash.h>
#include <sys/random.h>

int
owner_map_init(struct owner_map *map, uint32_t n_workers)
{
	memset(map, 0, sizeof(*map));
	if (getrandom(map->key, sizeof(map->key), 0) != sizeof(map->key))
		return -1;
	rte_convert_rss_key((const uint32_t *)map->key, (uint32_t *)map->key_be, OWNER_KEY_SIZE);
	map->n_workers = n_workers;
	for (uint32_t i = 0; i < OWNER_TABLE_SIZE; i++)
		map->table[i] = (uint8_t)(i % n_workers);
	return 0;
}

uint32_t
owner_hash(const struct owner_map *map, const struct flow *flow, bool is_v4)
{
	uint32_t tuple[9], n = 0;

	/* Words in host order, most significant bit first, as they lie on the wire. */
	if (is_v4) {
		tuple[n++] = be32toh(flow->client.words_be[3]);
		tuple[n++] = be32toh(flow->server.words_be[3]);
	} else {
		for (unsigned int i = 0; i < 4; i++)
			tuple[n++] = be32toh(flow->client.words_be[i]);
		for (unsigned int i = 0; i < 4; i++)
			tuple[n++] = be32toh(flow->server.words_be[i]);
	}
	tuple[n++] = (uint32_t)be16toh(flow->client_port_be) << 16 | be16toh(flow->server_port_be);
	return rte_softrss_be(tuple, n, map->key_be);
}

static uint32_t
fragment_slot(const struct owner_map *map, const struct segment *seg)
{
	struct flow pair = seg->flow;

	pair.client_port_be = (uint16_t)seg->fragment_id;
	pair.server_port_be = (uint16_t)(seg->fragment_id >> 16);
	return owner_hash(map, &pair, seg->is_v4) % OWNER_FRAGMENTS;
}

uint32_t
owner_of_fragment(const struct owner_map *map, const struct segment *seg, uint32_t self)
{
	uint8_t noted = __atomic_load_n(&map->fragments[fragment_slot(map, seg)], __ATOMIC_RELAXED);

	return noted != 0 ? noted - 1u : self;
}

void
owner_note_fragment(struct owner_map *map, const struct segment *seg, uint32_t owner)
{
	__atomic_store_n(&map->fragments[fragment_slot(map, seg)], (uint8_t)(owner + 1),
	                 __ATOMIC_RELAXED);
}
