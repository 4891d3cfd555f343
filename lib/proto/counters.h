/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters of one core. Written by its worker alone, read by anyone: both
 * sides use relaxed atomics, which on x86-64 are plain moves, so that a reader
 * sees whole values and nothing is ordered by them.
 */
#ifndef SYNFRONT_COUNTERS_H
#define SYNFRONT_COUNTERS_H

#include <stdint.h>

enum counter {
#define OUTCOME(name, class, help) COUNTER_##name,
#define COUNTER(name, help) COUNTER_##name,
#include "counters.def"
#undef OUTCOME
#undef COUNTER
	COUNTER_COUNT
};

_Static_assert(COUNTER_COUNT <= 1u << 8, "one byte says which");

enum outcome_class {
	OUTCOME_PASS,
	OUTCOME_ANSWER,
	OUTCOME_TAKEN,
	OUTCOME_DROP,
	OUTCOME_NOT
};

struct counter_info {
	const char *name;
	const char *would; /* "would_" and the name: what observe counts */
	const char *help;
	uint8_t class; /* enum outcome_class; OUTCOME_NOT for plain counters */
};

extern const struct counter_info counter_infos[COUNTER_COUNT];

struct counters {
	uint64_t values[COUNTER_COUNT];
};

static inline void
counter_add(struct counters *c, enum counter which, uint64_t n)
{
	uint64_t v = __atomic_load_n(&c->values[which], __ATOMIC_RELAXED);
	__atomic_store_n(&c->values[which], v + n, __ATOMIC_RELAXED);
}

static inline uint64_t
counter_read(const struct counters *c, enum counter which)
{
	return __atomic_load_n(&c->values[which], __ATOMIC_RELAXED);
}

#endif
