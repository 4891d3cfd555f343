/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a queue does what it is there for. A port may have fewer than its driver says: what
 * is given to one that the device does not read stays in its ring for good, and when that is
 * full the driver takes no more. And a hash that does not spread leaves a receive
 * queue, and its worker, with nothing.
 */
#ifndef SYNFRONT_QUEUE_WATCH_H
#define SYNFRONT_QUEUE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* Of one worker on one port; starts as zeros. */
struct queue_watch {
	uint64_t sent, refused; /* as last seen */
	uint64_t since_ms;      /* since when `sent` has not grown */
	bool is_stuck;
	bool is_empty_told;
};

/*
 * Look at a transmit queue: how many frames the driver took from this worker in all, and how
 * many it refused. True when that it is stuck, or no longer is, is news: it is stuck if it
 * has refused frames for two seconds and taken none. `is_up`: the link; no queue moves
 * while that is down.
 */
bool queue_watch_sends(struct queue_watch *watch, uint64_t sent, uint64_t refused, bool is_up,
                       uint64_t now_ms);

/*
 * Look at a receive queue: how many frames this one brought, and all of the port's n together.
 * True once, if this one has brought none of so many that chance does not explain it.
 */
bool queue_watch_brings(struct queue_watch *watch, uint64_t brought, uint64_t all, unsigned int n);

#endif
