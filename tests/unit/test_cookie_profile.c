/* SPDX-License-Identifier: BSD-3-Clause */
/* What a cookie carries: profiles, and the exact options in TSval. */
#include "check.h"
#include "cookie.h"

#define START_S 1800000000u

static bool
scale_covers(uint8_t offered, uint8_t row)
{
	return row == WSCALE_NONE || (offered != WSCALE_NONE && row <= offered);
}

static void
test_cookie_profile_of_is_the_largest_that_the_offer_covers(void)
{
	for (unsigned int v4 = 0; v4 < 2; v4++) {
		uint16_t least = cookie_profile_offer(0, v4).mss;

		for (uint32_t mss = 1; mss <= 9216; mss++) {
			for (uint8_t scale = 0; scale <= WSCALE_NONE; scale++) {
				struct tcp_offer offer = { .mss = (uint16_t)mss,
					                   .wscale = scale,
					                   .sack = (mss ^ scale) & 1 };
				unsigned int profile = cookie_profile_of(&offer, v4), best = 0;

				for (unsigned int p = 0; p < COOKIE_PROFILES; p++) {
					struct tcp_offer row = cookie_profile_offer(p, v4);
					if ((row.mss <= mss || row.mss == least) &&
					    scale_covers(scale, row.wscale) &&
					    row.sack <= offer.sack)
						best = p;
				}
				if (profile != best)
					CU_FAIL("not the largest profile covered");
			}
		}
	}
	CU_PASS("all offers");
}

static void
test_cookie_profiles_survive_their_own_rounding(void)
{
	for (unsigned int p = 0; p < 2 * COOKIE_PROFILES; p++) {
		bool is_v4 = p & 1;
		struct tcp_offer offer = cookie_profile_offer(p / 2, is_v4);

		CU_ASSERT_EQUAL(cookie_profile_of(&offer, is_v4), p / 2);
		CU_ASSERT_FALSE(offer.timestamps);
	}
}

static void
test_cookie_profile_of_scale_0_is_not_none(void)
{
	struct tcp_offer none = { .mss = 1460, .wscale = WSCALE_NONE, .sack = true };
	struct tcp_offer zero = { .mss = 1460, .wscale = 0, .sack = true };
	unsigned int p_none = cookie_profile_of(&none, true);
	unsigned int p_zero = cookie_profile_of(&zero, true);

	CU_ASSERT_NOT_EQUAL(p_none, p_zero);
	CU_ASSERT_EQUAL(cookie_profile_offer(p_none, true).wscale, WSCALE_NONE);
	CU_ASSERT_EQUAL(cookie_profile_offer(p_zero, true).wscale, 0);
}

static void
test_cookie_ts_round_trip_keeps_options(void)
{
	uint64_t state = 14;

	for (unsigned int i = 0; i < 20000; i++) {
		bool is_v4 = i & 1;
		struct tcp_offer in = { .mss = (uint16_t)(is_v4 ? 536 : 1220),
			                .wscale = check_random(&state) >> 20 & 15,
			                .sack = check_random(&state) >> 20 & 1,
			                .timestamps = true };
		unsigned int promised_in = check_random(&state) >> 20 & 15, promised;
		struct tcp_offer out;

		in.mss = (uint16_t)(in.mss + (check_random(&state) >> 20) % 9000);
		unsigned int profile = cookie_profile_of(&in, is_v4);
		uint16_t floor = cookie_profile_offer(profile, is_v4).mss;
		uint32_t tsval = cookie_ts_make(&in, profile, is_v4, promised_in,
		                                check_random(&state));

		cookie_ts_read(tsval, profile, is_v4, &out, &promised);
		CU_ASSERT_EQUAL(out.wscale, in.wscale);
		CU_ASSERT_EQUAL(out.sack, in.sack);
		CU_ASSERT_TRUE(out.timestamps);
		CU_ASSERT_EQUAL(promised, promised_in);
		CU_ASSERT_EQUAL(out.mss, in.mss <= floor + 31 ? in.mss : floor + 31);
	}
}

static void
test_cookie_ts_make_mss_below_least_is_cut_to_it(void)
{
	struct tcp_offer in = { .mss = 88, .wscale = WSCALE_NONE, .timestamps = true }, out;
	unsigned int promised;

	cookie_ts_read(cookie_ts_make(&in, 0, true, 7, 123456), 0, true, &out, &promised);
	CU_ASSERT_EQUAL(out.mss, cookie_profile_offer(0, true).mss);
}

static void
test_cookie_ts_make_over_a_day_goes_up_by_one_a_ms(void)
{
	struct tcp_offer offer = { .mss = 1460, .wscale = 7, .sack = true, .timestamps = true };
	const uint64_t start_ms = (uint64_t)START_S * 1000, day_ms = 86400000;
	uint32_t first = cookie_ts_make(&offer, 31, true, 8, start_ms), last = first;

	for (uint64_t ms = 0; ms <= day_ms; ms += 997) {
		uint32_t now = cookie_ts_make(&offer, 31, true, 8, start_ms + ms);
		if ((int32_t)(now - last) < 0)
			CU_FAIL("TSval went back");
		last = now;
	}
	uint32_t tick = 1u << 14;
	CU_ASSERT_TRUE(last - first >= day_ms - tick && last - first <= day_ms + tick);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_cookie_profile_of_is_the_largest_that_the_offer_covers),
		CHECK_TEST(test_cookie_profiles_survive_their_own_rounding),
		CHECK_TEST(test_cookie_profile_of_scale_0_is_not_none),
		CHECK_TEST(test_cookie_ts_round_trip_keeps_options),
		CHECK_TEST(test_cookie_ts_make_mss_below_least_is_cut_to_it),
		CHECK_TEST(test_cookie_ts_make_over_a_day_goes_up_by_one_a_ms),
		CU_TEST_INFO_NULL,
	};
	return check_run("cookie_profile", tests);
}
