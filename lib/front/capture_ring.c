/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_ring.h"

#include <string.h>

_Static_assert(sizeof(struct capture_record) % 8 == 0, "records are multiples of 8 bytes");

void
capture_ring_init(struct capture_ring *ring, uint8_t *bytes)
{
	*ring = (struct capture_ring){ .bytes = bytes, .now_ms = UINT64_MAX };
}

static struct capture_record *
record_at(const struct capture_ring *ring, uint64_t place)
{
	return (struct capture_record *)(void *)(ring->bytes + place % CAPTURE_RING_SIZE);
}

static void
count(uint64_t *which)
{
	__atomic_store_n(which, __atomic_load_n(which, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static bool
has_budget(struct capture_ring *ring, uint64_t now_ms)
{
	if (ring->now_ms != now_ms) {
		ring->now_ms = now_ms;
		ring->budget = CAPTURE_PER_MS;
	}
	if (ring->budget == 0)
		return false;
	ring->budget--;
	return true;
}

uint8_t *
capture_ring_reserve(struct capture_ring *ring, const struct capture_record *record,
                     uint64_t now_ms)
{
	uint32_t size = (uint32_t)(sizeof(*record) + ((record->captured + 7u) & ~7u));
	uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE), head = ring->head;
	uint32_t to_end = CAPTURE_RING_SIZE - (uint32_t)(head % CAPTURE_RING_SIZE);
	uint32_t rest = size > to_end ? to_end : 0;

	if (!has_budget(ring, now_ms) || head + rest + size - tail > CAPTURE_RING_SIZE) {
		count(&ring->n_lost[record->side]);
		return NULL;
	}
	/* Where there is not even room for a record of nothing, none is looked for. */
	if (rest != 0) {
		if (rest >= sizeof(*record))
			record_at(ring, head)->len = 0;
		__atomic_store_n(&ring->head, head + rest, __ATOMIC_RELEASE);
		head += rest;
	}
	struct capture_record *r = record_at(ring, head);
	*r = *record;
	r->size = size;
	return (uint8_t *)(r + 1);
}

void
capture_ring_commit(struct capture_ring *ring)
{
	const struct capture_record *r = record_at(ring, ring->head);

	count(&ring->n_taken[r->side]);
	__atomic_store_n(&ring->head, ring->head + r->size, __ATOMIC_RELEASE);
}

const struct capture_record *
capture_ring_next(struct capture_ring *ring)
{
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);

	while (ring->tail != head) {
		uint32_t to_end = CAPTURE_RING_SIZE - (uint32_t)(ring->tail % CAPTURE_RING_SIZE);
		const struct capture_record *r = record_at(ring, ring->tail);
		if (to_end >= sizeof(*r) && r->len != 0)
			return r;
		__atomic_store_n(&ring->tail, ring->tail + to_end, __ATOMIC_RELEASE);
	}
	return NULL;
}

void
capture_ring_drop(struct capture_ring *ring)
{
	__atomic_store_n(&ring->tail, ring->tail + record_at(ring, ring->tail)->size,
	                 __ATOMIC_RELEASE);
}
