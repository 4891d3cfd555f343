/* SPDX-License-Identifier: BSD-3-Clause */
/* What the signs of a port's link mean. */
#include "check.h"
#include "port_link.h"

static enum port_link_state
judged(enum port_link_sign held, enum port_link_sign interface, enum port_link_sign driver)
{
	const struct port_link_signs signs = {
		.held = held,
		.interface = interface,
		.driver = driver,
	};

	return port_link_judge(&signs);
}

static enum port_link_state
judged_of_tap(enum port_link_sign held, enum port_link_sign interface)
{
	const struct port_link_signs signs = {
		.held = held,
		.interface = interface,
		.may_move = true,
	};

	return port_link_judge(&signs);
}

static void
test_nothing_known_is_up(void)
{
	CU_ASSERT_EQUAL(judged(PORT_SIGN_NONE, PORT_SIGN_NONE, PORT_SIGN_NONE), PORT_LINK_UP);
	CU_ASSERT_EQUAL(judged_of_tap(PORT_SIGN_NONE, PORT_SIGN_GONE), PORT_LINK_UP);
}

static void
test_any_down_is_down(void)
{
	CU_ASSERT_EQUAL(judged(PORT_SIGN_DOWN, PORT_SIGN_UP, PORT_SIGN_UP), PORT_LINK_DOWN);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_UP, PORT_SIGN_DOWN, PORT_SIGN_UP), PORT_LINK_DOWN);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_UP, PORT_SIGN_UP, PORT_SIGN_DOWN), PORT_LINK_DOWN);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_NONE, PORT_SIGN_NONE, PORT_SIGN_DOWN), PORT_LINK_DOWN);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_UP, PORT_SIGN_UP, PORT_SIGN_UP), PORT_LINK_UP);
}

static void
test_any_gone_is_lost(void)
{
	CU_ASSERT_EQUAL(judged(PORT_SIGN_GONE, PORT_SIGN_UP, PORT_SIGN_UP), PORT_LINK_LOST);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_UP, PORT_SIGN_GONE, PORT_SIGN_UP), PORT_LINK_LOST);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_UP, PORT_SIGN_UP, PORT_SIGN_GONE), PORT_LINK_LOST);
	CU_ASSERT_EQUAL(judged(PORT_SIGN_NONE, PORT_SIGN_GONE, PORT_SIGN_DOWN), PORT_LINK_LOST);
}

/* Its interface is not here, but its descriptor has one. */
static void
test_moved_tap_is_not_lost(void)
{
	CU_ASSERT_EQUAL(judged_of_tap(PORT_SIGN_UP, PORT_SIGN_GONE), PORT_LINK_UP);
	CU_ASSERT_EQUAL(judged_of_tap(PORT_SIGN_DOWN, PORT_SIGN_GONE), PORT_LINK_DOWN);
	CU_ASSERT_EQUAL(judged_of_tap(PORT_SIGN_GONE, PORT_SIGN_GONE), PORT_LINK_LOST);
	CU_ASSERT_EQUAL(judged_of_tap(PORT_SIGN_GONE, PORT_SIGN_UP), PORT_LINK_LOST);
}

static void
test_final_down_is_lost(void)
{
	struct port_link_signs signs = { .driver = PORT_SIGN_DOWN, .is_down_final = true };

	CU_ASSERT_EQUAL(port_link_judge(&signs), PORT_LINK_LOST);
	signs.driver = PORT_SIGN_UP;
	CU_ASSERT_EQUAL(port_link_judge(&signs), PORT_LINK_UP);
	signs.driver = PORT_SIGN_NONE;
	CU_ASSERT_EQUAL(port_link_judge(&signs), PORT_LINK_UP);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_nothing_known_is_up), CHECK_TEST(test_any_down_is_down),
		CHECK_TEST(test_any_gone_is_lost),    CHECK_TEST(test_moved_tap_is_not_lost),
		CHECK_TEST(test_final_down_is_lost),  CU_TEST_INFO_NULL,
	};

	return check_run("port_link", tests);
}
