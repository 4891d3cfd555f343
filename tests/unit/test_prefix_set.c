/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of prefixes by themselves: what a look-up finds, and how little it tries. */
#include <arpa/inet.h>

#include "check.h"
#include "prefix_set.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((check_random(state) >> 32) % n);
}

static bool
model_covers(const struct prefix *list, uint32_t n, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < n; i++)
		if (prefix_contains(&list[i], addr))
			return true;
	return false;
}

/* What makes a look-up cost the same whatever the number of prefixes: lengths
 * tried, and slots seen by a probe, with a thousand as with one. */
static void
test_prefix_set_of_one_length_is_tried_once(void)
{
	static struct prefix hosts[1000];
	struct flow_hash_key key;
	uint64_t state = 33;

	for (size_t i = 0; i < sizeof(key); i++)
		((uint8_t *)&key)[i] = (uint8_t)(check_random(&state) >> 24);
	for (uint32_t i = 0; i < N(hosts); i++)
		hosts[i] = (struct prefix){ ip_addr_v4(htonl(0x0a000000u + i)), 128 };
	for (uint32_t n = 1; n <= N(hosts); n += N(hosts) - 1) {
		struct prefix_set set;

		CU_ASSERT_TRUE_FATAL(prefix_set_init(&set, &key, hosts, n, PREFIX_ROOM));
		CU_ASSERT_EQUAL(set.n_prefixes, n);
		CU_ASSERT_EQUAL(set.n_lengths[true], 1);
		CU_ASSERT_EQUAL(set.n_lengths[false], 0);
		CU_ASSERT_TRUE(set.slot_mask + 1 >= 2 * n);
		for (uint32_t i = 0; i < N(hosts); i++)
			CU_ASSERT_EQUAL(prefix_set_contains(&set, &hosts[i].addr), i < n);
		prefix_set_fini(&set);
	}
}

/* An address of one of these prefixes, or beside it: some bits differ. */
static struct ip_addr
addr_near(const struct prefix *list, uint32_t n, uint64_t *state)
{
	struct ip_addr addr = list[below(state, n)].addr;
	uint32_t first = ip_addr_is_v4(&addr) ? 96 : 0;

	for (uint32_t i = below(state, 3); i > 0; i--) {
		uint32_t bit = first + below(state, 128 - first);
		addr.bytes[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
	}
	return addr;
}

/* Lists of many lengths, of few networks and of many: what is near says no more than what is
 * there, and no less. */
static void
test_prefix_set_that_notes_what_is_near_contains_the_same(void)
{
	static struct prefix list[600];
	struct flow_hash_key key;
	uint64_t state = 77;
	uint32_t n_inside = 0, n_outside = 0, n_asked = 0;

	for (size_t i = 0; i < sizeof(key); i++)
		((uint8_t *)&key)[i] = (uint8_t)(check_random(&state) >> 24);
	for (uint32_t run = 0; run < 200; run++) {
		uint32_t n = 1 + below(&state, N(list)), n_nets = 1 + below(&state, 20);
		/* Few lists have a prefix that contains all, and few as many lengths as there are. */
		uint32_t shortest = below(&state, 4) == 0 ? 0 : 8 + below(&state, 30);
		struct prefix_set set;

		for (uint32_t i = 0; i < n; i++) {
			bool is_v4 = below(&state, 2);
			uint32_t bits = is_v4 ? 32 : 128, first = 128 - bits;
			uint32_t len = shortest < bits
			                       ? shortest + below(&state, bits + 1 - shortest)
			                       : bits;
			struct ip_addr addr = ip_addr_v4(htonl(0x0a000000u + (i % n_nets << 20)));

			if (!is_v4)
				addr = (struct ip_addr){ .bytes = { 0x20, (uint8_t)(i % n_nets), 1,
					                            2, 3, 4, 5, 6, 7 } };
			for (uint32_t k = 4; k < 16; k += 5)
				addr.bytes[is_v4 ? 12 + k % 4 : k] ^= (uint8_t)below(&state, 4);
			list[i] = (struct prefix){ ip_addr_mask(&addr, first + len),
				                   (uint8_t)(first + len) };
		}
		CU_ASSERT_TRUE_FATAL(prefix_set_init(&set, &key, list, n, PREFIX_ROOM));
		CU_ASSERT_TRUE_FATAL(prefix_set_note_near(&set));
		n_asked += set.near[0].n_bands + set.near[1].n_bands;
		for (uint32_t i = 0; i < 300; i++) {
			struct ip_addr addr = addr_near(list, n, &state);
			bool inside = model_covers(list, n, &addr);

			CU_ASSERT_EQUAL(prefix_set_contains(&set, &addr), inside);
			n_inside += inside;
			n_outside += !inside;
		}
		prefix_set_fini(&set);
	}
	CU_ASSERT_TRUE(n_inside > 1000 && n_outside > 1000 && n_asked > 600);
}

/* Whoever forges sources meets no prefix of a list of many lengths, and next to no try. */
static void
test_prefix_set_of_many_lengths_is_tried_where_they_are(void)
{
	struct prefix list[25 + 46];
	struct flow_hash_key key;
	uint64_t state = 5;
	uint32_t n = 0, n_tries = 0;

	for (size_t i = 0; i < sizeof(key); i++)
		((uint8_t *)&key)[i] = (uint8_t)(check_random(&state) >> 24);
	for (uint32_t len = 8; len <= 32; len++) {
		struct ip_addr addr = ip_addr_v4((uint32_t)check_random(&state));
		list[n++] = (struct prefix){ ip_addr_mask(&addr, 96 + len), (uint8_t)(96 + len) };
	}
	for (uint32_t len = 19; len <= 64; len++) {
		struct ip_addr addr = { .quads_be = { check_random(&state), 0 } };
		addr.bytes[0] = 0x2a;
		list[n++] = (struct prefix){ ip_addr_mask(&addr, len), (uint8_t)len };
	}
	struct prefix_set set;
	CU_ASSERT_TRUE_FATAL(prefix_set_init(&set, &key, list, n, PREFIX_ROOM));
	CU_ASSERT_TRUE_FATAL(prefix_set_note_near(&set));
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		const struct prefix_near *near = &set.near[is_v4];

		CU_ASSERT_EQUAL(near->n_bands, PREFIX_BANDS);
		CU_ASSERT_EQUAL(near->always, 0);
		for (uint32_t i = 0; i <= near->word_mask; i++)
			n_tries += (uint32_t)__builtin_popcountll(near->words[i]);
		/* Each prefix at one place: any other place has none. */
		CU_ASSERT_EQUAL(n_tries, is_v4 ? 46 + 25 : 46);
	}
	prefix_set_fini(&set);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_prefix_set_of_one_length_is_tried_once),
		CHECK_TEST(test_prefix_set_that_notes_what_is_near_contains_the_same),
		CHECK_TEST(test_prefix_set_of_many_lengths_is_tried_where_they_are),
		CU_TEST_INFO_NULL,
	};
	return check_run("prefix_set", tests);
}
