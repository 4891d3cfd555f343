/* SPDX-License-Identifier: BSD-3-Clause */
/* How long each of many things took, in microseconds. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LATENCIES_MAX (1u << 21)

struct latencies {
	uint32_t n, us[LATENCIES_MAX]; /* what is more than that is not kept */
};

static inline void
latency_note(struct latencies *list, uint64_t ticks, uint64_t hz)
{
	if (list->n < LATENCIES_MAX)
		list->us[list->n++] = (uint32_t)(ticks * 1000000 / hz);
}

static int
latency_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* As a member of a JSON object, after others: number, and the percentiles that a user asks for. */
static inline void
latency_print(const char *name, struct latencies *list)
{
	static const struct {
		const char *name;
		unsigned int per_mille;
	} points[] = { { "p50", 500 }, { "p99", 990 }, { "p999", 999 } };

	qsort(list->us, list->n, sizeof(list->us[0]), latency_compare);
	printf(", \"%s\": {\"n\": %u", name, list->n);
	for (size_t i = 0; list->n != 0 && i < sizeof(points) / sizeof(points[0]); i++)
		printf(", \"%s\": %u", points[i].name,
		       list->us[(uint64_t)(list->n - 1) * points[i].per_mille / 1000]);
	printf("}");
}

#endif
