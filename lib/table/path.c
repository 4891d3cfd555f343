/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths, told apart by a hash table with chains. */
#include "path.h"

#include <assert.h>
#include <smmintrin.h>
#include <string.h>

#include "gauge.h"
#include "pow2.h"

/* Most links of a chain that are followed. With no more paths than heads, a
 * longer one happens only to who forges MAC addresses for it, and what is past it
 * goes without a path. */
#define CHAIN_MAX 16u

static uint32_t
numbers_for(uint32_t capacity)
{
	return capacity < 2 ? 2 : capacity > PATHS_MAX ? PATHS_MAX : capacity;
}

size_t
path_table_size(uint32_t capacity)
{
	uint32_t n = numbers_for(capacity);
	return n * sizeof(struct path) + pow2_ceil(n) * sizeof(uint32_t);
}

void
path_table_init(struct path_table *table, void *memory, uint32_t capacity)
{
	uint32_t n = numbers_for(capacity);
	struct path *paths = memory;

	*table = (struct path_table){
		.paths = paths,
		.heads = (uint32_t *)(paths + n),
		.capacity = n,
		.fresh = 1,
		.mask = pow2_ceil(n) - 1,
	};
	memset(&paths[0], 0, sizeof(paths[0]));
	memset(table->heads, 0, (table->mask + 1) * sizeof(table->heads[0]));
}

/* Every bit counts: neighbours differ in the last byte of a MAC, VLANs in either
 * half of the tags. */
static uint32_t
path_hash(const struct path *path)
{
	uint64_t first, hash;
	uint32_t last;

	memcpy(&first, path, sizeof(first)); /* outside_mac and on into inside_mac */
	memcpy(&last, path->inside_mac + 2, sizeof(last));
	hash = first * 0x9e3779b97f4a7c15u;
	hash ^= hash >> 32;
	hash ^= (uint64_t)path->tags << 32 | last;
	hash *= 0xc2b2ae3d27d4eb4fu;
	hash ^= hash >> 32;
	hash *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(hash >> 32);
}

_Static_assert(offsetof(struct path, inside_mac) == 6 && offsetof(struct path, tags) == 12,
               "path_hash() reads both MACs as one, path_is() compares all as one");

uint16_t
path_get_any(struct path_table *table, __m128i same)
{
	struct path wanted = { .n_refs = 1 };
	_mm_storeu_si128((__m128i *)(void *)&wanted, same);
	uint32_t *head = &table->heads[path_hash(&wanted) & table->mask];
	uint32_t number = *head;
	unsigned int links = 0;

	for (; number != 0 && links < CHAIN_MAX; number = table->paths[number].next, links++) {
		if (path_is(&table->paths[number], same)) {
			table->paths[number].n_refs++;
			table->last = number;
			return (uint16_t)number;
		}
	}
	if (links == CHAIN_MAX)
		return 0;
	if (table->free != 0) {
		number = table->free;
		table->free = table->paths[number].next;
	} else if (table->fresh < table->capacity) {
		number = table->fresh++;
	} else {
		return 0;
	}
	table->last = number;
	wanted.next = *head;
	table->paths[number] = wanted;
	*head = number;
	gauge_add(&table->used, 1);
	return (uint16_t)number;
}

void
path_put(struct path_table *table, uint16_t path)
{
	struct path *p = &table->paths[path];
	uint32_t *link;

	if (path == 0)
		return;
	assert(p->n_refs > 0);
	if (--p->n_refs > 0)
		return;
	link = &table->heads[path_hash(p) & table->mask];
	while (*link != path)
		link = &table->paths[*link].next;
	*link = p->next;
	p->next = table->free;
	table->free = path;
	gauge_sub(&table->used, 1);
}

struct link
path_link(const struct path_table *table, uint16_t path, enum side out)
{
	const struct path *p = &table->paths[path];
	bool outside = out == SIDE_OUTSIDE;
	struct link link = { .tags = p->tags };

	memcpy(link.dst_mac, outside ? p->outside_mac : p->inside_mac, 6);
	memcpy(link.src_mac, outside ? p->inside_mac : p->outside_mac, 6);
	return link;
}
