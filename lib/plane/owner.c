/* SPDX-License-Identifier: BSD-3-Clause */
/* The Toeplitz hash by carry-less multiplication, and where fragments went. */
#include "owner.h"

#include <immintrin.h>
#include <rte_thash.h>
#include <sys/random.h>

#define HASH_TRIALS 256u

static uint64_t
reverse(uint64_t x)
{
	x = (x >> 1 & UINT64_C(0x5555555555555555)) | (x & UINT64_C(0x5555555555555555)) << 1;
	x = (x >> 2 & UINT64_C(0x3333333333333333)) | (x & UINT64_C(0x3333333333333333)) << 2;
	x = (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	return __builtin_bswap64(x);
}

void
owner_map_init_key(struct owner_map *map, uint32_t n_workers, const uint8_t key[OWNER_KEY_SIZE])
{
	uint64_t window;

	memset(map, 0, sizeof(*map));
	memcpy(map->key, key, sizeof(map->key));
	rte_convert_rss_key((const uint32_t *)map->key, (uint32_t *)map->key_be, OWNER_KEY_SIZE);
	for (unsigned int i = 0; i < OWNER_WORDS_MAX; i++) {
		memcpy(&window, key + 4 * i, sizeof(window));
		map->windows[i] = reverse(be64toh(window));
	}
	map->n_workers = n_workers;
	owner_map_fit(map, OWNER_TABLE_SIZE);
}

void
owner_map_fit(struct owner_map *map, uint32_t size)
{
	for (uint32_t i = 0; i < OWNER_TABLE_SIZE; i++)
		map->table[i] = (uint8_t)(i % size % map->n_workers);
}

int
owner_map_init(struct owner_map *map, uint32_t n_workers)
{
	uint8_t key[OWNER_KEY_SIZE];

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -1;
	owner_map_init_key(map, n_workers, key);
	explicit_bzero(key, sizeof(key));
	return 0;
}

/*
 * The Toeplitz hash: bit j of it is the sum without carry of bit i of the input times bit i + j
 * of the key, over all i. Within a word that is bit 31 + j of the carry-less product
 * of the word, whose first bit is its highest, and of the key's bits from there on, whose
 * first bit is the lowest.
 */
static __attribute__((target("pclmul,sse4.1"))) uint32_t
toeplitz(const uint64_t *windows, const uint32_t *words, unsigned int n)
{
	__m128i sum = _mm_setzero_si128();

	for (unsigned int i = 0; i < n; i++) {
		__m128i word = _mm_cvtsi32_si128((int)words[i]);
		__m128i window = _mm_loadl_epi64((const __m128i *)&windows[i]);

		sum = _mm_xor_si128(sum, _mm_clmulepi64_si128(word, window, 0));
	}
	return (uint32_t)(reverse((uint64_t)_mm_cvtsi128_si64(sum) >> 31) >> 32);
}

bool
owner_map_multiply(struct owner_map *map)
{
	uint32_t words[OWNER_WORDS_MAX], state = 0x9e3779b9;

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.1"))
		return true;
	for (unsigned int trial = 0; trial < HASH_TRIALS; trial++) {
		unsigned int n = 1 + trial % OWNER_WORDS_MAX;
		/* xorshift32 (Marsaglia, 2003): the same words each time. */
		for (unsigned int i = 0; i < n; i++) {
			state ^= state << 13;
			state ^= state >> 17;
			state ^= state << 5;
			words[i] = state;
		}
		if (toeplitz(map->windows, words, n) != rte_softrss_be(words, n, map->key_be))
			return false;
	}
	map->multiplies = true;
	return true;
}

uint32_t
owner_hash(const struct owner_map *map, const struct flow *flow, bool is_v4)
{
	uint32_t words[OWNER_WORDS_MAX], n = 0;

	/* In host order, most significant bit first, as they lie on the wire. */
	for (unsigned int i = is_v4 ? 3 : 0; i < 4; i++)
		words[n++] = be32toh(flow->client.words_be[i]);
	for (unsigned int i = is_v4 ? 3 : 0; i < 4; i++)
		words[n++] = be32toh(flow->server.words_be[i]);
	words[n++] = (uint32_t)be16toh(flow->client_port_be) << 16 | be16toh(flow->server_port_be);
	return map->multiplies ? toeplitz(map->windows, words, n)
	                       : rte_softrss_be(words, n, map->key_be);
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
