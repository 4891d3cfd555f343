/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequence arithmetic against the same on 64-bit numbers that do not wrap. */
#include "check.h"
#include "segment.h"
#include "seq.h"

static const uint32_t starts[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
static const int64_t steps[] = { -0x7fffffff, -65536, -1, 0, 1, 65536, 0x7fffffff };

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void
test_seq_before_across_wrap_follows_distance(void)
{
	for (size_t i = 0; i < N(starts); i++) {
		for (size_t j = 0; j < N(steps); j++) {
			uint32_t a = starts[i], b = (uint32_t)(a + steps[j]);
			CU_ASSERT_EQUAL(seq_before(a, b), steps[j] > 0);
			CU_ASSERT_EQUAL(seq_before_eq(a, b), steps[j] >= 0);
		}
	}
}

static void
test_seq_between_across_wrap_includes_both_ends(void)
{
	for (size_t i = 0; i < N(starts); i++) {
		uint32_t low = starts[i], high = low + 1000;
		CU_ASSERT_TRUE(seq_between(low, low, high));
		CU_ASSERT_TRUE(seq_between(low, low + 500, high));
		CU_ASSERT_TRUE(seq_between(low, high, high));
		CU_ASSERT_FALSE(seq_between(low, low - 1, high));
		CU_ASSERT_FALSE(seq_between(low, high + 1, high));
		CU_ASSERT_TRUE(seq_between(low, low, low));
		CU_ASSERT_FALSE(seq_between(low, low + 1, low));
	}
}

static void
test_sides_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(side_name(SIDE_OUTSIDE), "outside");
	CU_ASSERT_STRING_EQUAL(side_name(SIDE_INSIDE), "inside");
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_seq_before_across_wrap_follows_distance),
		CHECK_TEST(test_seq_between_across_wrap_includes_both_ends),
		CHECK_TEST(test_sides_have_names),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_seq", tests);
}
