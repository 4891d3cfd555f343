/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a worker sleeps until it has something to do: what its queues, and other workers that have
 * segments for it, wake it by. The worker's own, but for wakeup_open() and wakeup_others().
 *
 * What has come before the sleep wakes nobody, so the order is: arm, look at all queues once
 * more, wait. Interrupts are armed once and stay so until one comes or frames are found.
 *
 * Memory order: a worker sets its bit in plane->waiting and then looks at its rings; who gives it a
 * segment puts it into the ring and then looks at the bit. Both have a full barrier between
 * the two, so one of them sees the other's.
 */
#ifndef SYNFRONT_WAKEUP_H
#define SYNFRONT_WAKEUP_H

#include <rte_epoll.h>
#include <stdbool.h>

#include "idle.h"

struct worker;
struct plane;

struct wakeup {
	int epoll, event; /* -1: there is none; the event is for other workers to signal */
	bool is_armed;
	bool has_timed_out; /* the last round was waited for in vain */
	uint8_t told;       /* sides that an interrupt came from before this round */
	uint8_t armable;    /* sides whose driver wants its interrupts enabled each time */
	struct rte_epoll_event descriptors[SIDE_COUNT + 2]; /* those that are no driver's */
	uint8_t n_descriptors;
};

/* Control, before the worker runs and with its ports started: find out what it can be woken by. The
 * way in which it will rest. */
enum idle_way wakeup_open(struct worker *worker);
/* Its ports may be closed by then. */
void wakeup_close(struct worker *worker);

void wakeup_arm(struct worker *worker);
void wakeup_disarm(struct worker *worker);
/* Until something comes, or for so long. */
void wakeup_wait(struct worker *worker, unsigned int most_us);

/* The first round after a wait found frames at these sides (bits). Ports whose interrupts do not
 * come are given up. */
void wakeup_judge(struct worker *worker, unsigned int found);

/* A worker has put segments into rings of others (bits): wake those that sleep. */
void wakeup_others(struct plane *plane, uint64_t others);

#endif
