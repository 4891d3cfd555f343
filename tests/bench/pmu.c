/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of the processor. */
#include "pmu.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MISSES_OF_READS(cache) \
	((cache) | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

const struct pmu_event pmu_events[PMU_EVENTS] = {
	{ "clocks", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
	{ "branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES },
	{ "L1d-misses", PERF_TYPE_HW_CACHE, MISSES_OF_READS(PERF_COUNT_HW_CACHE_L1D) },
	{ "cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
};

bool
pmu_open(struct pmu *pmu, const struct pmu_event *events, unsigned int n)
{
	pmu->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct perf_event_attr attr = {
			.type = events[i].type,
			.size = sizeof(attr),
			.config = events[i].config,
			.disabled = i == 0, /* the others count when the first does */
			.exclude_kernel = 1,
			.exclude_hv = 1,
			.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
			               PERF_FORMAT_TOTAL_TIME_RUNNING,
		};
		long fd = syscall(SYS_perf_event_open, &attr, 0, -1, i == 0 ? -1 : pmu->fds[0],
		                  PERF_FLAG_FD_CLOEXEC);
		if (fd < 0) {
			pmu_close(pmu);
			return false;
		}
		pmu->fds[pmu->n++] = (int)fd;
	}
	return true;
}

void
pmu_close(struct pmu *pmu)
{
	while (pmu->n > 0)
		close(pmu->fds[--pmu->n]);
}

void
pmu_begin(const struct pmu *pmu)
{
	ioctl(pmu->fds[0], PERF_EVENT_IOC_ENABLE, 0);
}

void
pmu_end(const struct pmu *pmu)
{
	ioctl(pmu->fds[0], PERF_EVENT_IOC_DISABLE, 0);
}

bool
pmu_read(const struct pmu *pmu, uint64_t *counts)
{
	struct {
		uint64_t n, enabled, running, values[PMU_EVENTS_MAX];
	} got;
	ssize_t size = (ssize_t)(sizeof(uint64_t) * (3 + pmu->n));

	if (read(pmu->fds[0], &got, sizeof(got)) != size || got.n != pmu->n || got.running == 0 ||
	    got.running < got.enabled)
		return false;
	for (unsigned int i = 0; i < pmu->n; i++)
		counts[i] = got.values[i];
	return true;
}
