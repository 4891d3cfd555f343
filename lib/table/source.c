/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts per source prefix. */
#include "source.h"

#include <emmintrin.h>

#include "gauge.h"
#include "pow2.h"

#define SET_SIZE 4u

/* Two slots for each prefix. */
static uint32_t
n_sets_for(uint32_t capacity)
{
	return pow2_ceil(capacity / 2 + (capacity & 1));
}

size_t
source_table_size(uint32_t capacity)
{
	return (size_t)n_sets_for(capacity) * SET_SIZE * sizeof(struct source);
}

void
source_table_init(struct source_table *table, void *memory, uint32_t capacity,
                  const struct flow_hash_key *key)
{
	memset(memory, 0, source_table_size(capacity));
	*table = (struct source_table){
		.sources = memory,
		.mask = n_sets_for(capacity) - 1,
		.key = key,
	};
}

/* As one 16-byte store: addr_hash() loads all of it at once, and would wait for
 * narrower ones to reach the cache. */
static struct ip_addr
masked(const struct ip_addr *client, uint64_t high, uint64_t low)
{
	struct ip_addr a;
	__m128i mask = _mm_set_epi64x((long long)low, (long long)high);

	_mm_storeu_si128((__m128i *)a.bytes,
	                 _mm_and_si128(_mm_loadu_si128((const __m128i *)client->bytes), mask));
	return a;
}

static struct ip_addr
host_of(const struct ip_addr *client, bool is_v4)
{
	return masked(client, ~0ull, is_v4 ? ~0ull : 0);
}

static struct ip_addr
net_of(const struct ip_addr *client, bool is_v4)
{
	if (is_v4)
		return masked(client, ~0ull, 0x00ffffffffffffffull);
	return masked(client, 0x0000ffffffffffffull, 0);
}

/* The salt is the kind, which fixes the prefix length. */
uint64_t
source_net_hash(const struct flow_hash_key *key, const struct ip_addr *client)
{
	return source_net_hash_of(key, client, ip_addr_is_v4(client));
}

uint64_t
source_net_hash_of(const struct flow_hash_key *key, const struct ip_addr *client, bool is_v4)
{
	struct ip_addr net = net_of(client, is_v4);
	return addr_hash(key, &net, is_v4 ? SOURCE_V4_NET : SOURCE_V6_NET);
}

uint64_t
source_host_hash(const struct flow_hash_key *key, const struct ip_addr *client)
{
	bool is_v4 = ip_addr_is_v4(client);
	struct ip_addr host = host_of(client, is_v4);

	return addr_hash(key, &host, is_v4 ? SOURCE_V4_HOST : SOURCE_V6_HOST);
}

static struct source *
set_find(struct source *set, uint64_t key, uint8_t kind)
{
	for (unsigned int i = 0; i < SET_SIZE; i++)
		if (set[i].key == key && set[i].kind == kind)
			return &set[i];
	return NULL;
}

static bool
source_holds(const struct source *source)
{
	return source->n_conns != 0 || source->n_half_open != 0;
}

/* Free slots of a set, and one of them in *place. Records left over from a past
 * second count as free. */
static unsigned int
set_room(const struct source_table *table, struct source *set, struct source **place)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SET_SIZE; i++) {
		if (set[i].kind == SOURCE_FREE ||
		    (!source_holds(&set[i]) && set[i].second != table->now_s)) {
			*place = &set[i];
			n++;
		}
	}
	return n;
}

static struct source *
source_find_one(struct source_table *table, uint64_t hash, uint64_t key, uint8_t kind, bool create)
{
	struct source *first = &table->sources[((uint32_t)hash & table->mask) * (size_t)SET_SIZE];
	struct source *second =
		&table->sources[((uint32_t)(hash >> 32) & table->mask) * (size_t)SET_SIZE];
	struct source *found = set_find(first, key, kind);
	struct source *place = NULL, *other = NULL;

	if (found == NULL)
		found = set_find(second, key, kind);
	if (found != NULL || !create)
		return found;
	if (set_room(table, second, &other) > set_room(table, first, &place))
		place = other;
	if (place == NULL)
		return NULL;
	gauge_add(&table->used, place->kind == SOURCE_FREE);
	*place = (struct source){ .key = key, .kind = kind, .second = table->now_s };
	return place;
}

struct source_pair
source_find(struct source_table *table, const struct ip_addr *client, bool create)
{
	bool v4 = ip_addr_is_v4(client);
	struct ip_addr host = host_of(client, v4), net = net_of(client, v4);
	uint8_t host_kind = v4 ? SOURCE_V4_HOST : SOURCE_V6_HOST;
	uint8_t net_kind = v4 ? SOURCE_V4_NET : SOURCE_V6_NET;
	uint64_t host_key = v4 ? host.words_be[3] : host.quads_be[0];
	uint64_t net_key = v4 ? net.words_be[3] : net.quads_be[0];
	uint64_t host_hash = addr_hash(table->key, &host, host_kind);
	uint64_t net_hash = addr_hash(table->key, &net, net_kind);

	return (struct source_pair){
		.host = source_find_one(table, host_hash, host_key, host_kind, create),
		.net = source_find_one(table, net_hash, net_key, net_kind, create),
	};
}

static void
source_settle_one(struct source_table *table, struct source *source)
{
	if (source == NULL || source_holds(source) || source_new(table, source) != 0)
		return;
	source->kind = SOURCE_FREE;
	gauge_sub(&table->used, 1);
}

void
source_settle(struct source_table *table, struct source_pair pair)
{
	source_settle_one(table, pair.host);
	source_settle_one(table, pair.net);
}
