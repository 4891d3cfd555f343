/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the processor itself counts of a stretch of code, as `perf stat` shows it: clocks,
 * instructions, what the caches and the branch predictor missed. By perf_event_open(2), of the
 * calling thread, in user mode alone. Many virtual machines have no such counters.
 */
#ifndef SYNFRONT_PMU_H
#define SYNFRONT_PMU_H

#include <stdbool.h>
#include <stdint.h>

#define PMU_EVENTS_MAX 8

struct pmu_event {
	const char *name;
	uint32_t type; /* PERF_TYPE_* */
	uint64_t config;
};

/* As many as processors count at once beside the kernel's watchdog. */
#define PMU_EVENTS 5
extern const struct pmu_event pmu_events[PMU_EVENTS];

struct pmu {
	unsigned int n;
	int fds[PMU_EVENTS_MAX]; /* of one group, so that all count the same stretch */
};

/* All of `n` events, not counting yet. False, with nothing open, if one cannot be had. */
bool pmu_open(struct pmu *pmu, const struct pmu_event *events, unsigned int n);
void pmu_close(struct pmu *pmu);

/* Around what is to be counted; what several such stretches count is added up. */
void pmu_begin(const struct pmu *pmu);
void pmu_end(const struct pmu *pmu);

/* What has been counted, in the order of the events. False if the counters were not given to us
 * for all of the time. */
bool pmu_read(const struct pmu *pmu, uint64_t *counts);

#endif
