/* SPDX-License-Identifier: BSD-3-Clause */
/* AES against FIPS-197's examples; epochs, their keys and their clock. */
#include "check.h"
#include "secret.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define START_S 1800000000u /* begins an even epoch */

static struct secret_ring ring;

static void
master_fill(uint8_t master[MASTER_SECRET_SIZE], unsigned int seed)
{
	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		master[i] = (uint8_t)(i + seed);
}

static void
ring_start(struct secret_ring *r, uint64_t wall_s)
{
	uint8_t master[MASTER_SECRET_SIZE];

	master_fill(master, 0);
	secret_init(r, master, wall_s);
}

static bool
keys_equal(const struct epoch_keys *a, const struct epoch_keys *b)
{
	return memcmp(&a->v4.round, &b->v4.round, sizeof(a->v4.round)) == 0 &&
	       memcmp(&a->v6.round, &b->v6.round, sizeof(a->v6.round)) == 0 &&
	       memcmp(a->profile_mask, b->profile_mask, sizeof(a->profile_mask)) == 0;
}

/* Keys of one epoch, as a set in the middle of it has them. */
static struct epoch_keys
keys_of(uint32_t epoch)
{
	static struct secret_ring other;

	ring_start(&other, (uint64_t)epoch * EPOCH_S + EPOCH_S / 2);
	return secret_current(&other)->parity[epoch & 1];
}

/* Whether the published set is `epoch` with `other` beside it. */
static bool
current_is(uint32_t epoch, uint32_t other)
{
	const struct secret_set *set = secret_current(&ring);
	struct epoch_keys now = keys_of(epoch), beside = keys_of(other);

	return set->epoch == epoch && keys_equal(&set->parity[epoch & 1], &now) &&
	       keys_equal(&set->parity[other & 1], &beside);
}

static void
test_aes_expand_fips197_a1_gives_round_keys(void)
{
	const uint8_t raw[16] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
		                  0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };
	const uint8_t first[16] = { 0xa0, 0xfa, 0xfe, 0x17, 0x88, 0x54, 0x2c, 0xb1,
		                    0x23, 0xa3, 0x39, 0x39, 0x2a, 0x6c, 0x76, 0x05 };
	const uint8_t last[16] = { 0xd0, 0x14, 0xf9, 0xa8, 0xc9, 0xee, 0x25, 0x89,
		                   0xe1, 0x3f, 0x0c, 0xc8, 0xb6, 0x63, 0x0c, 0xa6 };
	struct aes_key key;

	aes_expand(&key, raw);
	CU_ASSERT_EQUAL(memcmp(key.round[0], raw, 16), 0);
	CU_ASSERT_EQUAL(memcmp(key.round[1], first, 16), 0);
	CU_ASSERT_EQUAL(memcmp(key.round[10], last, 16), 0);
}

static void
test_aes_encrypt_fips197_b_and_c1_gives_ciphertext(void)
{
	static const struct {
		uint8_t key[16], plain[16], cipher[16];
	} examples[] = {
		{ { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09,
		    0xcf, 0x4f, 0x3c },
		  { 0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a, 0x30, 0x8d, 0x31, 0x31, 0x98, 0xa2, 0xe0,
		    0x37, 0x07, 0x34 },
		  { 0x39, 0x25, 0x84, 0x1d, 0x02, 0xdc, 0x09, 0xfb, 0xdc, 0x11, 0x85, 0x97, 0x19,
		    0x6a, 0x0b, 0x32 } },
		{ { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c,
		    0x0d, 0x0e, 0x0f },
		  { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
		    0xdd, 0xee, 0xff },
		  { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70,
		    0xb4, 0xc5, 0x5a } },
	};

	for (size_t i = 0; i < N(examples); i++) {
		struct aes_key key;
		uint8_t out[16];

		aes_expand(&key, examples[i].key);
		aes_encrypt(&key, examples[i].plain, out);
		CU_ASSERT_EQUAL(memcmp(out, examples[i].cipher, 16), 0);
	}
}

