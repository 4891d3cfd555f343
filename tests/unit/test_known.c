/* SPDX-License-Identifier: BSD-3-Clause */
/* Known flows: what is remembered, for how long, and who gives way. */
#include "check.h"
#include "known.h"

#define FLOWS 1024u
#define HOUR 3600u

static uint32_t words[FLOWS] __attribute__((aligned(64)));
static struct known known;

static void
start(uint32_t flows)
{
	uint8_t key[64];

	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 37 + 11);
	memset(words, 0xff, sizeof(words));
	known_init(&known, words, flows, key);
}

/* A hash in set `set`; `tag` tells those of one set apart. */
static uint64_t
hash_of(uint32_t set, uint32_t tag)
{
	return (uint64_t)tag << 40 | set;
}

static void
test_known_size_is_whole_lines_and_power_of_two(void)
{
	CU_ASSERT_EQUAL(known_size(1), 64);
	CU_ASSERT_EQUAL(known_size(16), 64);
	CU_ASSERT_EQUAL(known_size(17), 128);
	CU_ASSERT_EQUAL(known_size(1024), 4096);
	CU_ASSERT_EQUAL(known_size(1025), 8192);
	start(1000);
	CU_ASSERT_EQUAL((known.mask + 1) * KNOWN_WAYS, 1024);
	CU_ASSERT_EQUAL(known_used(&known), 0);
}

static void
test_known_note_makes_known_and_nobody_else(void)
{
	start(FLOWS);
	CU_ASSERT_FALSE(known_has(&known, hash_of(5, 77)));
	known_note(&known, hash_of(5, 77), 1000);
	CU_ASSERT_TRUE(known_has(&known, hash_of(5, 77)));
	CU_ASSERT_FALSE(known_has(&known, hash_of(5, 78)));
	CU_ASSERT_FALSE(known_has(&known, hash_of(6, 77)));
	CU_ASSERT_EQUAL(known_used(&known), 1);
	known_note(&known, hash_of(5, 77), 5000);
	CU_ASSERT_EQUAL(known_used(&known), 1);
}

/* A hash of zeros is a flow like any other, and an empty cache knows nobody. */
static void
test_known_hash_zero_is_a_flow(void)
{
	start(16);
	CU_ASSERT_FALSE(known_has(&known, 0));
	known_note(&known, 0, 0);
	CU_ASSERT_TRUE(known_has(&known, 0));
	CU_ASSERT_EQUAL(known_used(&known), 1);
}

static void
test_known_full_set_longest_unseen_gives_way(void)
{
	start(FLOWS);
	for (uint32_t i = 0; i < KNOWN_WAYS; i++)
		known_note(&known, hash_of(3, 1 + i), 100000 + 20 * i);
	/* Seen again, the first is the youngest: the second gives way. */
	known_note(&known, hash_of(3, 1), 100400);
	known_note(&known, hash_of(3, 100), 100400);
	CU_ASSERT_TRUE(known_has(&known, hash_of(3, 100)));
	CU_ASSERT_TRUE(known_has(&known, hash_of(3, 1)));
	CU_ASSERT_FALSE(known_has(&known, hash_of(3, 2)));
	for (uint32_t i = 2; i < KNOWN_WAYS; i++)
		CU_ASSERT_TRUE(known_has(&known, hash_of(3, 1 + i)));
	CU_ASSERT_EQUAL(known_used(&known), KNOWN_WAYS);
}

/* Where all are as young, a newcomer does not always push out the same one. */
static void
test_known_full_set_of_one_age_newcomers_spread(void)
{
	uint32_t stayed = 0;

	start(FLOWS);
	for (uint32_t i = 0; i < 4 * KNOWN_WAYS; i++) {
		known_note(&known, hash_of(9, 1 + i), 64);
		CU_ASSERT_TRUE(known_has(&known, hash_of(9, 1 + i)));
	}
	for (uint32_t i = 3 * KNOWN_WAYS; i < 4 * KNOWN_WAYS; i++)
		stayed += known_has(&known, hash_of(9, 1 + i));
	CU_ASSERT_EQUAL(stayed, KNOWN_WAYS);
}

/* The clock of 8 bits comes round; the order of what is younger than that holds. */
static void
test_known_clock_comes_round_order_holds(void)
{
	uint32_t round_s = (KNOWN_TIME_MASK + 1) << KNOWN_TIME_SHIFT;

	CU_ASSERT_TRUE(round_s > HOUR);
	start(FLOWS);
	for (uint32_t i = 0; i < KNOWN_WAYS; i++)
		known_note(&known, hash_of(3, 1 + i), round_s - 64 + 16 * i);
	known_note(&known, hash_of(3, 100), round_s + 64);
	CU_ASSERT_FALSE(known_has(&known, hash_of(3, 1)));
	CU_ASSERT_TRUE(known_has(&known, hash_of(3, 2)));
}

