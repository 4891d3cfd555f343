/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a core that changes, and images of it. Of a core with one service (number 0): its
 * head, that service, and all tables from the connections to the flows that are unfinished, which
 * lie behind each other. Of the blocks that early data is held in, their beginnings: more is never
 * held. What it knows of rates stays as it was (no limit is set that counts them), fragments too,
 * and the scratch of a burst is not looked at by the next one.
 */
#ifndef SYNFRONT_EXPLORE_INSIDE_H
#define SYNFRONT_EXPLORE_INSIDE_H

#include "core_state.h"

#define REGIONS 4u

struct region {
	uint8_t *at;
	size_t size;
};

/* In an image they lie behind each other, and behind them the beginnings of held blocks. */
static inline void
regions_of(const struct core *core, struct region r[REGIONS])
{
	uint8_t *tables = (uint8_t *)core->conns.conns, *held = core->pending.data;
	uint8_t *behind = (uint8_t *)core->backends.backends;
	uint8_t *end = (uint8_t *)core->syn_rate.cells;

	r[0] = (struct region){ (uint8_t *)core, offsetof(struct core, services) };
	r[1] = (struct region){ (uint8_t *)&core->services[0], sizeof(core->services[0]) };
	r[2] = (struct region){ tables, (size_t)(held - tables) };
	r[3] = (struct region){ behind, (size_t)(end - behind) };
}

/* Make the same of all images of this core, at `at`, between which nothing can tell from `now`
 * on. */
void inside_level(const struct core *core, uint8_t *at, const struct instant *now);

#endif
