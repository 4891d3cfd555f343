/* SPDX-License-Identifier: BSD-3-Clause */
#include "event_ring.h"

#include <pthread.h>

static struct {
	pthread_mutex_t lock;
	uint64_t last;                                /* number; 0: there is none */
	struct event_record records[EVENT_RING_SIZE]; /* by number modulo the size */
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
event_ring_add(const struct event_record *record)
{
	pthread_mutex_lock(&ring.lock);
	ring.last = record->number;
	ring.records[record->number % EVENT_RING_SIZE] = *record;
	pthread_mutex_unlock(&ring.lock);
}

uint32_t
event_ring_read(uint64_t number, struct event_record *records, uint32_t max)
{
	uint32_t n = 0;

	pthread_mutex_lock(&ring.lock);
	uint64_t oldest = ring.last >= EVENT_RING_SIZE ? ring.last - EVENT_RING_SIZE + 1 : 1;
	for (uint64_t i = number > oldest ? number : oldest; i <= ring.last && n < max; i++)
		records[n++] = ring.records[i % EVENT_RING_SIZE];
	pthread_mutex_unlock(&ring.lock);
	return n;
}
