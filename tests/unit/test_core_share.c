/* SPDX-License-Identifier: BSD-3-Clause */
/* What one of several workers gets of what the configuration grants the engine. */
#include <stdbool.h>

#include "check.h"
#include "core_share.h"

static const uint8_t seed[64] = { 1, 2, 3, [63] = 64 };

static struct conf
conf_of(uint32_t n_workers)
{
	return (struct conf){
		.workers = { .count = n_workers },
		.memory = { .connections = 1000,
		            .half_open = 2000,
		            .backends = 301,
		            .paths = 64,
		            .sources = 5,
		            .held_connections = 3 },
		.policy = { .hold_bytes = 4096 },
		.has_inside = true,
	};
}

static void
test_share_alone(void)
{
	struct conf conf = conf_of(1);
	struct core_params p = core_share(&conf, seed);

	CU_ASSERT_EQUAL(p.connections, 1000);
	CU_ASSERT_EQUAL(p.half_open, 2000);
	CU_ASSERT_EQUAL(p.backends, 301);
	CU_ASSERT_EQUAL(p.paths, 64);
	CU_ASSERT_EQUAL(p.sources, 5);
	CU_ASSERT_EQUAL(p.held, 3);
	CU_ASSERT_EQUAL(p.hold_bytes, 4096);
	CU_ASSERT_EQUAL(p.n_workers, 1);
	CU_ASSERT_TRUE(p.has_inside);
	CU_ASSERT_EQUAL(memcmp(p.seed, seed, sizeof(seed)), 0);
	conf.has_inside = false;
	CU_ASSERT_FALSE(core_share(&conf, seed).has_inside);
}

/* Rounded up: together they have no less than what is granted, and each has some. */
static void
test_share_of_several(void)
{
	for (uint32_t n = 2; n < 64; n++) {
		struct conf conf = conf_of(n);
		struct core_params p = core_share(&conf, seed);

		CU_ASSERT_EQUAL(p.connections, (1000 + n - 1) / n);
		CU_ASSERT_EQUAL(p.half_open, (2000 + n - 1) / n);
		CU_ASSERT_EQUAL(p.backends, (301 + n - 1) / n);
		CU_ASSERT_EQUAL(p.paths, (64 + n - 1) / n);
		CU_ASSERT_EQUAL(p.sources, (5 + n - 1) / n);
		CU_ASSERT_EQUAL(p.held, (3 + n - 1) / n);
		/* Of each connection, not of all. */
		CU_ASSERT_EQUAL(p.hold_bytes, 4096);
		CU_ASSERT_EQUAL(p.n_workers, n);
	}
}

/* ACKs are refused unseen only where nobody else can have sent a cookie. */
static void
test_share_cookie_gate(void)
{
	static char file[] = "secret";

	for (unsigned int i = 0; i < 8; i++) {
		struct conf conf = conf_of(i & 1 ? 2 : 1);
		bool has_file = i & 2, is_shared = i & 4;

		conf.secret_file = has_file ? file : NULL;
		conf.secret_shared = is_shared;
		CU_ASSERT_EQUAL(core_share(&conf, seed).cookie_gate,
		                conf.workers.count == 1 && !(has_file && is_shared));
	}
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_share_alone),
	CHECK_TEST(test_share_of_several),
	CHECK_TEST(test_share_cookie_gate),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("core_share", tests);
}
