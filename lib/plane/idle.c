/* SPDX-License-Identifier: BSD-3-Clause */
#include "idle.h"

#define NS_PER_US 1000u

static unsigned int
clamp(uint64_t value, unsigned int least, unsigned int most)
{
	return value < least ? least : value > most ? most : (unsigned int)value;
}

const char *
idle_text(enum idle_way way)
{
	static const char *const texts[] = {
		[IDLE_POLL] = "polling",
		[IDLE_PAUSES] = "pauses",
		[IDLE_INTERRUPTS] = "interrupts",
	};

	return texts[way];
}

unsigned int
idle_rest_us(struct idle *idle, uint64_t now_us)
{
	uint64_t silent_us, costly_us;

	if (idle->way == IDLE_POLL)
		return 0;
	if (!idle->is_silent) {
		idle->is_silent = true;
		idle->since_us = now_us;
		idle->n_rests = 0;
	}
	silent_us = now_us - idle->since_us;
	if (silent_us < IDLE_SPIN_US)
		return 0;
	costly_us = (uint64_t)idle->cost_ns * IDLE_COST_FACTOR / NS_PER_US;
	if (idle->way == IDLE_INTERRUPTS)
		return clamp(costly_us, IDLE_WAIT_US, IDLE_COSTLY_WAIT_MAX_US);
	return clamp(silent_us / IDLE_GROWTH, 1,
	             clamp(costly_us, IDLE_PAUSE_MAX_US, IDLE_COSTLY_PAUSE_MAX_US));
}

/* A quarter of the news and three of what is known: something else may have had the CPU's time. */
void
idle_charge(struct idle *idle, uint64_t cpu_ns)
{
	if (idle->n_rests == IDLE_COST_RESTS) {
		uint64_t cost = (cpu_ns - idle->cpu_ns) / IDLE_COST_RESTS;
		uint32_t news = cost > UINT32_MAX ? UINT32_MAX : (uint32_t)cost;
		idle->cost_ns = idle->cost_ns == 0 ? news : idle->cost_ns / 4 * 3 + news / 4;
		idle->n_rests = 0;
	}
	idle->cpu_ns = cpu_ns;
}

bool
idle_late(struct idle *idle, enum side side)
{
	if (++idle->late[side] < IDLE_LATE_MAX)
		return false;
	__atomic_store_n(&idle->way, IDLE_PAUSES, __ATOMIC_RELAXED);
	return true;
}
