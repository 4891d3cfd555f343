/* SPDX-License-Identifier: BSD-3-Clause */
/* Which SYNs any worker may answer: those that a cookie answers, whoever owns the flow. */
#include "core_lab.h"

static struct lab_seg
syn(const struct lab *lab)
{
	return (struct lab_seg){ .side = SIDE_OUTSIDE,
		                 .flags = TCP_SYN,
		                 .seq = 1000,
		                 .client_port = 3000,
		                 .options = lab->variant->options,
		                 .mss = 1400 };
}

/* A SYN, changed by these assignments to `s`. */
#define ANYWHERE(...)                          \
	({                                     \
		struct lab_seg s = syn(lab);   \
		__VA_ARGS__;                   \
		lab_answers_anywhere(lab, &s); \
	})

/* Of all options the server has answered all, so nothing is left to learn. */
static void
start(struct lab *lab)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach(lab);
}

LAB_TEST(test_anywhere_syn_by_cookie)
{
	start(lab);
	CHECK(ANYWHERE((void)s));
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
	CHECK(ANYWHERE(s.client = 9, s.payload_len = 4));
}

/* Where cookies are always wanted, quiet times change nothing. */
LAB_TEST(test_anywhere_transparent_but_always_by_cookie)
{
	lab->services[0].calm = CALM_TRANSPARENT;
	start(lab);
	CHECK(ANYWHERE((void)s));
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
}

/* Everything else is its owner's. */
LAB_TEST(test_anywhere_nothing_but_syn)
{
	start(lab);
	CHECK(!ANYWHERE(s.flags = TCP_SYN | TCP_ACK));
	CHECK(!ANYWHERE(s.flags = TCP_ACK));
	CHECK(!ANYWHERE(s.flags = TCP_RST));
	CHECK(!ANYWHERE(s.flags = TCP_RST | TCP_SYN));
	CHECK(!ANYWHERE(s.side = SIDE_INSIDE));
	CHECK(!ANYWHERE(s.server_port = LAB_CLOSED));
	CHECK(!ANYWHERE(s.server_port = LAB_BYPASS));
}

/* State is kept, as long as no flood wants cookies. */
LAB_TEST(test_anywhere_not_by_state)
{
	lab->services[0].high = 4;
	lab_start(lab);
	lab_teach(lab);
	CHECK(!ANYWHERE((void)s));
	for (unsigned int i = 0; i < 4; i++) {
		CHECK(!ANYWHERE((void)s));
		lab_syn_of(lab, i, 1);
	}
	CHECK(core_service_view(lab->core, 0).cookie_mode);
	CHECK(ANYWHERE((void)s));
	CHECK(!ANYWHERE(s.server_port = LAB_RESPOND));
}

/* A SYN to a server that is not known passes to it, and its answer must be looked for
 * where it passed. */
LAB_TEST(test_anywhere_not_to_learn)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	CHECK(!ANYWHERE((void)s));
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
}

/* One that answered nothing but a bare SYN is known, and its options are not. */
LAB_TEST_ONCE(test_anywhere_not_to_learn_more)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	lab_teach_from(lab, 1, OPTION_MSS, OPTION_MSS);
	CHECK(ANYWHERE(s.options = OPTION_MSS));
	CHECK(!ANYWHERE(s.options = OPTION_MSS | OPTION_SACK_PERMITTED));
	CHECK(!ANYWHERE(s.options = OPTION_MSS | OPTION_WSCALE, s.wscale = 2));
	CHECK(!ANYWHERE(s.options = LAB_ALL, s.tsval = 1));
}

/* What a list or a signature says is said by whoever has the SYN, unless it may pass. */
LAB_TEST(test_anywhere_listed_or_signed)
{
	struct prefix all[2] = { { lab->addresses[0].addr, 0 }, { lab->addresses[1].addr, 0 } };

	lab->services[0].allow = all;
	lab->services[0].n_allow = 2;
	start(lab);
	CHECK(ANYWHERE((void)s));
	CHECK(!ANYWHERE(s.options = OPTION_MD5));
	lab->services[0].signed_syn = REFUSE_DROP;
	CHECK(ANYWHERE(s.options = OPTION_MD5));
	lab->services[0].denied = REFUSE_PASS;
	CHECK(ANYWHERE((void)s));
}

