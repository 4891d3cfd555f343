/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last events, for who asks afterwards. Control adds, the telemetry thread reads; a lock of
 * its own, held for a copy.
 */
#ifndef SYNFRONT_EVENT_RING_H
#define SYNFRONT_EVENT_RING_H

#include <stdint.h>

#define EVENT_RING_SIZE 128u
/* As strings of DPDK's telemetry hold it, and the rest is cut off. */
#define EVENT_RING_TEXT_SIZE 124

struct event_record {
	uint64_t number; /* from 1, without gaps */
	uint64_t wall_ms;
	const char *event, *state; /* static */
	char subject[64];
	char text[EVENT_RING_TEXT_SIZE];
};

void event_ring_add(const struct event_record *record);
/* Copies up to `max` records from `number` on, or from the oldest that is kept. How many. */
uint32_t event_ring_read(uint64_t number, struct event_record *records, uint32_t max);

#endif
