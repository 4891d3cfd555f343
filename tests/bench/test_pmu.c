/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of the processor, by those that the kernel keeps itself, which every machine has. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/mman.h>

#include "check.h"
#include "pmu.h"

#define SKIPPED 77 /* meson's word for it */
#define PAGES 64u
#define PAGE_SIZE 4096u

static const struct pmu_event kept[] = {
	{ "page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
	{ "task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
};

static void
touch_pages(void)
{
	uint8_t *pages = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
	                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(pages, MAP_FAILED);
	madvise(pages, PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	for (unsigned int i = 0; i < PAGES; i++)
		((volatile uint8_t *)pages)[i * PAGE_SIZE] = 1;
	munmap(pages, PAGES * PAGE_SIZE);
}

/* Only what stands between begin and end, and all of these together. */
static void
test_counts_what_is_between(void)
{
	uint64_t counts[2] = { 0 };
	struct pmu pmu;

	CU_ASSERT_FATAL(pmu_open(&pmu, kept, 2));
	touch_pages();
	for (unsigned int i = 0; i < 3; i++) {
		pmu_begin(&pmu);
		touch_pages();
		pmu_end(&pmu);
		touch_pages();
	}
	CU_ASSERT(pmu_read(&pmu, counts));
	CU_ASSERT(counts[0] >= 3 * PAGES && counts[0] < 4 * PAGES);
	CU_ASSERT(counts[1] > 0);
	pmu_close(&pmu);
}

static void
test_nothing_counted_is_no_count(void)
{
	uint64_t counts[2];
	struct pmu pmu;

	CU_ASSERT_FATAL(pmu_open(&pmu, kept, 2));
	CU_ASSERT_FALSE(pmu_read(&pmu, counts));
	pmu_close(&pmu);
}

/* One that does not exist: none is open. */
static void
test_all_or_none(void)
{
	const struct pmu_event events[] = { kept[0], { "none", PERF_TYPE_SOFTWARE, 1u << 20 } };
	struct pmu pmu;

	CU_ASSERT_FALSE(pmu_open(&pmu, events, 2));
	CU_ASSERT_EQUAL(pmu.n, 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_counts_what_is_between),
		CHECK_TEST(test_nothing_counted_is_no_count),
		CHECK_TEST(test_all_or_none),
		CU_TEST_INFO_NULL,
	};
	struct pmu pmu;

	if (!pmu_open(&pmu, kept, 2) && (errno == EACCES || errno == EPERM)) {
		printf("perf_event_open(2) is not allowed here\n");
		return SKIPPED;
	}
	pmu_close(&pmu);
	return check_run("pmu", tests);
}
