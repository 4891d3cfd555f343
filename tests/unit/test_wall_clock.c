/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers' wall clock keeps in step with one that ticks otherwise, and with one that is set. */
#include "wall_clock.h"

#include <stdlib.h>

#include "check.h"

#define BASE_MS UINT64_C(1764000000000)

/* An hour of a counter that is wrong by 0.2 %, which DPDK's rounding may be. */
static void
test_a_wrong_rate_is_made_up_for(void)
{
	for (int wrong = -2; wrong <= 2; wrong += 4) {
		uint64_t base = BASE_MS, last = base - 1;
		int64_t worst = 0;

		for (uint64_t ms = 0; ms < 3600 * 1000; ms += 250) {
			uint64_t counter = ms + (uint64_t)((int64_t)ms * wrong / 1000);

			base = wall_clock_base(base, counter, BASE_MS + ms);
			int64_t off = (int64_t)(base + counter - (BASE_MS + ms));
			worst = llabs(off) > worst ? llabs(off) : worst;
			/* Small steps: time goes on between two looks. */
			CU_ASSERT(base + counter > last);
			last = base + counter;
		}
		CU_ASSERT(worst < 4); /* the unit of TSvals */
	}
}

static void
test_whole_milliseconds_are_no_difference(void)
{
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 500, BASE_MS + 499), BASE_MS);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 500, BASE_MS + 501), BASE_MS);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 500, BASE_MS + 502), BASE_MS + 2);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 500, BASE_MS + 498), BASE_MS - 2);
}

static void
test_a_slew_is_slow_and_a_set_clock_is_followed(void)
{
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 7, BASE_MS + 7 + 999),
	                BASE_MS + WALL_CLOCK_SLEW_MS);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 7, BASE_MS + 7 - 999),
	                BASE_MS - WALL_CLOCK_SLEW_MS);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 7, BASE_MS + 7 + 1000), BASE_MS + 1000);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 7, BASE_MS + 7 - 1000), BASE_MS - 1000);
	CU_ASSERT_EQUAL(wall_clock_base(BASE_MS, 7, BASE_MS + 7 - 7200000), BASE_MS - 7200000);
}

/* A worker's time does not go back by a slew, and does when the clock was set back. */
static void
test_a_worker_waits_out_a_slew(void)
{
	struct plane *plane = calloc(1, sizeof(*plane));

	CU_ASSERT_PTR_NOT_NULL_FATAL(plane);
	plane->base_wall_ms = BASE_MS;
	CU_ASSERT_EQUAL(wall_clock_next_ms(plane, 10, BASE_MS + 9), BASE_MS + 10);
	CU_ASSERT_EQUAL(wall_clock_next_ms(plane, 10, BASE_MS + 12), BASE_MS + 12);
	CU_ASSERT_EQUAL(wall_clock_next_ms(plane, 10, BASE_MS + 10 + 499), BASE_MS + 10 + 499);
	CU_ASSERT_EQUAL(wall_clock_next_ms(plane, 10, BASE_MS + 10 + 500), BASE_MS + 10);
	CU_ASSERT_EQUAL(wall_clock_next_ms(plane, 10, BASE_MS + 10 + 7200000), BASE_MS + 10);
	free(plane);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_a_wrong_rate_is_made_up_for),
		CHECK_TEST(test_whole_milliseconds_are_no_difference),
		CHECK_TEST(test_a_slew_is_slow_and_a_set_clock_is_followed),
		CHECK_TEST(test_a_worker_waits_out_a_slew),
		CU_TEST_INFO_NULL,
	};

	return check_run("wall_clock", tests);
}
