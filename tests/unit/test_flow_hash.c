/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyed hashes: every input bit counts, every output bit moves. */
#include "check.h"
#include "flow_hash.h"

#define N_SAMPLES 512

static void
fill(void *bytes, size_t size, uint64_t *state)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)(check_random(state) >> 24);
}

static struct flow
flow_random(uint64_t *state)
{
	struct flow flow;

	memset(&flow, 0, sizeof(flow));
	fill(&flow, 36, state);
	return flow;
}

/* Each of 64 bits flips in about half of the samples: within eight standard
 * deviations (sqrt(n) / 2 each) of the middle. */
static void
assert_avalanche(const unsigned int flips[64])
{
	const unsigned int middle = N_SAMPLES / 2, bound = 91;

	for (unsigned int bit = 0; bit < 64; bit++)
		CU_ASSERT_TRUE(flips[bit] > middle - bound && flips[bit] < middle + bound);
}

static void
test_flow_hash_any_input_bit_flips_half_of_the_output(void)
{
	uint64_t state = 21;

	/* 36 bytes of flow, then 4 of tags. */
	for (unsigned int bit = 0; bit < 40 * 8; bit++) {
		unsigned int flips[64] = { 0 };

		for (unsigned int i = 0; i < N_SAMPLES; i++) {
			struct flow_hash_key key;
			struct flow a = flow_random(&state), b = a;
			uint32_t tags = (uint32_t)check_random(&state), b_tags = tags;

			fill(&key, sizeof(key), &state);
			if (bit < 36 * 8)
				((uint8_t *)&b)[bit / 8] ^= (uint8_t)(1u << bit % 8);
			else
				b_tags ^= 1u << (bit - 36 * 8);
			uint64_t changed = flow_hash(&key, &a, tags) ^ flow_hash(&key, &b, b_tags);
			for (unsigned int o = 0; o < 64; o++)
				flips[o] += changed >> o & 1;
		}
		assert_avalanche(flips);
	}
}

/* Addresses and ports of IPv4, and the tags: all that such flows differ in. */
static void
test_flow_hash_v4_any_input_bit_flips_half_of_the_output(void)
{
	uint64_t state = 26;

	for (unsigned int bit = 0; bit < 128; bit++) {
		unsigned int flips[64] = { 0 };

		for (unsigned int i = 0; i < N_SAMPLES; i++) {
			struct flow_hash_key key;
			uint32_t in[4];
			uint64_t hash[2];

			fill(&key, sizeof(key), &state);
			fill(in, sizeof(in), &state);
			for (unsigned int k = 0; k < 2; k++) {
				struct flow flow = { ip_addr_v4(in[0]), ip_addr_v4(in[1]),
					             (uint16_t)in[2], (uint16_t)(in[2] >> 16) };

				hash[k] = flow_hash(&key, &flow, in[3]);
				in[bit / 32] ^= 1u << bit % 32;
			}
			for (unsigned int o = 0; o < 64; o++)
				flips[o] += (hash[0] ^ hash[1]) >> o & 1;
		}
		assert_avalanche(flips);
	}
}

static void
test_addr_hash_any_input_bit_flips_half_of_the_output(void)
{
	uint64_t state = 22;

	/* 16 bytes of address, then 4 of salt. */
	for (unsigned int bit = 0; bit < 20 * 8; bit++) {
		unsigned int flips[64] = { 0 };

		for (unsigned int i = 0; i < N_SAMPLES; i++) {
			struct flow_hash_key key;
			struct ip_addr a, b;
			uint32_t salt = (uint32_t)check_random(&state), b_salt = salt;

			fill(&key, sizeof(key), &state);
			fill(&a, sizeof(a), &state);
			b = a;
			if (bit < 128)
				b.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			else
				b_salt ^= 1u << (bit - 128);
			uint64_t changed = addr_hash(&key, &a, salt) ^ addr_hash(&key, &b, b_salt);
			for (unsigned int o = 0; o < 64; o++)
				flips[o] += changed >> o & 1;
		}
		assert_avalanche(flips);
	}
}

