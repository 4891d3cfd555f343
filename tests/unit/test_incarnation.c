/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ISS of a client may open once a connection on its ports is over. */
#include "check.h"
#include "incarnation.h"

#define BLOCK (128u * 1024)

static void
test_incarnation_newer_one_opens(void)
{
	struct conn conn = { .irs = 1000 };
	struct conn_side side = { 0 };

	CU_ASSERT_TRUE(incarnation_admits(&conn, &side, 1001));
	CU_ASSERT_FALSE(incarnation_admits(&conn, &side, 1000));
	CU_ASSERT_FALSE(incarnation_admits(&conn, &side, 999));
	/* Modulo 2^32. */
	conn.irs = UINT32_MAX;
	CU_ASSERT_TRUE(incarnation_admits(&conn, &side, 0));
}

/* An older one opens if its SYN has come since: that of 0, too, though 0 says that none has. */
static void
test_incarnation_older_one_needs_its_syn(void)
{
	struct conn conn = { .irs = 9 * BLOCK };
	struct conn_side side = { 0 };

	CU_ASSERT_FALSE(incarnation_admits(&conn, &side, 0));
	CU_ASSERT_FALSE(incarnation_admits(&conn, &side, 5 * BLOCK));
	incarnation_syn(&conn, &side, 5 * BLOCK);
	CU_ASSERT_TRUE(incarnation_admits(&conn, &side, 5 * BLOCK));
	CU_ASSERT_FALSE(incarnation_admits(&conn, &side, 6 * BLOCK));
	CU_ASSERT_FALSE(incarnation_admits(&conn, &side, 0));
}

/* None opens twice; and one that is not the newest only while all before it are known. */
static void
test_incarnation_what_has_opened_does_not_again(void)
{
	struct conn conn = { .irs = 9 * BLOCK };
	struct conn_side side = { 0 }, next = { 0 };

	incarnation_follow(&conn, &side, 5 * BLOCK, &next);
	conn.irs = 5 * BLOCK;
	incarnation_syn(&conn, &next, 9 * BLOCK);
	CU_ASSERT_FALSE(incarnation_admits(&conn, &next, 9 * BLOCK));
	incarnation_syn(&conn, &next, 7 * BLOCK);
	CU_ASSERT_TRUE(incarnation_admits(&conn, &next, 7 * BLOCK));

	side = next;
	next = (struct conn_side){ 0 };
	incarnation_follow(&conn, &side, 7 * BLOCK, &next);
	conn.irs = 7 * BLOCK;
	incarnation_syn(&conn, &next, 6 * BLOCK);
	CU_ASSERT_FALSE(incarnation_admits(&conn, &next, 6 * BLOCK));
	CU_ASSERT_TRUE(incarnation_admits(&conn, &next, 10 * BLOCK));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_incarnation_newer_one_opens),
		CHECK_TEST(test_incarnation_older_one_needs_its_syn),
		CHECK_TEST(test_incarnation_what_has_opened_does_not_again),
		CU_TEST_INFO_NULL,
	};

	return check_run("incarnation", tests);
}
