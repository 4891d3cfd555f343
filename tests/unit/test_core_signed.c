/* SPDX-License-Identifier: BSD-3-Clause */
/* How many signed SYNs pass: nothing says that their sources are real. */
#include "core_lab.h"
#include "core_state.h"

/* How many of `n` signed SYNs within a second pass, each from a net of its own or all from one. */
static uint64_t
signed_syns(struct lab *lab, unsigned int n, uint32_t net, bool of_many)
{
	uint64_t before = lab_count(lab, COUNTER_passed_syn);
	uint64_t dropped = lab_count(lab, COUNTER_drop_signed);

	for (unsigned int i = 0; i < n; i++) {
		CLIENT(TCP_SYN, 5000, 0, .client_port = (uint16_t)(1000 + i), .options = OPTION_MD5,
		       .client = net + (of_many ? i : 0));
		if (i % (n / 50) == 0)
			lab_tick(lab, 20);
	}
	uint64_t passed = lab_count(lab, COUNTER_passed_syn) - before;
	EQUAL(lab_count(lab, COUNTER_drop_signed) - dropped, n - passed);
	return passed;
}

#define SIGNED_PASS(low, high, ...)                               \
	do {                                                      \
		uint64_t passed_ = signed_syns(lab, __VA_ARGS__); \
		CHECK(passed_ >= (low) && passed_ <= (high));     \
	} while (0)

LAB_TEST_ONCE(test_signed_capped_by_net)
{
	lab->services[0].high = lab->services[0].low = 100000;
	lab->params.connections = 16384;
	lab_start(lab);
	lab_teach(lab);
	SIGNED_PASS(SIGNED_NET_PER_S * 3 / 4, SIGNED_NET_PER_S, 2000, 40, false);
	/* Another has its own, and plain SYNs count for nothing in it. */
	for (unsigned int i = 0; i < 300; i++)
		CLIENT(TCP_SYN, i, 0, .client_port = (uint16_t)(1000 + i), .client = 41);
	SIGNED_PASS(100, 100, 100, 41, false);
}

/* Where cookies answer all others few pass, but for those that are known. */
LAB_TEST_ONCE(test_signed_few_in_a_flood)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab->params.connections = 16384;
	lab_start(lab);
	lab_teach(lab);
	SIGNED_PASS(SIGNED_IN_FLOOD_PER_S, SIGNED_IN_FLOOD_PER_S + 8, 150, 101, true);
	/* One that has completed a connection lately. */
	lab_tick(lab, 15000);
	lab_splice_of(lab, 9000, 220);
	SIGNED_PASS(100, 100, 100, 220, false);
}

/* And for those that a list names. */
LAB_TEST_ONCE(test_signed_of_the_named)
{
	struct prefix everybody[2] = { { .len = 0 }, { .len = 0 } };

	lab->services[0].cookies = COOKIES_ALWAYS;
	lab->services[0].allow = everybody;
	lab->services[0].n_allow = 2;
	lab->params.connections = 1024;
	lab_start(lab);
	lab_teach(lab);
	SIGNED_PASS(150, 150, 150, 50, true);
}

CU_TestInfo core_signed_tests[] = {
	CHECK_TEST(test_signed_capped_by_net),
	CHECK_TEST(test_signed_few_in_a_flood),
	CHECK_TEST(test_signed_of_the_named),
	CU_TEST_INFO_NULL,
};
