/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue_watch.h"

#define STUCK_MS 2000u
/* Frames for each queue: of a few long flows all may meet in one. */
#define EMPTY_MIN 100000u

bool
queue_watch_sends(struct queue_watch *watch, uint64_t sent, uint64_t refused, bool is_up,
                  uint64_t now_ms)
{
	bool was_stuck = watch->is_stuck;

	if (sent != watch->sent || refused == watch->refused || !is_up) {
		/* That nothing more is refused does not say that it moves again. */
		if (sent != watch->sent)
			watch->is_stuck = false;
		watch->sent = sent;
		watch->since_ms = now_ms;
	} else if (now_ms - watch->since_ms >= STUCK_MS) {
		watch->is_stuck = true;
	}
	watch->refused = refused;
	return watch->is_stuck != was_stuck;
}

bool
queue_watch_brings(struct queue_watch *watch, uint64_t brought, uint64_t all, unsigned int n)
{
	if (watch->is_empty_told || brought != 0 || n < 2 || all < (uint64_t)EMPTY_MIN * n)
		return false;
	watch->is_empty_told = true;
	return true;
}