static void
test_flow_hash_any_key_byte_counts(void)
{
	struct flow_hash_key key;
	uint64_t state = 23;
	struct flow flow = flow_random(&state), flow_v4 = flow;

	flow_v4.client = ip_addr_v4(flow.client.words_be[3]);
	flow_v4.server = ip_addr_v4(flow.server.words_be[3]);
	fill(&key, sizeof(key), &state);
	uint64_t v4_before = flow_hash(&key, &flow_v4, 7);
	uint64_t flow_before = flow_hash(&key, &flow, 7);
	uint64_t addr_before = addr_hash(&key, &flow.client, 7);
	for (unsigned int i = 0; i < sizeof(key.bytes); i++) {
		uint8_t *byte = &key.bytes[i / 16][i % 16];

		*byte ^= 0x80;
		CU_ASSERT_NOT_EQUAL(flow_hash(&key, &flow, 7), flow_before);
		/* Of IPv4 the last key goes in before the last round, of which the 64 bits
		 * returned see half. */
		if (i < 48)
			CU_ASSERT_NOT_EQUAL(flow_hash(&key, &flow_v4, 7), v4_before);
		/* Of an address the first one does. */
		if (i >= 16)
			CU_ASSERT_NOT_EQUAL(addr_hash(&key, &flow.client, 7), addr_before);
		*byte ^= 0x80;
	}
	CU_ASSERT_EQUAL(flow_hash(&key, &flow, 7), flow_before);
}

static void
test_flow_hash_swapped_ends_differ(void)
{
	struct flow_hash_key key;
	uint64_t state = 24;

	fill(&key, sizeof(key), &state);
	for (unsigned int i = 0; i < 1000; i++) {
		struct flow flow = flow_random(&state);
		struct flow swapped = { flow.server, flow.client, flow.server_port_be,
			                flow.client_port_be };

		CU_ASSERT_NOT_EQUAL(flow_hash(&key, &flow, 0), flow_hash(&key, &swapped, 0));
	}
}

/* The sequential tuples of a scan spread over buckets as balls over bins. */
static void
test_flow_hash_sequential_flows_fill_buckets_evenly(void)
{
	enum {
		N_BUCKETS = 1024,
		PER_BUCKET = 64
	};
	unsigned int low[N_BUCKETS] = { 0 }, high[N_BUCKETS] = { 0 };
	struct flow_hash_key key;
	uint64_t state = 25;

	fill(&key, sizeof(key), &state);
	for (uint32_t i = 0; i < N_BUCKETS * PER_BUCKET; i++) {
		struct flow flow = { ip_addr_v4(__builtin_bswap32(0x0a000000 + (i >> 8))),
			             ip_addr_v4(__builtin_bswap32(0xc0000201)),
			             __builtin_bswap16((uint16_t)(1024 + (i & 255))),
			             __builtin_bswap16(443) };
		uint64_t hash = flow_hash(&key, &flow, 0);

		low[hash % N_BUCKETS]++;
		high[(hash >> 32) % N_BUCKETS]++;
	}
	/* The standard deviation is 8: nothing beyond eight of them. */
	for (unsigned int i = 0; i < N_BUCKETS; i++) {
		CU_ASSERT_TRUE(low[i] > 0 && low[i] < 2 * PER_BUCKET);
		CU_ASSERT_TRUE(high[i] > 0 && high[i] < 2 * PER_BUCKET);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_flow_hash_any_input_bit_flips_half_of_the_output),
		CHECK_TEST(test_flow_hash_v4_any_input_bit_flips_half_of_the_output),
		CHECK_TEST(test_addr_hash_any_input_bit_flips_half_of_the_output),
		CHECK_TEST(test_flow_hash_any_key_byte_counts),
		CHECK_TEST(test_flow_hash_swapped_ends_differ),
		CHECK_TEST(test_flow_hash_sequential_flows_fill_buckets_evenly),
		CU_TEST_INFO_NULL,
	};
	return check_run("flow_hash", tests);
}
