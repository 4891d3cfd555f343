/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of drivers, and what is believed of them, with each release of DPDK. */
#include "check.h"
#include "dpdk_versions.h"

#define TYPES (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP)
#define KNOWS_ALGORITHMS (RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0))

static uint8_t key[52];

/* A driver that takes a key of this size, and names algorithms where DPDK lets it. */
static struct rte_eth_dev_info
driver(uint8_t key_size, uint32_t algorithms)
{
	struct rte_eth_dev_info info = { .hash_key_size = key_size };

#if KNOWS_ALGORITHMS
	info.rss_algo_capa = algorithms;
#else
	(void)algorithms;
#endif
	return info;
}

#if KNOWS_ALGORITHMS
#define DEFAULT RTE_ETH_HASH_ALGO_CAPA_MASK(DEFAULT)
#define TOEPLITZ RTE_ETH_HASH_ALGO_CAPA_MASK(TOEPLITZ)
#define SIMPLE_XOR RTE_ETH_HASH_ALGO_CAPA_MASK(SIMPLE_XOR)
#define ALGORITHM(conf) ((uint32_t)(conf).algorithm)
#else
#define DEFAULT 0
#define TOEPLITZ 0
#define SIMPLE_XOR 0
#define ALGORITHM(conf) ((void)(conf), 0u)
#endif

static void
test_rss_key_sized_is_given(void)
{
	struct rte_eth_dev_info info = driver(40, DEFAULT);
	struct rte_eth_rss_conf conf = rss_conf_make(&info, TYPES, key);

	CU_ASSERT_PTR_EQUAL(conf.rss_key, key);
	CU_ASSERT_EQUAL(conf.rss_key_len, 40);
	CU_ASSERT_EQUAL(conf.rss_hf, TYPES);
	CU_ASSERT_TRUE(rss_is_ours(&info));
}

/* rte_eth_dev_configure() refuses a key of any other size than the driver's. */
static void
test_rss_key_without_size_is_left_to_the_driver(void)
{
	struct rte_eth_dev_info info = driver(0, DEFAULT);
	struct rte_eth_rss_conf conf = rss_conf_make(&info, TYPES, key);

	CU_ASSERT_PTR_NULL(conf.rss_key);
	CU_ASSERT_EQUAL(conf.rss_key_len, 0);
	CU_ASSERT_EQUAL(conf.rss_hf, TYPES);
	CU_ASSERT_FALSE(rss_is_ours(&info));
}

static void
test_rss_key_short_is_not_ours(void)
{
	struct rte_eth_dev_info info = driver(16, DEFAULT);

	CU_ASSERT_FALSE(rss_is_ours(&info));
}

static void
test_rss_toeplitz_named_is_asked_for(void)
{
	struct rte_eth_dev_info info = driver(40, DEFAULT | SIMPLE_XOR | TOEPLITZ);
	struct rte_eth_rss_conf conf = rss_conf_make(&info, TYPES, key);

	CU_ASSERT_EQUAL(ALGORITHM(conf), KNOWS_ALGORITHMS ? 1u : 0u);
	CU_ASSERT_TRUE(rss_is_ours(&info));
}

/* It would be refused; what such a driver has by itself is Toeplitz. */
static void
test_rss_nothing_named_asks_for_nothing(void)
{
	struct rte_eth_dev_info info = driver(40, DEFAULT);
	struct rte_eth_rss_conf conf = rss_conf_make(&info, TYPES, key);

	CU_ASSERT_EQUAL(ALGORITHM(conf), 0);
	CU_ASSERT_TRUE(rss_is_ours(&info));
}

static void
test_rss_others_named_is_not_ours(void)
{
	struct rte_eth_dev_info info = driver(40, DEFAULT | SIMPLE_XOR);
	struct rte_eth_rss_conf conf = rss_conf_make(&info, TYPES, key);

	CU_ASSERT_EQUAL(ALGORITHM(conf), 0);
	CU_ASSERT_EQUAL(rss_is_ours(&info), !KNOWS_ALGORITHMS);
}

static void
test_tap_has_the_queues_that_fit_a_message(void)
{
	CU_ASSERT_EQUAL(tap_queues_max(3), 3);
	CU_ASSERT_EQUAL(tap_queues_max(64), RTE_VERSION < RTE_VERSION_NUM(24, 11, 0, 0) ? 4 : 64);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_rss_key_sized_is_given),
		CHECK_TEST(test_rss_key_without_size_is_left_to_the_driver),
		CHECK_TEST(test_rss_key_short_is_not_ours),
		CHECK_TEST(test_rss_toeplitz_named_is_asked_for),
		CHECK_TEST(test_rss_nothing_named_asks_for_nothing),
		CHECK_TEST(test_rss_others_named_is_not_ours),
		CHECK_TEST(test_tap_has_the_queues_that_fit_a_message),
		CU_TEST_INFO_NULL,
	};

	return check_run("dpdk_versions", tests);
}