/* A server that is down is tried by its owner alone. */
LAB_TEST(test_anywhere_not_a_server_that_is_down)
{
	start(lab);
	for (uint16_t i = 0; i < 3; i++) {
		CHECK(ANYWHERE((void)s));
		lab_open_of(lab, i, 1u + i);
		SERVER(TCP_RST | TCP_ACK, 0, 1001u + i, .client_port = (uint16_t)(1000 + i),
		       .client = 1u + i);
	}
	EQUAL(lab_count(lab, COUNTER_backend_down), 1);
	CHECK(!ANYWHERE((void)s));
	/* In a flood, too. */
	lab_tick(lab, 1000 * (lab->policy.timeouts.probe + 1));
	CHECK(!ANYWHERE((void)s));
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
}

LAB_TEST(test_anywhere_responder)
{
	lab->services[1].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	CHECK(ANYWHERE(s.server_port = LAB_RESPOND));
	lab->server_port = LAB_RESPOND;
	lab_syn(lab);
	OUTCOME_IS(answered_syn_cookie);
}

/* Draining, SYNs pass. */
LAB_TEST(test_anywhere_not_while_draining)
{
	start(lab);
	core_drain(lab->core, true);
	CHECK(!ANYWHERE((void)s));
	core_drain(lab->core, false);
	CHECK(ANYWHERE((void)s));
}

/* What a worker says that it would answer anywhere it neither passes nor makes an entry
 * for, and what it says otherwise of it does, in each situation. */
LAB_TEST_ONCE(test_anywhere_what_never_passes)
{
	static struct prefix nobody = { .len = 128 };
	enum {
		CALM,
		COOKIE_MODE,
		ALWAYS,
		SIGNED,
		DENIED,
		DENIED_DROP,
		DRAIN,
		SITUATIONS
	};
	static const bool anywhere[] = {
		[COOKIE_MODE] = true,
		[ALWAYS] = true,
		[DENIED_DROP] = true,
		[SITUATIONS] = false,
	};

	for (unsigned int i = 0; i < SITUATIONS; i++) {
		struct lab *one = lab_beside(lab);
		struct service *web = &one->services[0];
		struct lab_seg syn = { .side = SIDE_OUTSIDE,
			               .flags = TCP_SYN,
			               .seq = 1000,
			               .client_port = 60000,
			               .options = OPTION_MSS,
			               .mss = 1440 };

		web->high = i == COOKIE_MODE ? 1 : 24;
		web->low = i == COOKIE_MODE ? 0 : 8;
		web->cookies = i == CALM || i == COOKIE_MODE ? COOKIES_AUTO : COOKIES_ALWAYS;
		web->signed_syn = REFUSE_PASS;
		web->denied = i == DENIED ? REFUSE_PASS : REFUSE_DROP;
		lab_start(one);
		lab_teach(one);
		if (i == DENIED || i == DENIED_DROP) {
			web->allow = &nobody;
			web->n_allow = 1;
			core_set_policy(one->core, &one->policy);
		}
		if (i == COOKIE_MODE)
			lab_syn_of(one, 0, 3);
		if (i == SIGNED)
			syn.options |= OPTION_MD5;
		core_drain(one->core, i == DRAIN);
		EQUAL(lab_answers_anywhere(one, &syn), anywhere[i]);
		struct core_usage before = core_usage(one->core);
		lab_in(one, &syn);
		struct core_usage after = core_usage(one->core);
		bool left = after.connections + after.half_open >
		            before.connections + before.half_open;
		EQUAL(left, !anywhere[i]);
		lab_leave(one);
	}
}

CU_TestInfo core_anywhere_tests[] = {
	CHECK_TEST(test_anywhere_syn_by_cookie),
	CHECK_TEST(test_anywhere_transparent_but_always_by_cookie),
	CHECK_TEST(test_anywhere_nothing_but_syn),
	CHECK_TEST(test_anywhere_not_by_state),
	CHECK_TEST(test_anywhere_not_to_learn),
	CHECK_TEST(test_anywhere_not_to_learn_more),
	CHECK_TEST(test_anywhere_listed_or_signed),
	CHECK_TEST(test_anywhere_not_a_server_that_is_down),
	CHECK_TEST(test_anywhere_responder),
	CHECK_TEST(test_anywhere_not_while_draining),
	CHECK_TEST(test_anywhere_what_never_passes),
	CU_TEST_INFO_NULL,
};
