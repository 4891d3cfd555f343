/* SPDX-License-Identifier: BSD-3-Clause */
/* A look at all counters for each key: it is a sample that comes here, and rarely. */
#include "heavy.h"

#include <stdlib.h>

#define TRIES 100

/* An odd turn is seen before anything that is written in it, and an even one after it; who copies
 * reads the turn, the rest, and the turn again, in this order. */
#define READ(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define WRITE(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELEASE)

static void
change_begin(struct heavy *h)
{
	WRITE(h->turn, h->turn + 1);
}

static void
change_end(struct heavy *h)
{
	WRITE(h->turn, h->turn + 1);
}

static void
slot_set(struct heavy_slot *slot, uint64_t key, uint32_t count, uint32_t error)
{
	WRITE(slot->key, key);
	WRITE(slot->count, count);
	WRITE(slot->error, error);
}

void
heavy_clear(struct heavy *h)
{
	change_begin(h);
	for (unsigned int i = 0; i < HEAVY_SLOTS; i++)
		slot_set(&h->slots[i], 0, 0, 0);
	WRITE(h->n_samples, 0);
	WRITE(h->weight, 0);
	change_end(h);
}

void
heavy_add(struct heavy *h, uint64_t key, uint32_t weight)
{
	struct heavy_slot *least = &h->slots[0], *slot = NULL;

	for (unsigned int i = 0; i < HEAVY_SLOTS; i++) {
		struct heavy_slot *s = &h->slots[i];
		if (s->key == key && s->count != 0) {
			slot = s;
			break;
		}
		if (s->count < least->count)
			least = s;
		if (s->count == 0)
			break;
	}
	change_begin(h);
	if (slot != NULL)
		WRITE(slot->count, slot->count + weight);
	else
		slot_set(least, key, least->count + weight, least->count);
	WRITE(h->n_samples, h->n_samples + 1);
	WRITE(h->weight, h->weight + weight);
	change_end(h);
}

bool
heavy_copy(const struct heavy *h, struct heavy *copy)
{
	for (unsigned int try = 0; try < TRIES; try++) {
		uint32_t turn = READ(h->turn);

		if (turn & 1)
			continue;
		copy->turn = 0;
		copy->n_samples = READ(h->n_samples);
		copy->weight = READ(h->weight);
		for (unsigned int i = 0; i < HEAVY_SLOTS; i++)
			copy->slots[i] = (struct heavy_slot){ READ(h->slots[i].key),
				                              READ(h->slots[i].count),
				                              READ(h->slots[i].error) };
		if (READ(h->turn) == turn)
			return true;
	}
	return false;
}

uint32_t
heavy_sum_add(struct heavy_sum *sums, uint32_t n, const struct heavy *from)
{
	for (unsigned int i = 0; i < HEAVY_SLOTS && from->slots[i].count != 0; i++)
		sums[n++] = (struct heavy_sum){ from->slots[i].key, from->slots[i].count,
			                        from->slots[i].error };
	return n;
}

static int
compare_keys(const void *a, const void *b)
{
	const struct heavy_sum *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int
compare_counts(const void *a, const void *b)
{
	const struct heavy_sum *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return compare_keys(a, b);
}

uint32_t
heavy_sum_finish(struct heavy_sum *sums, uint32_t n)
{
	uint32_t n_keys = 0;

	qsort(sums, n, sizeof(*sums), compare_keys);
	for (uint32_t i = 0; i < n; i++) {
		if (n_keys > 0 && sums[n_keys - 1].key == sums[i].key) {
			sums[n_keys - 1].count += sums[i].count;
			sums[n_keys - 1].error += sums[i].error;
		} else {
			sums[n_keys++] = sums[i];
		}
	}
	qsort(sums, n_keys, sizeof(*sums), compare_counts);
	return n_keys;
}
