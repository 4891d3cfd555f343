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

/* What real clients say without timestamps comes back as they said it: with the scales that
 * common systems have, at an Ethernet, behind PPPoE and behind tunnels. */
static void
test_cookie_profile_common_offers_come_back(void)
{
	static const struct {
		bool is_v4;
		uint16_t mss;
	} common[] = { { true, 1460 },  { true, 1440 },  { true, 1300 },  { true, 536 },
		       { false, 1440 }, { false, 1420 }, { false, 1380 }, { false, 1220 } };

	for (unsigned int i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		for (uint8_t scale = 7; scale <= 8; scale++) {
			struct tcp_offer offer = { .mss = common[i].mss,
				                   .wscale = scale,
				                   .sack = true };
			struct tcp_offer back = cookie_profile_offer(
				cookie_profile_of(&offer, common[i].is_v4), common[i].is_v4);
			CU_ASSERT_EQUAL(back.mss, offer.mss);
			CU_ASSERT_EQUAL(back.wscale, scale);
			CU_ASSERT_TRUE(back.sack);
		}
	}
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

/* What an offer becomes that only its profile's class can carry. */
static struct tcp_offer
granted(const struct tcp_offer *offer, unsigned int profile, bool is_v4)
{
	const struct tcp_offer row = cookie_profile_offer(profile, is_v4);
	struct tcp_offer cut = *offer;

	cut.sack = row.sack;
	if (row.wscale == WSCALE_NONE)
		cut.wscale = WSCALE_NONE;
	return cut;
}

static struct tcp_offer
there_and_back(const struct tcp_offer *offer, bool is_v4, unsigned int *promised, uint64_t wall_ms)
{
	unsigned int profile = cookie_profile_of(offer, is_v4);
	const struct tcp_offer in = granted(offer, profile, is_v4);
	struct tcp_offer out;

	cookie_ts_read(cookie_ts_make(&in, profile, is_v4, *promised, wall_ms), profile, is_v4,
	               &out, promised);
	return out;
}

static void
test_cookie_ts_round_trip_keeps_options(void)
{
	uint64_t state = 14;

	for (unsigned int i = 0; i < 100000; i++) {
		bool is_v4 = i & 1;
		uint32_t draw = (uint32_t)(check_random(&state) >> 20);
		struct tcp_offer in = { .mss = (uint16_t)(COOKIE_MSS_LEAST + draw % 1500),
			                .wscale = draw >> 12 & 15,
			                .sack = draw >> 16 & 1,
			                .timestamps = true };
		unsigned int promised = draw >> 17 & 15, back = promised;
		const struct tcp_offer cut = granted(&in, cookie_profile_of(&in, is_v4), is_v4);
		struct tcp_offer out = there_and_back(&in, is_v4, &back, check_random(&state));

		CU_ASSERT_EQUAL(out.mss, in.mss);
		CU_ASSERT_EQUAL(out.wscale, cut.wscale);
		CU_ASSERT_EQUAL(out.sack, cut.sack);
		CU_ASSERT_TRUE(out.timestamps);
		CU_ASSERT_EQUAL(back, promised);
		/* From where every host must take it on, all that was offered is granted. */
		if (in.mss >= (is_v4 ? 536 : 1220))
			CU_ASSERT_TRUE(out.wscale == in.wscale && out.sack == in.sack);
	}
}

static void
test_cookie_ts_jumbo_mss_exact_or_rounded_down(void)
{
	for (unsigned int v4 = 0; v4 < 2; v4++) {
		for (uint32_t mss = 1500; mss <= UINT16_MAX; mss++) {
			struct tcp_offer in = { .mss = (uint16_t)mss, .wscale = 7, .sack = true };
			unsigned int promised = 7;
			struct tcp_offer out = there_and_back(&in, v4, &promised, mss);

			if (out.mss > mss || mss - out.mss >= 822)
				CU_FAIL("not the MSS rounded down");
			if (mss == (v4 ? 8960u : 8940u))
				CU_ASSERT_EQUAL(out.mss, mss);
		}
	}
}

/* Without timestamps, too: never more than the client said. */
static void
test_cookie_profile_never_raises_the_mss(void)
{
	for (unsigned int i = 0; i < 8192; i++) {
		bool is_v4 = i & 1;
		struct tcp_offer offer = { .mss = (uint16_t)(COOKIE_MSS_LEAST + i / 2),
			                   .wscale = i & 2 ? 8 : WSCALE_NONE,
			                   .sack = i & 4 };
		unsigned int profile = cookie_profile_of(&offer, is_v4);

		if (cookie_profile_offer(profile, is_v4).mss > offer.mss)
			CU_FAIL("more than was offered");
	}
	const struct tcp_offer low = { .mss = 216, .wscale = WSCALE_NONE };
	CU_ASSERT_EQUAL(cookie_profile_offer(cookie_profile_of(&low, true), true).mss, 216);
	const struct tcp_offer common = { .mss = 1100, .wscale = 8, .sack = true };
	CU_ASSERT_EQUAL(cookie_profile_offer(cookie_profile_of(&common, true), true).mss, 1000);
}

static void
test_cookie_ts_over_a_minute_never_goes_back(void)
{
	struct tcp_offer offer = { .mss = 1460, .wscale = 7, .sack = true, .timestamps = true };
	const uint64_t start_ms = (uint64_t)START_S * 1000;
	uint32_t last = cookie_ts_make(&offer, 23, true, 8, start_ms);

	for (uint64_t ms = 0; ms <= 60000; ms++) {
		uint32_t now = cookie_ts_make(&offer, 23, true, 8, start_ms + ms);
		if ((int32_t)(now - last) < 0)
			CU_FAIL("TSval went back");
		CU_ASSERT_EQUAL(now, cookie_ts_again(last, start_ms + ms));
		last = now;
	}
}

static void
test_cookie_ts_elapsed_is_the_time_since(void)
{
	struct tcp_offer offer = { .mss = 1460, .wscale = 7, .sack = true, .timestamps = true };

	for (uint64_t begin = 0; begin < 400000; begin += 7919) {
		uint64_t wall_ms = (uint64_t)START_S * 1000 + begin;
		uint32_t tsval = cookie_ts_make(&offer, 23, true, 8, wall_ms);

		for (uint32_t ms = 0; ms < 58000; ms += 37) {
			uint32_t elapsed = cookie_ts_elapsed(tsval, wall_ms + ms);
			CU_ASSERT_TRUE(elapsed + 3 >= ms && elapsed <= ms + 3);
		}
	}
	/* A forged one. */
	CU_ASSERT_TRUE(cookie_ts_elapsed(0x12345678, 99) <= COOKIE_LIFE_MAX_S * 1000u);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_cookie_profile_of_is_the_largest_that_the_offer_covers),
		CHECK_TEST(test_cookie_profile_common_offers_come_back),
		CHECK_TEST(test_cookie_profiles_survive_their_own_rounding),
		CHECK_TEST(test_cookie_profile_of_scale_0_is_not_none),
		CHECK_TEST(test_cookie_ts_round_trip_keeps_options),
		CHECK_TEST(test_cookie_ts_jumbo_mss_exact_or_rounded_down),
		CHECK_TEST(test_cookie_profile_never_raises_the_mss),
		CHECK_TEST(test_cookie_ts_over_a_minute_never_goes_back),
		CHECK_TEST(test_cookie_ts_elapsed_is_the_time_since),
		CU_TEST_INFO_NULL,
	};
	return check_run("cookie_profile", tests);
}
