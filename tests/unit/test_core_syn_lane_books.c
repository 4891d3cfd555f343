/* SPDX-License-Identifier: BSD-3-Clause */
/* What the straight lane of SYNs leaves behind. */
#include "syn_lane_lab.h"

#include "talkers.h"

static void
send_syn(struct lab *lab, bool by_lane)
{
	if (by_lane) {
		TAKES();
		return;
	}
	lab_in(lab, SYN_OF());
	OUTCOME_IS(answered_syn_cookie);
}

/* Until when cookies may come back is known to all, by which way they went out. */
static void
check_cookies_are_out(struct lab *lab, bool by_lane)
{
	uint64_t dies_ms = lab->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	uint32_t *until_s = lab_share_cookies(lab);

	start(lab);
	state_of(lab, 1)->cookies_until_ms = lab->core->cookie_out_ms = 0;
	until_s[1] = (uint32_t)(dies_ms / 1000);
	send_syn(lab, by_lane);
	EQUAL(lab->core->cookie_out_ms, dies_ms);
	EQUAL(state_of(lab, 1)->cookies_until_ms, dies_ms);
	EQUAL(until_s[1], dies_ms / 1000 + 1);
	until_s[1] += 2; /* another worker is ahead */
	send_syn(lab, by_lane);
	EQUAL(until_s[1], dies_ms / 1000 + 3);
	EQUAL(state_of(lab, 1)->n_cookies, 2);
	EQUAL(core_service_view(lab->core, 1).syn, 2);
	EQUAL(core_service_view(lab->core, 1).syn_ack, 2);
}

LAB_TEST_ONCE(test_syn_lane_cookies_are_out)
{
	check_cookies_are_out(lab, true);
}

LAB_TEST_ONCE(test_syn_lane_left_cookies_are_out)
{
	const struct prefix nobody = { ip_addr_v4(htobe32(0x01020300)), 120 };

	lab->services[1].deny = &nobody;
	lab->services[1].n_deny = 1;
	check_cookies_are_out(lab, false);
}

/* What was sampled of SYNs that were answered by cookie. */
static struct core_talk
talk_of_cookies(const struct lab *lab)
{
	struct core_talk talk;

	for (uint32_t i = 0; i < CORE_TALKS_MAX; i++)
		if (core_talk(lab->core, i, false, &talk) && talk.service == 1 &&
		    talk.outcome == COUNTER_answered_syn_cookie)
			return talk;
	return (struct core_talk){ 0 };
}

/* Those are sampled whose turn it is, in the midst of a burst, at its end, and beyond it. */
LAB_TEST_ONCE(test_syn_lane_is_sampled)
{
	struct lab_seg specs[5];
	struct ip_addr client = (lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4()).src;
	uint32_t *left;

	start(lab);
	left = &lab->core->talk_left[COUNTER_answered_syn_cookie];
	for (uint16_t i = 0; i < 5; i++)
		specs[i] = *SYN_OF(.client = i);
	*left = 3;
	/* None after it, for a while. */
	lab->core->talkers->gaps[COUNTER_answered_syn_cookie] = (struct talk_gap){
		1 << 12, (uint32_t)lab->now_ms, 0
	};
	EQUAL(lab_n_taken(lab, specs, 5, 0), 5);
	struct core_talk talk = talk_of_cookies(lab);
	EQUAL(talk.hosts[0].n_samples, 1);
	EQUAL(talk.hosts[0].slots[0].count, 1 << 12);
	EQUAL(talk.nets[0].slots[0].key,
	      lab->variant->is_v6
	              ? __builtin_bswap64(client.quads_be[0]) + (2u << 16)
	              : (__builtin_bswap32(client.words_be[3]) & 0xffffff00u) + (2u << 8));

	*left = 6;
	EQUAL(lab_n_taken(lab, specs, 5, 0), 5);
	EQUAL(*left, 1);
	EQUAL(talk_of_cookies(lab).hosts[0].n_samples, 1);
	*left = 5;
	EQUAL(lab_n_taken(lab, specs, 5, 0), 5);
	EQUAL(talk_of_cookies(lab).hosts[0].n_samples, 2);
}

/* So slowly that each one counts. */
LAB_TEST(test_syn_lane_sampled_when_calm)
{
	const struct lab_seg specs[] = { *SYN_OF(), *SYN_OF(.client = 3) };

	start(lab);
	for (unsigned int i = 0; i < 50; i++) {
		EQUAL(lab_n_taken(lab, specs, 2, 0), 2);
		lab_tick(lab, 1);
	}
	EQUAL(talk_of_cookies(lab).hosts[0].n_samples, 100);
	EQUAL(talk_of_cookies(lab).hosts[0].weight, 100);
}

CU_TestInfo core_syn_lane_books_tests[] = {
	CHECK_TEST(test_syn_lane_cookies_are_out),
	CHECK_TEST(test_syn_lane_left_cookies_are_out),
	CHECK_TEST(test_syn_lane_is_sampled),
	CHECK_TEST(test_syn_lane_sampled_when_calm),
	CU_TEST_INFO_NULL,
};
