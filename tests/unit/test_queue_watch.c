/* SPDX-License-Identifier: BSD-3-Clause */
/* When a queue that takes nothing, or brings nothing, is worth a word. */
#include "check.h"
#include "queue_watch.h"

/* The ring fills, the device reads nothing: said once, after two seconds. */
static void
test_sends_nothing_more_is_stuck(void)
{
	struct queue_watch w = { 0 };

	CU_ASSERT_FALSE(queue_watch_sends(&w, 512, 10, true, 1000));
	CU_ASSERT_FALSE(queue_watch_sends(&w, 512, 20, true, 1300));
	CU_ASSERT_FALSE(queue_watch_sends(&w, 512, 30, true, 2999));
	CU_ASSERT_TRUE(queue_watch_sends(&w, 512, 40, true, 3000));
	CU_ASSERT_TRUE(w.is_stuck);
	CU_ASSERT_FALSE(queue_watch_sends(&w, 512, 50, true, 9000));
	/* Silence is no sign of life. */
	CU_ASSERT_FALSE(queue_watch_sends(&w, 512, 50, true, 20000));
	CU_ASSERT_TRUE(w.is_stuck);
	CU_ASSERT_TRUE(queue_watch_sends(&w, 513, 50, true, 21000));
	CU_ASSERT_FALSE(w.is_stuck);
}

/* One that is too slow moves; one that is given nothing, or whose link is down, need not. */
static void
test_sends_slowly_is_not_stuck(void)
{
	struct queue_watch w = { 0 };

	for (uint64_t i = 1; i < 40; i++)
		CU_ASSERT_FALSE(queue_watch_sends(&w, 512 + i / 4, 1000 * i, true, 400 * i));
	for (uint64_t i = 40; i < 60; i++)
		CU_ASSERT_FALSE(queue_watch_sends(&w, 600, 40000, true, 400 * i));
	for (uint64_t i = 60; i < 80; i++)
		CU_ASSERT_FALSE(queue_watch_sends(&w, 600, 1000 * i, false, 400 * i));
	CU_ASSERT_FALSE(w.is_stuck);
}

static void
test_brings_nothing_is_told_once(void)
{
	struct queue_watch w = { 0 };

	CU_ASSERT_FALSE(queue_watch_brings(&w, 0, 299999, 3));
	CU_ASSERT_FALSE(queue_watch_brings(&w, 1, 300000, 3));
	CU_ASSERT_FALSE(queue_watch_brings(&w, 0, 300000, 1));
	CU_ASSERT_TRUE(queue_watch_brings(&w, 0, 300000, 3));
	CU_ASSERT_FALSE(queue_watch_brings(&w, 0, 600000, 3));
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_sends_nothing_more_is_stuck),
	CHECK_TEST(test_sends_slowly_is_not_stuck),
	CHECK_TEST(test_brings_nothing_is_told_once),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("queue_watch", tests);
}
