/* SPDX-License-Identifier: BSD-3-Clause */
/* For how long a worker with nothing to do rests, and what ends that. */
#include "check.h"
#include "idle.h"

#define BEGIN_US 5000000u

/* In silence since BEGIN_US. */
static struct idle
silent(enum idle_way way)
{
	struct idle idle = { .way = way };

	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US), 0);
	return idle;
}

static void
test_poll_never_rests(void)
{
	struct idle idle = silent(IDLE_POLL);

	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US + 3600000000u), 0);
}

static void
test_spin_comes_first(void)
{
	struct idle by_clock = silent(IDLE_PAUSES), by_interrupt = silent(IDLE_INTERRUPTS);

	CU_ASSERT_EQUAL(idle_rest_us(&by_clock, BEGIN_US + IDLE_SPIN_US - 1), 0);
	CU_ASSERT_EQUAL(idle_rest_us(&by_interrupt, BEGIN_US + IDLE_SPIN_US - 1), 0);
	CU_ASSERT_EQUAL(idle_rest_us(&by_clock, BEGIN_US + IDLE_SPIN_US),
	                IDLE_SPIN_US / IDLE_GROWTH);
	CU_ASSERT_EQUAL(idle_rest_us(&by_interrupt, BEGIN_US + IDLE_SPIN_US), IDLE_WAIT_US);
}

/* Never shorter than before, never longer than an eighth of the silence or the bound. */
static void
test_pauses_grow_within_bounds(void)
{
	struct idle idle = silent(IDLE_PAUSES);
	unsigned int before = 0;

	for (uint64_t us = IDLE_SPIN_US; us < 2000000; us += 7) {
		unsigned int pause = idle_rest_us(&idle, BEGIN_US + us);
		CU_ASSERT_TRUE_FATAL(pause >= before && pause > 0);
		CU_ASSERT_TRUE_FATAL(pause <= us / IDLE_GROWTH && pause <= IDLE_PAUSE_MAX_US);
		before = pause;
	}
	CU_ASSERT_EQUAL(before, IDLE_PAUSE_MAX_US);
}

static void
test_first_frame_ends_silence(void)
{
	struct idle idle = silent(IDLE_PAUSES);

	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US + 1000000), IDLE_PAUSE_MAX_US);
	idle_found(&idle);
	/* A new silence, with a time of polling of its own. */
	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US + 1000010), 0);
	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US + 1000010 + IDLE_SPIN_US - 1), 0);
	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US + 1000010 + IDLE_SPIN_US),
	                IDLE_SPIN_US / IDLE_GROWTH);
}

/* Rests that take this much CPU time each; the length of those that follow. */
static unsigned int
longest_at(struct idle *idle, uint64_t cost_ns, unsigned int n_rests)
{
	static uint64_t cpu_ns = 1000;

	for (unsigned int i = 0; i < n_rests; i++) {
		if (idle_wants_cost(idle))
			idle_charge(idle, cpu_ns);
		idle->n_rests++;
		cpu_ns += cost_ns;
	}
	return idle_rest_us(idle, BEGIN_US + 10000000);
}

/* The share of the CPU stays the same where a rest costs more, up to a bound. */
static void
test_costly_pauses_are_longer(void)
{
	struct idle idle = silent(IDLE_PAUSES);

	CU_ASSERT_EQUAL(longest_at(&idle, 2000, 200), IDLE_PAUSE_MAX_US);
	/* One measurement is not believed at once. */
	unsigned int early = longest_at(&idle, 20000, IDLE_COST_RESTS + 1);
	CU_ASSERT_TRUE(early > IDLE_PAUSE_MAX_US && early < 500);
	unsigned int late = longest_at(&idle, 20000, 40 * IDLE_COST_RESTS);
	CU_ASSERT_TRUE(late > 490 && late <= 500);
	CU_ASSERT_EQUAL(longest_at(&idle, 1000000, 40 * IDLE_COST_RESTS), IDLE_COSTLY_PAUSE_MAX_US);
	CU_ASSERT_EQUAL(longest_at(&idle, UINT64_C(1) << 40, 40 * IDLE_COST_RESTS),
	                IDLE_COSTLY_PAUSE_MAX_US);
	CU_ASSERT_EQUAL(longest_at(&idle, 1000, 100 * IDLE_COST_RESTS), IDLE_PAUSE_MAX_US);
}

/* ... and so does a worker look at its timers less often that interrupts would wake. */
static void
test_costly_waits_are_longer(void)
{
	struct idle idle = silent(IDLE_INTERRUPTS);

	CU_ASSERT_EQUAL(longest_at(&idle, 20000, 40 * IDLE_COST_RESTS), IDLE_WAIT_US);
	unsigned int wait = longest_at(&idle, 80000, 40 * IDLE_COST_RESTS);
	CU_ASSERT_TRUE(wait > 1980 && wait <= 2000);
	CU_ASSERT_EQUAL(longest_at(&idle, 1000000, 40 * IDLE_COST_RESTS), IDLE_COSTLY_WAIT_MAX_US);
}

/* What was used between two silences is no rest's. */
static void
test_cost_is_of_rests_alone(void)
{
	struct idle idle = silent(IDLE_PAUSES);

	idle_charge(&idle, 1000);
	idle.n_rests = IDLE_COST_RESTS;
	idle_charge(&idle, 1000 + 2000 * IDLE_COST_RESTS);
	CU_ASSERT_EQUAL(idle.cost_ns, 2000);
	idle.n_rests = 5;
	idle_found(&idle);
	idle_rest_us(&idle, BEGIN_US + 1);
	CU_ASSERT_TRUE(idle_wants_cost(&idle));
	idle_charge(&idle, 900000000);
	CU_ASSERT_EQUAL(idle.cost_ns, 2000);
}

/* One side that never tells, while the other does; each time that one tells counts from zero. */
static void
test_late_frames_end_interrupts(void)
{
	struct idle idle = silent(IDLE_INTERRUPTS);

	for (unsigned int i = 0; i < 10 * IDLE_LATE_MAX; i++) {
		CU_ASSERT_FALSE(idle_late(&idle, SIDE_OUTSIDE));
		if (i % (IDLE_LATE_MAX - 1) == IDLE_LATE_MAX - 2)
			idle_told(&idle, SIDE_OUTSIDE);
	}
	CU_ASSERT_EQUAL(idle_way(&idle), IDLE_INTERRUPTS);
	for (unsigned int i = 1; i < IDLE_LATE_MAX; i++) {
		CU_ASSERT_FALSE(idle_late(&idle, SIDE_INSIDE));
		idle_told(&idle, SIDE_OUTSIDE);
	}
	CU_ASSERT_TRUE(idle_late(&idle, SIDE_INSIDE));
	CU_ASSERT_EQUAL(idle_way(&idle), IDLE_PAUSES);
	CU_ASSERT_EQUAL(idle_rest_us(&idle, BEGIN_US + 1000000), IDLE_PAUSE_MAX_US);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_poll_never_rests),
	CHECK_TEST(test_spin_comes_first),
	CHECK_TEST(test_pauses_grow_within_bounds),
	CHECK_TEST(test_first_frame_ends_silence),
	CHECK_TEST(test_costly_pauses_are_longer),
	CHECK_TEST(test_costly_waits_are_longer),
	CHECK_TEST(test_cost_is_of_rests_alone),
	CHECK_TEST(test_late_frames_end_interrupts),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("idle", tests);
}