/* To who acknowledges it or one more, and to nobody else. */
static void
test_known_expected_with_its_number(void)
{
	static const uint32_t seqs[] = { 1, 12345, 1u << 31, UINT32_MAX - 1, UINT32_MAX };

	for (unsigned int i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
		start(FLOWS);
		known_expect(&known, hash_of(5, 77), seqs[i], 1000);
		for (uint32_t more = 0; more < 3000; more++) {
			enum known_as as = more <= 1 ? KNOWN_EXPECTED : KNOWN_NOT;
			CU_ASSERT_EQUAL(known_look(&known, hash_of(5, 77), seqs[i] + more), as);
			CU_ASSERT_EQUAL(known_look(&known, hash_of(5, 78), seqs[i] + more),
			                KNOWN_NOT);
			CU_ASSERT_EQUAL(known_look(&known, hash_of(6, 77), seqs[i] + more),
			                KNOWN_NOT);
		}
		CU_ASSERT_EQUAL(known_look(&known, hash_of(5, 77), seqs[i] - 1), KNOWN_NOT);
		for (unsigned int bit = 1; bit < 32; bit++)
			CU_ASSERT_EQUAL(known_look(&known, hash_of(5, 77), seqs[i] + (1u << bit)),
			                KNOWN_NOT);
		CU_ASSERT_FALSE(known_has(&known, hash_of(5, 77)));
	}
}

/* In any of the eight places; and what has been known stays so. */
static void
test_known_confirm_takes_the_place(void)
{
	for (unsigned int place = 0; place < KNOWN_WAYS; place++) {
		start(FLOWS);
		for (uint32_t i = 0; i < place; i++)
			known_note(&known, hash_of(5, 100 + i), 1000);
		known_expect(&known, hash_of(5, 77), 9000, 1000);
		known_expect(&known, hash_of(5, 77), 9001, 1000);
		uint32_t used = known_used(&known);
		known_confirm(&known, hash_of(5, 77), 9001, 1000);
		CU_ASSERT_EQUAL(known_look(&known, hash_of(5, 77), 1), KNOWN_FLOW);
		CU_ASSERT_EQUAL(known_used(&known), place + 1);
		CU_ASSERT(used > place);
		for (uint32_t i = 0; i < place; i++)
			CU_ASSERT_TRUE(known_has(&known, hash_of(5, 100 + i)));
	}
}

/* A flood of what anybody may cause takes no more than one place of flows that are known. */
static void
test_known_expected_gives_way_first(void)
{
	unsigned int stayed = 0;

	start(FLOWS);
	for (uint32_t i = 0; i < KNOWN_WAYS; i++)
		known_note(&known, hash_of(3, 1 + i), 1000 - 16 * (i % 4));
	for (uint32_t i = 0; i < 1000; i++) {
		known_expect(&known, hash_of(3, 500), 7000 + i, 1000);
		CU_ASSERT_EQUAL(known_look(&known, hash_of(3, 500), 7000 + i), KNOWN_EXPECTED);
	}
	for (uint32_t i = 0; i < KNOWN_WAYS; i++)
		stayed += known_has(&known, hash_of(3, 1 + i));
	CU_ASSERT_EQUAL(stayed, KNOWN_WAYS - 1);
	/* A known one finds room in their place. */
	known_note(&known, hash_of(3, 50), 1000);
	stayed = 0;
	for (uint32_t i = 0; i < KNOWN_WAYS; i++)
		stayed += known_has(&known, hash_of(3, 1 + i));
	CU_ASSERT_EQUAL(stayed, KNOWN_WAYS - 1);
}

static void
test_known_hash_is_of_the_flow_under_the_key(void)
{
	struct flow flow = { .client_port_be = 1, .server_port_be = 2 }, other = flow;

	start(FLOWS);
	other.client_port_be = 3;
	uint64_t hash = known_hash(&known, &flow);
	CU_ASSERT_EQUAL(hash, known_hash(&known, &flow));
	CU_ASSERT_NOT_EQUAL(hash, known_hash(&known, &other));
	known.key.bytes[0][0] ^= 1;
	CU_ASSERT_NOT_EQUAL(hash, known_hash(&known, &flow));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_known_size_is_whole_lines_and_power_of_two),
		CHECK_TEST(test_known_note_makes_known_and_nobody_else),
		CHECK_TEST(test_known_hash_zero_is_a_flow),
		CHECK_TEST(test_known_full_set_longest_unseen_gives_way),
		CHECK_TEST(test_known_full_set_of_one_age_newcomers_spread),
		CHECK_TEST(test_known_clock_comes_round_order_holds),
		CHECK_TEST(test_known_expected_with_its_number),
		CHECK_TEST(test_known_confirm_takes_the_place),
		CHECK_TEST(test_known_expected_gives_way_first),
		CHECK_TEST(test_known_hash_is_of_the_flow_under_the_key),
		CU_TEST_INFO_NULL,
	};
	return check_run("known", tests);
}
