/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control thread looks out for and the packet path cannot see: a wall clock that
 * is set, a worker or the whole process that stands still, a link that goes, a port that is
 * lost, a queue that does not work, what others undo or delete. Each is an event, or logged, when it
 * begins and when it is over.
 */
#ifndef SYNFRONT_WATCH_H
#define SYNFRONT_WATCH_H

#include "events.h"
#include "plane.h"
#include "queue_watch.h"

struct watch {
	struct plane *plane;
	struct events *events;
	uint64_t monotonic_ms, wall_ms; /* of the last look */
	bool is_port_lost;              /* one of them; for good */
	bool all_move;                  /* each worker has moved between the last two looks */
	int telemetry;                  /* the socket's file (O_PATH), -1: none */
	struct watched_worker {
		uint64_t loops;    /* as last seen */
		uint64_t since_ms; /* since when */
		bool is_still;
	} workers[CONF_WORKERS_MAX];
	struct queue_watch queues[CONF_WORKERS_MAX][SIDE_COUNT];
};

/* When the plane has been started, and before privileges are given up. */
void watch_init(struct watch *watch, struct plane *plane, struct events *events);
/* From now on. */
void watch_begin(struct watch *watch);
/* One look; a few times a second. */
void watch_step(struct watch *watch);

#endif
