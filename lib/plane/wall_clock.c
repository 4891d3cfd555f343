/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers' wall clock: see wall_clock.h. */
#include "wall_clock.h"

#include <time.h>

#include <rte_cycles.h>

static uint64_t
system_ms(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
}

uint64_t
wall_clock_begin(struct plane *plane)
{
	plane->tsc_per_ms = rte_get_tsc_hz() / 1000;
	plane->base_tsc = rte_rdtsc();
	plane->base_wall_ms = system_ms();
	return plane->base_wall_ms / 1000;
}

uint64_t
wall_clock_base(uint64_t base_ms, uint64_t now_ms, uint64_t wall_ms)
{
	int64_t ahead = (int64_t)(wall_ms - (base_ms + now_ms));

	if (ahead <= -WALL_CLOCK_SET_MS || ahead >= WALL_CLOCK_SET_MS)
		return base_ms + (uint64_t)ahead;
	/* Both count whole milliseconds. */
	if (ahead >= -1 && ahead <= 1)
		return base_ms;
	if (ahead > WALL_CLOCK_SLEW_MS)
		ahead = WALL_CLOCK_SLEW_MS;
	else if (ahead < -WALL_CLOCK_SLEW_MS)
		ahead = -WALL_CLOCK_SLEW_MS;
	return base_ms + (uint64_t)ahead;
}

void
wall_clock_follow(struct plane *plane)
{
	uint64_t now_ms = (rte_rdtsc() - plane->base_tsc) / plane->tsc_per_ms;

	__atomic_store_n(&plane->base_wall_ms,
	                 wall_clock_base(plane->base_wall_ms, now_ms, system_ms()),
	                 __ATOMIC_RELAXED);
}
