/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a worker with nothing to do rests: for how long, and when it gives up on interrupts that do
 * not come. Time and what was found go in, a decision comes out; nothing here waits (wakeup.h
 * and worker.c do). A worker's own.
 *
 * Silence begins with the first round that finds nothing. For IDLE_SPIN_US the worker polls on: as
 * long as falling asleep and being woken takes, so that it pays at most twice what it would
 * with foresight. Then it rests until an interrupt comes, if all of its queues have one, or
 * for pauses that grow with the silence.
 */
#ifndef SYNFRONT_IDLE_H
#define SYNFRONT_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

#define IDLE_SPIN_US 200u
/* Pauses are an eighth of the silence so far, so that a frame is late by at most an eighth of the
 * time that nobody sent one; and no longer than this, so that it is late by at most 100 us, with
 * some of them for the waking. */
#define IDLE_GROWTH 8u
#define IDLE_PAUSE_MAX_US 60u
/* The longest a worker sleeps when no interrupt comes: it has timers, and answers to control. */
#define IDLE_WAIT_US 1000u
/*
 * A rest that the clock ends takes 2 us of CPU on most machines, and 30 where a hypervisor runs in
 * another. So a rest is no shorter than this many times what one has taken, whatever that
 * does to the first frame: a worker takes at most 4 % of its CPU.
 */
#define IDLE_COST_FACTOR 25u
#define IDLE_COSTLY_PAUSE_MAX_US 1000u
#define IDLE_COSTLY_WAIT_MAX_US 4000u
/* So many rests are measured at once: to ask for a thread's time takes a system call. */
#define IDLE_COST_RESTS 16u
/* So many frames in a row that no interrupt told of: the port gives none. */
#define IDLE_LATE_MAX 8u

enum idle_way {
	IDLE_POLL,       /* it does not rest (`idle: poll`) */
	IDLE_PAUSES,     /* by the clock */
	IDLE_INTERRUPTS, /* until its queues have frames */
};

struct idle {
	enum idle_way way;
	bool is_silent;
	uint64_t since_us;        /* is_silent: since when */
	unsigned int n_rests;     /* since cpu_ns was asked for */
	uint64_t cpu_ns;          /* of this thread, then */
	uint32_t cost_ns;         /* what one rest has taken of the CPU lately */
	uint8_t late[SIDE_COUNT]; /* frames in a row that no interrupt told of */
};

/* "polling", "pauses", "interrupts". */
const char *idle_text(enum idle_way way);

/* Any thread: it may change while the worker runs. */
static inline enum idle_way
idle_way(const struct idle *idle)
{
	return __atomic_load_n(&idle->way, __ATOMIC_RELAXED);
}

/* A round found frames. */
static inline void
idle_found(struct idle *idle)
{
	idle->is_silent = false;
}

/* A round found nothing, at this time: for how long to rest now; 0: not at all. */
unsigned int idle_rest_us(struct idle *idle, uint64_t now_us);

/* Before a rest: is this thread's CPU time wanted? Then idle_charge() tells it. */
static inline bool
idle_wants_cost(const struct idle *idle)
{
	return idle->n_rests == 0 || idle->n_rests == IDLE_COST_RESTS;
}

void idle_charge(struct idle *idle, uint64_t cpu_ns);

/* After a rest for interrupts: one came from this side, and frames were waiting there. */
static inline void
idle_told(struct idle *idle, enum side side)
{
	idle->late[side] = 0;
}

/* None came, and a frame was there all the same. True if that is too much: the way is IDLE_PAUSES
 * from now on. */
bool idle_late(struct idle *idle, enum side side);

#endif
