/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The protocol core by its decision table: segments in, segments out. The last
 * suite fails if a row of the table is covered by no test.
 */
#include "core_lab.h"

static void
test_rows_covered(void)
{
	CU_ASSERT_EQUAL(lab_rows_unclaimed(), 0);
}

static CU_TestInfo rows_tests[] = {
	CHECK_TEST(test_rows_covered),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	CU_SuiteInfo suites[] = {
		{ .pName = "listen", .pTests = core_listen_tests },
		{ .pName = "listen ack", .pTests = core_listen_ack_tests },
		{ .pName = "received", .pTests = core_received_tests },
		{ .pName = "restart", .pTests = core_restart_tests },
		{ .pName = "connecting", .pTests = core_connecting_tests },
		{ .pName = "tracked", .pTests = core_tracked_tests },
		{ .pName = "passing", .pTests = core_passing_tests },
		{ .pName = "signed", .pTests = core_signed_tests },
		{ .pName = "adopted", .pTests = core_adopted_tests },
		{ .pName = "spliced", .pTests = core_spliced_tests },
		{ .pName = "rewrite", .pTests = core_rewrite_tests },
		{ .pName = "closing", .pTests = core_closing_tests },
		{ .pName = "forged", .pTests = core_forged_tests },
		{ .pName = "responding", .pTests = core_responding_tests },
		{ .pName = "spent", .pTests = core_spent_tests },
		{ .pName = "limits", .pTests = core_limits_tests },
		{ .pName = "caps", .pTests = core_caps_tests },
		{ .pName = "orphans", .pTests = core_orphans_tests },
		{ .pName = "evict", .pTests = core_evict_tests },
		{ .pName = "backend", .pTests = core_backend_tests },
		{ .pName = "anywhere", .pTests = core_anywhere_tests },
		{ .pName = "foreign", .pTests = core_foreign_tests },
		{ .pName = "fragments", .pTests = core_fragments_tests },
		{ .pName = "cookie", .pTests = core_cookie_tests },
		{ .pName = "corners", .pTests = core_corners_tests },
		{ .pName = "rare", .pTests = core_rare_tests },
		{ .pName = "learned", .pTests = core_learned_tests },
		{ .pName = "random", .pTests = core_random_tests },
		{ .pName = "delay", .pTests = core_delay_tests },
		{ .pName = "view", .pTests = core_view_tests },
		{ .pName = "waiting", .pTests = core_waiting_tests },
		{ .pName = "handoff", .pTests = core_handoff_tests },
		{ .pName = "shield", .pTests = core_shield_tests },
		{ .pName = "observe", .pTests = core_observe_tests },
		{ .pName = "observe reload", .pTests = core_observe_reload_tests },
		{ .pName = "noted", .pTests = core_noted_tests },
		{ .pName = "silent", .pTests = core_silent_tests },
		{ .pName = "syn lane", .pTests = core_syn_lane_tests },
		{ .pName = "lanes changed", .pTests = core_lanes_changed_tests },
		{ .pName = "syn lane books", .pTests = core_syn_lane_books_tests },
		{ .pName = "lists", .pTests = core_lists_tests },
		{ .pName = "talkers", .pTests = core_talkers_tests },
		{ .pName = "explain", .pTests = core_explain_tests },
		{ .pName = "rows", .pTests = rows_tests },
		CU_SUITE_INFO_NULL,
	};

	cookie_select("auto", NULL);
	return check_run_suites(suites);
}
