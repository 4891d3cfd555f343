/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables that are full and caps that are hit. Of the connection table it is the use that counts,
 * since a full one evicts before it refuses; of the rest, that somebody was turned away: a counter
 * moves. It is over when none has been for a while, so that a cap that is touched again and again
 * is one event.
 */
#ifndef SYNFRONT_PRESSURE_H
#define SYNFRONT_PRESSURE_H

#include "events.h"
#include "plane_state.h"

/* The id of the connection table as an EVENT_TABLE_FULL; those of other tables follow, see
 * pressure.c. */
#define PRESSURE_CONNECTIONS 0u
#define PRESSURE_METERS 13u /* counters that say that somebody was turned away */

/* Starts as zeros, as the counters do. */
struct pressure {
	struct pressure_meter {
		uint64_t count;    /* as last seen */
		uint64_t begun;    /* when it began to move */
		uint64_t moved_ms; /* when it moved last */
	} meters[PRESSURE_METERS];
};

/* A few times a second. */
void pressure_look(struct pressure *pressure, const struct plane *plane, struct events *events,
                   uint64_t now_ms);

#endif
