/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers' wall clock: the time stamp counter, held in step with the system's clock.
 *
 * TSvals are made of it, and in mode handoff another machine reads them by its own clock: how long
 * the first round trip took, and whether an echo is fresh (synfront-adopt). The counter alone does
 * not do for that: where the processor does not tell its rate DPDK measures it for a tenth of a
 * second and rounds to 10 MHz (eal_timer.c of DPDK 22.11), and 0.2 % of error are three minutes a
 * day. And the system's clock is set and slewed by NTP.
 *
 * Control looks at both several times a second. What they differ by is made up for in small steps,
 * of which no connection notices anything; from a second on the clock was set, and is followed at
 * once. What workers measure intervals by, instant.now_ms, is the counter alone.
 */
#ifndef SYNFRONT_WALL_CLOCK_H
#define SYNFRONT_WALL_CLOCK_H

#include <stdint.h>

#include "plane_state.h"

#define WALL_CLOCK_SET_MS 1000 /* the clock was set: from this difference on */
#define WALL_CLOCK_SLEW_MS \
	2 /* at most, each time that control looks: 0.8 % at four times a second */

/* Control, before there are workers: from now on. Returns the wall clock in seconds. */
uint64_t wall_clock_begin(struct plane *plane);

/* Control, several times a second: keep in step. */
void wall_clock_follow(struct plane *plane);

/* The part of it without clocks: what is to be added to the counter's milliseconds, of which there
 * are `now_ms`, where it has been `base_ms` so far and the system's clock says `wall_ms`. */
uint64_t wall_clock_base(uint64_t base_ms, uint64_t now_ms, uint64_t wall_ms);

/* Any thread: milliseconds since 1970 when the counter is at `now_ms`. Relaxed: a value as old as the
 * last look is as good. */
static inline uint64_t
wall_clock_ms(const struct plane *plane, uint64_t now_ms)
{
	return __atomic_load_n(&plane->base_wall_ms, __ATOMIC_RELAXED) + now_ms;
}

/* The same for a worker whose last value was `last_ms`: it does not go back by a slew, so that no
 * echo seems to be older than what it echoes. */
static inline uint64_t
wall_clock_next_ms(const struct plane *plane, uint64_t now_ms, uint64_t last_ms)
{
	uint64_t ms = wall_clock_ms(plane, now_ms);
	bool is_slewed = ms < last_ms && last_ms - ms < WALL_CLOCK_SET_MS / 2;

	return is_slewed ? last_ms : ms;
}

#endif
