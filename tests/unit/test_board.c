/* SPDX-License-Identifier: BSD-3-Clause */
/* Tickets for reloads and their answers; health and its reasons. The board is one for the
 * process, so the tests follow one another. */
#include "board.h"
#include "check.h"

static void
test_nothing_yet(void)
{
	struct board_reload r;
	uint64_t n_refused = 7;

	board_last_reload(&r, &n_refused);
	CU_ASSERT_EQUAL(r.number, 0);
	CU_ASSERT_EQUAL(n_refused, 0);
	CU_ASSERT_FALSE(board_find_reload(1, &r));
}

static void
test_a_reload_serves_the_tickets_before_it(void)
{
	struct board_reload r;
	uint64_t n_refused, first = board_ask_reload(), second = board_ask_reload();

	CU_ASSERT_EQUAL(first, 1);
	CU_ASSERT_EQUAL(second, 2);
	uint64_t serves = board_begin_reload();
	uint64_t late = board_ask_reload();
	CU_ASSERT_FALSE(board_find_reload(first, &r));
	board_end_reload(serves, true, "x.yaml:1:2: wrong");
	CU_ASSERT_TRUE_FATAL(board_find_reload(first, &r));
	CU_ASSERT_TRUE_FATAL(board_find_reload(second, &r));
	CU_ASSERT_TRUE(r.is_refused);
	CU_ASSERT_STRING_EQUAL(r.text, "x.yaml:1:2: wrong");
	/* What came when it had begun may be of a newer file. */
	CU_ASSERT_FALSE(board_find_reload(late, &r));
	board_end_reload(board_begin_reload(), false, "in force");
	CU_ASSERT_TRUE_FATAL(board_find_reload(late, &r));
	CU_ASSERT_FALSE(r.is_refused);
	/* The answer of the first ones is still theirs. */
	CU_ASSERT_TRUE_FATAL(board_find_reload(first, &r));
	CU_ASSERT_TRUE(r.is_refused);
	board_last_reload(&r, &n_refused);
	CU_ASSERT_EQUAL(r.number, 2);
	CU_ASSERT_EQUAL(n_refused, 1);
	CU_ASSERT(r.wall_s > 1700000000);
}

static void
test_a_reload_by_signal_answers_no_older_ticket(void)
{
	struct board_reload r;
	uint64_t ticket = board_ask_reload();

	board_end_reload(board_begin_reload(), true, "of the ticket");
	for (int i = 0; i < 5; i++)
		board_end_reload(board_begin_reload(), false, "of a signal");
	CU_ASSERT_TRUE_FATAL(board_find_reload(ticket, &r));
	CU_ASSERT_STRING_EQUAL(r.text, "of the ticket");
}

static void
test_health_is_its_worst_reason(void)
{
	struct health h = { .state = HEALTH_READY }, seen;

	CU_ASSERT_STRING_EQUAL(health_text(h.state), "ready");
	health_add(&h, HEALTH_DEGRADED, "the link of the %s port is down", "inside");
	CU_ASSERT_EQUAL(h.state, HEALTH_DEGRADED);
	health_add(&h, HEALTH_FAILED, "lost");
	health_add(&h, HEALTH_DEGRADED, "full");
	CU_ASSERT_EQUAL(h.state, HEALTH_FAILED);
	CU_ASSERT_EQUAL(h.n, 3);
	CU_ASSERT_STRING_EQUAL(h.reasons[0], "the link of the inside port is down");
	board_set_health(&h);
	board_health(&seen);
	CU_ASSERT_EQUAL(memcmp(&seen, &h, sizeof(h)), 0);
	for (unsigned int i = 0; i < 2 * HEALTH_REASONS_MAX; i++)
		health_add(&h, HEALTH_DEGRADED, "%u", i);
	CU_ASSERT_EQUAL(h.n, HEALTH_REASONS_MAX);
	CU_ASSERT_EQUAL(h.state, HEALTH_FAILED);
}

/* The last one: the board stays closed. */
static void
test_at_the_end_each_ticket_is_refused(void)
{
	struct board_reload r;
	uint64_t before = board_ask_reload();

	board_refuse_reloads("ending");
	uint64_t after = board_ask_reload();
	for (uint64_t ticket = before; ticket <= after; ticket++) {
		CU_ASSERT_TRUE_FATAL(board_find_reload(ticket, &r));
		CU_ASSERT_TRUE(r.is_refused);
		CU_ASSERT_STRING_EQUAL(r.text, "ending");
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_nothing_yet),
		CHECK_TEST(test_a_reload_serves_the_tickets_before_it),
		CHECK_TEST(test_a_reload_by_signal_answers_no_older_ticket),
		CHECK_TEST(test_health_is_its_worst_reason),
		CHECK_TEST(test_at_the_end_each_ticket_is_refused),
		CU_TEST_INFO_NULL,
	};

	return check_run("board", tests);
}
