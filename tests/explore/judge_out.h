/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules that a frame can break that leaves: numbers, options and times that it tells an end. */
#ifndef SYNFRONT_EXPLORE_JUDGE_OUT_H
#define SYNFRONT_EXPLORE_JUDGE_OUT_H

#include "engine.h"

/* A step of the engine, with what was before it. */
struct judged {
	struct world *w;
	struct core *core;
	unsigned int worker;
	const struct seg *in; /* NULL: a timer */
	struct counters counters;
	struct core_usage usage;
	struct service_view view;
	struct inside_entry entry; /* of the segment's flow */
};

static inline uint64_t
grew(const struct judged *j, enum counter which)
{
	return core_counters(j->core)->values[which] - j->counters.values[which];
}

/* All that left in this step. */
void judge_out(const struct judged *j);

#endif