/* Nodes of different versions must agree: bytes computed by another program. */
static void
test_secret_epoch_keys_are_the_published_ones(void)
{
	static const struct {
		uint32_t epoch;
		uint8_t v4[16], mask_31[16];
	} published[] = {
		{ 0,
		  { 0xf8, 0x70, 0xf1, 0x7a, 0xe5, 0xc1, 0x71, 0x27, 0x13, 0xb8, 0x6a, 0x54, 0x7e,
		    0xd2, 0xc8, 0x2e },
		  { 0x47, 0x29, 0x18, 0x8f, 0x36, 0x5a, 0x31, 0x57, 0x6e, 0x75, 0x65, 0x2f, 0xea,
		    0x0b, 0x56, 0xe9 } },
		{ 1,
		  { 0xd0, 0x4c, 0x30, 0xc8, 0xef, 0x91, 0xf6, 0xbf, 0xa8, 0x18, 0x8b, 0x0b, 0x14,
		    0xcd, 0x22, 0x4d },
		  { 0x07, 0xb5, 0xaa, 0xd3, 0xc3, 0xb8, 0xa0, 0x00, 0x31, 0xbc, 0x77, 0x05, 0x6c,
		    0x6a, 0xd1, 0x6a } },
	};

	for (size_t i = 0; i < N(published); i++) {
		struct epoch_keys keys = keys_of(published[i].epoch);

		CU_ASSERT_EQUAL(memcmp(keys.v4.round[0], published[i].v4, 16), 0);
		CU_ASSERT_EQUAL(memcmp(keys.profile_mask[31], published[i].mask_31, 16), 0);
	}
}

