/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a flood comes from: nobody is named by chance, and who sends it is. */
#include <rte_cycles.h>

#include "check.h"
#include "talkers.h"
#include "talkers_top.h"

#define LIST_MAX 8u

static struct core_talk talk;
static struct plane plane;

/* In the place of a core that has sampled one outcome. */
bool
core_talk(const struct core *core, uint32_t number, bool would, struct core_talk *copy)
{
	(void)core;
	*copy = talk;
	return number == 0 && !would;
}

static void
sample(uint32_t host, uint32_t n, uint32_t weight)
{
	for (uint32_t i = 0; i < n; i++) {
		heavy_add(&talk.hosts[0], host, weight);
		heavy_add(&talk.nets[0], host & 0xffffff00u, weight);
	}
}

static void
begin(void)
{
	memset(&talk, 0, sizeof(talk));
	talk.outcome = COUNTER_answered_syn_cookie;
}

/* Each twice, from all over: 1 % of 200 samples, and 2 % with one more of them. */
static void
test_chance_is_not_named(void)
{
	struct talker list[LIST_MAX];

	begin();
	for (uint32_t i = 0; i < 100; i++)
		sample(0x0a000001 + (i << 16), 2, 1);
	CU_ASSERT_EQUAL(talkers_of_service(&plane, 0, list, LIST_MAX), 0);
	/* The weight of a sample makes it no surer. */
	begin();
	for (uint32_t i = 0; i < 100; i++)
		sample(0x0a000001 + (i << 16), 2, 64);
	CU_ASSERT_EQUAL(talkers_of_service(&plane, 0, list, LIST_MAX), 0);
}

/* `talkers` shows all that there was: there every frame of a quiet service is a sample. */
static void
test_of_an_outcome_all_are_named(void)
{
	static struct talkers_top top;
	const struct talkers_pair pair = { .outcome = COUNTER_answered_syn_cookie };

	begin();
	sample(0x0a000001, 2, 1);
	CU_ASSERT_TRUE_FATAL(talkers_top(&plane, &pair, &top));
	CU_ASSERT_EQUAL(top.n, 1);
}

static void
test_ten_samples_are_named(void)
{
	struct talker list[LIST_MAX];

	for (uint32_t n = 9; n <= 10; n++) {
		begin();
		for (uint32_t i = 0; i < 100; i++)
			sample(0x0a000001 + (i << 16), 2, 4);
		for (uint32_t i = 0; i < n; i++)
			sample(0xc0000200 + i, 1, 4);
		CU_ASSERT_EQUAL(talkers_of_service(&plane, 0, list, LIST_MAX), n == 10);
	}
	CU_ASSERT_EQUAL(list[0].prefix.len, 120);
	CU_ASSERT_EQUAL(list[0].frames, 40);
}

/* A prefix with 1 % of a flood, as soon as that is ten samples. */
static void
test_one_percent_is_named(void)
{
	struct talker list[LIST_MAX];

	begin();
	sample(0xc0000207, 40, 1);
	for (uint32_t i = 0; i < 180; i++)
		sample(0x0a000001 + (i << 16), 22, 1);
	unsigned int n = talkers_of_service(&plane, 0, list, LIST_MAX);
	CU_ASSERT(n >= 1);
	CU_ASSERT_EQUAL(list[0].prefix.len, 128);
	CU_ASSERT_EQUAL(list[0].frames, 40);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_chance_is_not_named),
		CHECK_TEST(test_of_an_outcome_all_are_named),
		CHECK_TEST(test_ten_samples_are_named),
		CHECK_TEST(test_one_percent_is_named),
		CU_TEST_INFO_NULL,
	};
	static struct worker worker;
	static struct worker *workers[] = { &worker };

	plane.n_workers = 1;
	memcpy(plane.workers, workers, sizeof(workers));
	plane.base_tsc = rte_rdtsc();
	plane.tsc_per_ms = UINT64_C(1) << 40; /* the first window never ends */
	return check_run("talkers_top", tests);
}
