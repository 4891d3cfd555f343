/* SPDX-License-Identifier: BSD-3-Clause */
#include "hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wmmintrin.h>

#define LANES 4u
#define SLOTS_FIRST (1u << 16)

/* Each block of 16 bytes goes through two AES rounds in one of four lanes, under a key that
 * depends on where it stands; then the lanes go through each other. */
struct hash
hash_of(const void *bytes, size_t size, uint64_t salt)
{
	const __m128i step = _mm_set_epi64x(0x243f6a8885a308d3, 0x13198a2e03707344);
	__m128i key = _mm_set_epi64x((long long)size, (long long)salt);
	__m128i lanes[LANES];
	const uint8_t *p = bytes;
	struct hash hash;

	for (unsigned int i = 0; i < LANES; i++)
		lanes[i] = _mm_set_epi64x((long long)(i + 1), (long long)(salt * (i + 3)));
	for (unsigned int i = 0; size > 0; i = (i + 1) % LANES) {
		size_t n = size < 16 ? size : 16;
		uint8_t last[16] = { 0 };
		__m128i block;

		if (n == 16) {
			block = _mm_loadu_si128((const __m128i *)(const void *)p);
		} else {
			memcpy(last, p, n);
			block = _mm_loadu_si128((const __m128i *)(const void *)last);
		}
		key = _mm_add_epi64(key, step);
		lanes[i] = _mm_aesenc_si128(_mm_xor_si128(lanes[i], block), key);
		lanes[i] = _mm_aesenc_si128(lanes[i], step);
		p += n;
		size -= n;
	}
	__m128i sum = lanes[0];
	for (unsigned int i = 1; i < LANES; i++)
		sum = _mm_aesenc_si128(_mm_aesenc_si128(sum, key), lanes[i]);
	for (unsigned int i = 0; i < 3; i++)
		sum = _mm_aesenc_si128(sum, step);
	memcpy(&hash, &sum, sizeof(hash));
	return hash;
}

static void *
slots_or_die(size_t n)
{
	void *p = calloc(n, sizeof(struct hash));

	if (p == NULL) {
		fprintf(stderr, "explore: out of memory\n");
		exit(2);
	}
	return p;
}

void
hash_set_init(struct hash_set *set)
{
	*set = (struct hash_set){ .slots = slots_or_die(SLOTS_FIRST), .n_slots = SLOTS_FIRST };
}

void
hash_set_fini(struct hash_set *set)
{
	free(set->slots);
	memset(set, 0, sizeof(*set));
}

/* Where a hash is or would go. */
static struct hash *
slot_of(const struct hash_set *set, struct hash hash)
{
	size_t i = hash.low & (set->n_slots - 1);

	while ((set->slots[i].low | set->slots[i].high) != 0 &&
	       (set->slots[i].low != hash.low || set->slots[i].high != hash.high))
		i = (i + 1) & (set->n_slots - 1);
	return &set->slots[i];
}

static void
grow(struct hash_set *set)
{
	struct hash_set old = *set;

	set->n_slots *= 2;
	set->slots = slots_or_die(set->n_slots);
	for (size_t i = 0; i < old.n_slots; i++)
		if ((old.slots[i].low | old.slots[i].high) != 0)
			*slot_of(set, old.slots[i]) = old.slots[i];
	free(old.slots);
}

bool
hash_set_add(struct hash_set *set, struct hash hash)
{
	struct hash *slot = slot_of(set, hash);

	if ((slot->low | slot->high) != 0)
		return false;
	*slot = hash;
	if (++set->n * 3 > set->n_slots * 2)
		grow(set);
	return true;
}
