/* SPDX-License-Identifier: BSD-3-Clause */
/* The hash that finds a connection's worker: that of RSS, by both ways of taking it. */
#include "check.h"
#include "owner.h"

/* Microsoft, "Verifying the RSS Hash Calculation": the key, and three of the results. */
static const uint8_t known_key[OWNER_KEY_SIZE] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static struct flow
flow_v4(uint32_t client, uint16_t client_port, uint32_t server, uint16_t server_port)
{
	return (struct flow){ .client = ip_addr_v4(htobe32(client)),
		              .server = ip_addr_v4(htobe32(server)),
		              .client_port_be = htobe16(client_port),
		              .server_port_be = htobe16(server_port) };
}

static void
check_known(struct owner_map *map)
{
	const struct flow a = flow_v4(0x420995bb, 2794, 0xa18e6450, 1766);
	const struct flow b = flow_v4(0xc75c6f02, 14230, 0x41458c53, 4739);
	const struct flow c = {
		.client.words_be = { htobe32(0x3ffe2501), htobe32(0x02001fff), 0, htobe32(7) },
		.server.words_be = { htobe32(0x3ffe2501), htobe32(0x02000003), 0, htobe32(1) },
		.client_port_be = htobe16(2794),
		.server_port_be = htobe16(1766),
	};

	CU_ASSERT_EQUAL(owner_hash(map, &a, true), 0x51ccc178);
	CU_ASSERT_EQUAL(owner_hash(map, &b, true), 0xc626b0ea);
	CU_ASSERT_EQUAL(owner_hash(map, &c, false), 0x40207d3d);
}

static void
test_known_results(void)
{
	struct owner_map map;

	owner_map_init_key(&map, 4, known_key);
	check_known(&map);
	CU_ASSERT_TRUE(owner_map_multiply(&map));
	check_known(&map);
}

static void
test_both_ways_same(void)
{
	uint64_t state = 0x9e3779b97f4a7c15ull;
	struct owner_map map = { 0 };

	for (unsigned int i = 0; i < 100000; i++) {
		struct flow flow;
		uint64_t random[sizeof(flow) / sizeof(uint64_t) + 1] = { 0 };

		if (i % 1000 == 0) {
			CU_ASSERT_EQUAL_FATAL(owner_map_init(&map, 1 + i / 1000 % 255), 0);
			CU_ASSERT_TRUE(owner_map_multiply(&map));
		}
		for (unsigned int k = 0; k < sizeof(random) / sizeof(random[0]); k++)
			random[k] = check_random(&state);
		memcpy(&flow, random, sizeof(flow));
		bool is_v4 = i & 1, multiplies = map.multiplies;
		uint32_t hash = owner_hash(&map, &flow, is_v4);
		map.multiplies = false;
		CU_ASSERT_EQUAL(owner_hash(&map, &flow, is_v4), hash);
		map.multiplies = multiplies;
		CU_ASSERT(owner_of_hash(&map, hash) < map.n_workers);
	}
}

/* A product that is wrong in one bit is as if one bit of its factor were. */
static void
test_wrong_product_is_not_used(void)
{
	struct owner_map map;

	if (!__builtin_cpu_supports("pclmul"))
		return;
	for (unsigned int word = 0; word < OWNER_WORDS_MAX; word++)
		for (unsigned int bit = 0; bit < 63; bit++) { /* no hash meets the last one */
			owner_map_init_key(&map, 4, known_key);
			map.windows[word] ^= UINT64_C(1) << bit;
			CU_ASSERT_FALSE(owner_map_multiply(&map));
			CU_ASSERT_FALSE(map.multiplies);
		}
	check_known(&map);
}

/* A note is found by the datagram that it is of, whichever bits of its identification differ. */
static void
test_fragments_found(void)
{
	static struct owner_map map;
	struct segment seg = { .flow = flow_v4(0x420995bb, 0, 0xa18e6450, 0), .is_v4 = true };

	owner_map_init_key(&map, 4, known_key);
	for (unsigned int bit = 0; bit < 32; bit++) {
		seg.fragment_id = 0x12345678;
		owner_note_fragment(&map, &seg, bit % 3);
		CU_ASSERT_EQUAL(owner_of_fragment(&map, &seg, 3), bit % 3);
		seg.fragment_id ^= 1u << bit;
		CU_ASSERT_EQUAL(owner_of_fragment(&map, &seg, 3), 3);
	}
	seg.fragment_id = 0x12345678;
	seg.flow.client.words_be[3] ^= htobe32(1);
	CU_ASSERT_EQUAL(owner_of_fragment(&map, &seg, 3), 3);
}

/* Every worker has its part of the table. */
static void
test_table_is_even(void)
{
	static struct owner_map map;

	for (uint32_t n = 1; n < 256; n++) {
		unsigned int count[256] = { 0 };
		owner_map_init_key(&map, n, known_key);
		for (uint32_t i = 0; i < OWNER_TABLE_SIZE; i++)
			count[owner_of_hash(&map, i)]++;
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT(count[i] == OWNER_TABLE_SIZE / n ||
			          count[i] == OWNER_TABLE_SIZE / n + 1);
		CU_ASSERT_EQUAL(owner_of_hash(&map, OWNER_TABLE_SIZE + 1), owner_of_hash(&map, 1));
	}
}

/* What a NIC does that was given the first entries of the table is what the whole table says,
 * for every number of workers and every size that a NIC may have. */
static void
test_table_fits_any_nic(void)
{
	static struct owner_map map;

	for (uint32_t n = 1; n < 256; n++)
		for (uint32_t size = 1; size <= OWNER_TABLE_SIZE; size *= 2) {
			unsigned int count[256] = { 0 }, n_wrong = 0;
			owner_map_init_key(&map, n, known_key);
			owner_map_fit(&map, size);
			for (uint32_t hash = 0; hash < 2 * OWNER_TABLE_SIZE; hash++)
				n_wrong += owner_of_hash(&map, hash) != map.table[hash % size];
			CU_ASSERT_EQUAL(n_wrong, 0);
			for (uint32_t i = 0; i < size; i++)
				count[map.table[i]]++;
			for (uint32_t i = 0; i < n; i++)
				CU_ASSERT(count[i] == size / n || count[i] == size / n + 1);
		}
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_known_results),
	CHECK_TEST(test_both_ways_same),
	CHECK_TEST(test_wrong_product_is_not_used),
	CHECK_TEST(test_fragments_found),
	CHECK_TEST(test_table_is_even),
	CHECK_TEST(test_table_fits_any_nic),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("owner", tests);
}
