/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program makes of the TSval that a client echoes, by front ends' clocks that are ahead
 * of the server's and behind it. */
#include "check.h"
#include "cookie.h"
#include "stamp.h"

/* Of 2027, just before the 15 bits of TSval begin anew; and some time later. */
#define WRAP_MS (1800000000000ull >> 17 << 17)
static const uint64_t moments[] = { WRAP_MS, WRAP_MS + 4, WRAP_MS + 70000, WRAP_MS + 131068 };
#define N_MOMENTS (sizeof(moments) / sizeof(moments[0]))

/* By the server's clock at a moment: of a TSval that the engine makes so long before; a time
 * below zero is after it. */
static int32_t
age_of(uint64_t moment, int32_t before_ms)
{
	/* What else stands in it does not matter. */
	uint32_t rest = (uint32_t)moment & COOKIE_TS_MASK;

	return stamp_age_ms(cookie_ts_again(rest, moment - (uint64_t)(int64_t)before_ms), moment);
}

static void
test_stamp_age_is_what_has_passed(void)
{
	static const int32_t ages[] = { 0, 4, 400, 60000, 65532, -4, -2000, -30000, -65536 };

	for (size_t i = 0; i < N_MOMENTS; i++)
		for (size_t j = 0; j < sizeof(ages) / sizeof(ages[0]); j++)
			CU_ASSERT_EQUAL(age_of(moments[i], ages[j]), ages[j]);
}

static void
test_stamp_round_trip_is_plausible(void)
{
	static const struct {
		int32_t age_ms;
		uint32_t round_trip_ms;
	} expected[] = {
		{ 0, 0 },        { 400, 400 }, { 2248, 2248 }, { 2252, 2250 },  { 15000, 2250 },
		{ 60000, 2250 }, { -4, 250 },  { -2000, 250 }, { -30000, 250 },
	};

	for (size_t i = 0; i < N_MOMENTS; i++)
		for (size_t j = 0; j < sizeof(expected) / sizeof(expected[0]); j++)
			CU_ASSERT_EQUAL(stamp_round_trip_ms(age_of(moments[i], expected[j].age_ms)),
			                expected[j].round_trip_ms);
}

static void
test_stamp_is_fresh_while_clocks_are_in_step(void)
{
	for (size_t i = 0; i < N_MOMENTS; i++) {
		CU_ASSERT(stamp_is_fresh(age_of(moments[i], 0), 10000));
		CU_ASSERT(stamp_is_fresh(age_of(moments[i], 10000), 10000));
		CU_ASSERT(!stamp_is_fresh(age_of(moments[i], 10004), 10000));
		CU_ASSERT(!stamp_is_fresh(age_of(moments[i], 60000), 10000));
		CU_ASSERT(stamp_is_fresh(age_of(moments[i], -2000), 10000));
		CU_ASSERT(!stamp_is_fresh(age_of(moments[i], -2004), 10000));
		CU_ASSERT(!stamp_is_fresh(age_of(moments[i], -30000), 10000));
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_stamp_age_is_what_has_passed),
		CHECK_TEST(test_stamp_round_trip_is_plausible),
		CHECK_TEST(test_stamp_is_fresh_while_clocks_are_in_step),
		CU_TEST_INFO_NULL,
	};

	return check_run("adopt_stamp", tests);
}