static void
test_secret_keys_of_uses_and_masters_all_differ(void)
{
	struct epoch_keys keys = keys_of(60000000), next = keys_of(60000001);
	static struct secret_ring other;
	uint8_t master[MASTER_SECRET_SIZE];

	CU_ASSERT_NOT_EQUAL(memcmp(keys.v4.round[0], keys.v6.round[0], 16), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(keys.v4.round[0], next.v4.round[0], 16), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(keys.v6.round[0], next.v6.round[0], 16), 0);
	for (unsigned int i = 0; i < 32; i++)
		for (unsigned int j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(memcmp(keys.profile_mask[i], keys.profile_mask[j], 16),
			                    0);

	/* Either half of the master counts. */
	for (unsigned int bit = 0; bit < MASTER_SECRET_SIZE * 8; bit += 8) {
		master_fill(master, 0);
		master[bit / 8] ^= 1;
		secret_init(&other, master, (uint64_t)60000000 * EPOCH_S);
		CU_ASSERT_FALSE(keys_equal(&secret_current(&other)->parity[0], &keys));
	}
}

static void
test_secret_step_through_epoch_publishes_lead_then_next(void)
{
	uint32_t epoch = START_S / EPOCH_S;

	ring_start(&ring, START_S);
	for (unsigned int s = 0; s < 3 * EPOCH_S; s++) {
		uint32_t now = epoch + s / EPOCH_S;
		bool lead = s % EPOCH_S >= EPOCH_S - EPOCH_LEAD_S;

		secret_step(&ring, START_S + s);
		CU_ASSERT_TRUE(current_is(now, lead ? now + 1 : now - 1));
	}
	/* A set at the start, one at each lead, one at each later epoch. */
	CU_ASSERT_EQUAL(ring.published, 1 + 3 + 2);
}

static void
test_secret_step_in_the_same_second_publishes_nothing(void)
{
	ring_start(&ring, START_S);
	const struct secret_set *set = secret_current(&ring);

	for (unsigned int i = 0; i < 100; i++)
		secret_step(&ring, START_S + i / 10);
	CU_ASSERT_PTR_EQUAL(secret_current(&ring), set);
	CU_ASSERT_EQUAL(ring.published, 1);
}

static void
test_secret_init_in_lead_holds_next_epoch(void)
{
	ring_start(&ring, START_S + EPOCH_S - 1);
	CU_ASSERT_TRUE(current_is(START_S / EPOCH_S, START_S / EPOCH_S + 1));
}

/* The set in use when another is published stays whole for almost an epoch. */
static void
test_secret_step_leaves_replaced_set_alone_for_an_epoch(void)
{
	const struct secret_set *old = NULL;
	static struct secret_set copy;
	uint64_t replaced_s = 0;

	ring_start(&ring, START_S);
	for (unsigned int s = 1; s < 20 * EPOCH_S; s++) {
		const struct secret_set *before = secret_current(&ring);

		if (old == NULL) {
			old = before;
			copy = *before;
		}
		secret_step(&ring, START_S + s);
		if (replaced_s == 0 && secret_current(&ring) != old)
			replaced_s = s;
		if (replaced_s != 0 && memcmp(old, &copy, sizeof(copy)) != 0) {
			CU_ASSERT_TRUE(s - replaced_s >= EPOCH_S);
			old = NULL;
			replaced_s = 0;
		}
	}
}

static void
test_secret_step_back_keeps_epoch_then_runs_at_half_pace(void)
{
	const unsigned int back_s = 100;
	uint32_t epoch = START_S / EPOCH_S;

	ring_start(&ring, START_S + 10);
	secret_step(&ring, START_S + 10 - back_s);
	CU_ASSERT_TRUE(current_is(epoch, epoch - 1));

	uint32_t last = epoch;
	for (unsigned int s = 1; s <= 2 * back_s; s++) {
		secret_step(&ring, START_S + 10 - back_s + s);
		uint32_t now = secret_current(&ring)->epoch;
		CU_ASSERT_EQUAL(now, (START_S + 10 + s / 2) / EPOCH_S);
		CU_ASSERT_TRUE(now == last || now == last + 1);
		last = now;
	}
	/* Caught up: from here on it is the wall clock's epoch again. */
	for (unsigned int s = 2 * back_s; s < 4 * back_s; s++) {
		secret_step(&ring, START_S + 10 - back_s + s);
		CU_ASSERT_EQUAL(secret_current(&ring)->epoch,
		                (START_S + 10 - back_s + s) / EPOCH_S);
	}
}

/* Where others have the secret, too, an hour is not made up for in two. */
static void
test_secret_step_back_far_is_followed_where_it_is_shared(void)
{
	const unsigned int hour_s = 3600;

	for (unsigned int shared = 0; shared < 2; shared++) {
		ring_start(&ring, START_S + 10);
		ring.is_shared = shared;
		secret_step(&ring, START_S + 10 - hour_s);
		CU_ASSERT_EQUAL(secret_current(&ring)->epoch,
		                (START_S + 10 - (shared ? hour_s : 0)) / EPOCH_S);
		ring_start(&ring, START_S + 10);
		ring.is_shared = shared;
		secret_step(&ring, START_S + 10 - SECRET_BACK_MAX_S);
		CU_ASSERT_EQUAL(secret_current(&ring)->epoch, (START_S + 10) / EPOCH_S);
		/* In two steps as in one. */
		secret_step(&ring, START_S + 10 - SECRET_BACK_MAX_S - 1);
		CU_ASSERT_EQUAL(secret_current(&ring)->epoch,
		                (START_S + 10 - (shared ? SECRET_BACK_MAX_S + 1 : 0)) / EPOCH_S);
	}
}

static void
test_secret_step_clock_that_jitters_never_goes_back(void)
{
	uint64_t state = 7, wall_s = START_S;
	uint32_t last = START_S / EPOCH_S;

	ring_start(&ring, wall_s);
	for (unsigned int i = 0; i < 20000; i++) {
		wall_s += check_random(&state) % 12;
		wall_s -= check_random(&state) % 10;
		secret_step(&ring, wall_s);
		CU_ASSERT_TRUE(secret_current(&ring)->epoch >= last);
		last = secret_current(&ring)->epoch;
		CU_ASSERT_TRUE(last >= wall_s / EPOCH_S);
	}
}

static void
test_secret_step_forward_follows_at_once(void)
{
	uint32_t epoch = START_S / EPOCH_S;

	ring_start(&ring, START_S);
	secret_step(&ring, START_S + 1000 * EPOCH_S + 5);
	CU_ASSERT_TRUE(current_is(epoch + 1000, epoch + 999));
}

static void
test_secret_fini_overwrites_everything(void)
{
	const uint8_t *bytes = (const uint8_t *)&ring;
	unsigned int sum = 0;

	ring_start(&ring, START_S);
	secret_step(&ring, START_S + EPOCH_S);
	secret_fini(&ring);
	for (size_t i = 0; i < sizeof(ring); i++)
		sum |= bytes[i];
	CU_ASSERT_EQUAL(sum, 0);
}

static void
hex_read(uint8_t *bytes, const char *hex)
{
	unsigned int byte;

	for (; hex[0] != '\0'; hex += 2) {
		sscanf(hex, "%2x", &byte);
		*bytes++ = (uint8_t)byte;
	}
}

/* Servers hold these. */
static void
test_secret_group_secrets_are_the_published_ones(void)
{
	static const struct {
		const char *name, *hex;
	} published[] = {
#define GROUP_SECRET(name, hex) { name, hex },
#define GROUP_V4_KEY(name, epoch, hex)
#include "group_vectors.def"
#undef GROUP_SECRET
#undef GROUP_V4_KEY
	};
	uint8_t master[MASTER_SECRET_SIZE], secret[MASTER_SECRET_SIZE], wanted[MASTER_SECRET_SIZE];

	master_fill(master, 0);
	for (size_t i = 0; i < N(published); i++) {
		hex_read(wanted, published[i].hex);
		secret_group_derive(master, published[i].name, secret);
		CU_ASSERT_EQUAL(memcmp(secret, wanted, sizeof(secret)), 0);
	}
}

static void
test_secret_group_keys_are_the_published_ones(void)
{
	static const struct {
		const char *name;
		uint32_t epoch;
		const char *hex;
	} published[] = {
#define GROUP_SECRET(name, hex)
#define GROUP_V4_KEY(name, epoch, hex) { name, epoch, hex },
#include "group_vectors.def"
#undef GROUP_SECRET
#undef GROUP_V4_KEY
	};
	uint8_t master[MASTER_SECRET_SIZE], secret[MASTER_SECRET_SIZE], wanted[16];
	struct epoch_keys keys;

	master_fill(master, 0);
	for (size_t i = 0; i < N(published); i++) {
		hex_read(wanted, published[i].hex);
		secret_group_derive(master, published[i].name, secret);
		secret_epoch_keys(&keys, secret, published[i].epoch);
		CU_ASSERT_EQUAL(memcmp(keys.v4.round[0], wanted, sizeof(wanted)), 0);
	}
}

/* A node with the master and a server with the group's secret alone have the same keys. */
static void
test_secret_set_groups_row_has_keys_of_group_secret(void)
{
	const char *const groups[SECRET_SETS] = { [1] = "default", [3] = "other" };
	uint8_t master[MASTER_SECRET_SIZE], secret[MASTER_SECRET_SIZE];
	struct epoch_keys keys;

	ring_start(&ring, START_S + 10);
	secret_set_groups(&ring, groups);
	for (uint64_t s = 10; s < 100; s += 30) {
		secret_step(&ring, START_S + s);
		const struct secret_set *row = secret_current(&ring);
		CU_ASSERT_TRUE(current_is(row[0].epoch, row[0].epoch - 1));
		master_fill(master, 0);
		for (unsigned int i = 1; i <= 3; i += 2) {
			secret_group_derive(master, groups[i], secret);
			secret_epoch_keys(&keys, secret, row[0].epoch);
			CU_ASSERT_EQUAL(row[i].epoch, row[0].epoch);
			CU_ASSERT_TRUE(keys_equal(&row[i].parity[row[0].epoch & 1], &keys));
		}
	}
	/* The same groups again publish nothing. */
	const struct secret_set *row = secret_current(&ring);
	secret_set_groups(&ring, groups);
	CU_ASSERT_PTR_EQUAL(secret_current(&ring), row);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_aes_expand_fips197_a1_gives_round_keys),
		CHECK_TEST(test_aes_encrypt_fips197_b_and_c1_gives_ciphertext),
		CHECK_TEST(test_secret_epoch_keys_are_the_published_ones),
		CHECK_TEST(test_secret_keys_of_uses_and_masters_all_differ),
		CHECK_TEST(test_secret_group_secrets_are_the_published_ones),
		CHECK_TEST(test_secret_group_keys_are_the_published_ones),
		CHECK_TEST(test_secret_set_groups_row_has_keys_of_group_secret),
		CHECK_TEST(test_secret_step_through_epoch_publishes_lead_then_next),
		CHECK_TEST(test_secret_step_in_the_same_second_publishes_nothing),
		CHECK_TEST(test_secret_init_in_lead_holds_next_epoch),
		CHECK_TEST(test_secret_step_leaves_replaced_set_alone_for_an_epoch),
		CHECK_TEST(test_secret_step_back_keeps_epoch_then_runs_at_half_pace),
		CHECK_TEST(test_secret_step_back_far_is_followed_where_it_is_shared),
		CHECK_TEST(test_secret_step_clock_that_jitters_never_goes_back),
		CHECK_TEST(test_secret_step_forward_follows_at_once),
		CHECK_TEST(test_secret_fini_overwrites_everything),
		CU_TEST_INFO_NULL,
	};
	return check_run("secret", tests);
}
