/* SPDX-License-Identifier: BSD-3-Clause */
/* The trial of the cipher: right variants pass, and each wrong one is found and passed over. */
#include "check.h"
#include "cookie_trial.h"

/* ---- AES-128 in plain C, from FIPS-197 alone ---- */

static uint8_t
field_times(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b != 0; b >>= 1) {
		if (b & 1)
			product ^= a;
		a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
	}
	return product;
}

/* 5.1.1: the inverse, which is the 254th power, and the affine map. */
static uint8_t
substitute(uint8_t a)
{
	uint8_t inverse = 1, out = 0x63;

	for (unsigned int i = 0; i < 254; i++)
		inverse = field_times(inverse, a);
	for (unsigned int i = 0; i < 5; i++)
		out ^= (uint8_t)(inverse << i | inverse >> (8 - i));
	return out;
}

static const uint8_t *
box(void)
{
	static uint8_t table[256];

	if (table[0] == 0)
		for (unsigned int i = 0; i < 256; i++)
			table[i] = substitute((uint8_t)i);
	return table;
}

static void
mix_columns(uint8_t s[16])
{
	for (unsigned int column = 0; column < 16; column += 4) {
		uint8_t a[4];

		memcpy(a, s + column, 4);
		for (unsigned int i = 0; i < 4; i++)
			s[column + i] = (uint8_t)(field_times(a[i], 2) ^
			                          field_times(a[(i + 1) % 4], 3) ^ a[(i + 2) % 4] ^
			                          a[(i + 3) % 4]);
	}
}

static void
portable_block(const struct aes_key *key, uint8_t block[16])
{
	uint8_t s[16], t[16];

	for (unsigned int i = 0; i < 16; i++)
		s[i] = block[i] ^ key->round[0][i];
	for (unsigned int round = 1; round <= 10; round++) {
		for (unsigned int i = 0; i < 16; i++)
			t[i] = box()[s[(i + 4 * (i % 4)) % 16]];
		if (round < 10)
			mix_columns(t);
		for (unsigned int i = 0; i < 16; i++)
			s[i] = t[i] ^ key->round[round][i];
	}
	memcpy(block, s, 16);
}

static void
portable(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		portable_block(key, row->blocks[i]);
}

/* ---- wrong ones ---- */

/* One bit of one block in rows of at least eight. */
static void
wrong_lane(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	cookie_encrypt_aesni(key, row, n);
	if (n >= 8)
		row->blocks[5][11] ^= 0x40;
}

/* Only what is left over from whole units of four. */
static void
wrong_tail(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	cookie_encrypt_aesni(key, row, n);
	if (n % 4 == 3)
		row->blocks[n - 1][0] ^= 1;
}

/* The last round mixes columns, as the others do. */
static void
wrong_last_round(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	cookie_encrypt_aesni(key, row, n);
	for (unsigned int i = 0; i < n; i++)
		mix_columns(row->blocks[i]);
}

/* One bit of the blocks whose last byte is small: one in sixty-four. */
static void
wrong_for_some_blocks(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	uint8_t last[COOKIE_ROW];

	for (unsigned int i = 0; i < n; i++)
		last[i] = row->blocks[i][15];
	cookie_encrypt_aesni(key, row, n);
	for (unsigned int i = 0; i < n; i++)
		row->blocks[i][3] ^= last[i] < 4;
}

/* A register wider than the row's end. */
static void
wrong_behind_the_end(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	cookie_encrypt_aesni(key, row, n < COOKIE_ROW ? n + 1 : n);
}

static void
does_nothing(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	(void)key;
	(void)row;
	(void)n;
}

static cookie_encrypt_fn *const wrong[] = { wrong_lane,           wrong_tail,
	                                    wrong_last_round,     wrong_for_some_blocks,
	                                    wrong_behind_the_end, does_nothing };
#define N_WRONG (sizeof(wrong) / sizeof(wrong[0]))

static bool
yes(void)
{
	return true;
}

static bool
no(void)
{
	return false;
}

/* ---- tests ---- */

static void
test_trial_right_ciphers_pass(void)
{
	CU_ASSERT_TRUE(cookie_trial_plain(cookie_encrypt_aesni));
	CU_ASSERT_TRUE(cookie_trial_plain(portable));
	CU_ASSERT_TRUE(cookie_trial_like(portable, cookie_encrypt_aesni));
	CU_ASSERT_TRUE(cookie_trial_like(cookie_encrypt_aesni, portable));
}

static void
test_trial_wrong_ciphers_fail(void)
{
	for (unsigned int i = 0; i < N_WRONG; i++) {
		CU_ASSERT_FALSE(cookie_trial_plain(wrong[i]));
		CU_ASSERT_FALSE(cookie_trial_like(wrong[i], cookie_encrypt_aesni));
	}
}

static void
test_choose_wrong_variant_falls_back_to_next(void)
{
	for (unsigned int i = 0; i < N_WRONG; i++) {
		const struct cookie_variant variants[] = { { "plain", cookie_encrypt_aesni, yes },
			                                   { "wide", portable, yes },
			                                   { "widest", wrong[i], yes } };
		struct cookie_faults faults;
		const struct cookie_variant *v = cookie_choose(variants, 3, "auto", &faults);

		CU_ASSERT_PTR_EQUAL(v, &variants[1]);
		CU_ASSERT_EQUAL_FATAL(faults.n, 1);
		CU_ASSERT_STRING_EQUAL(faults.names[0], "widest");
		/* Asked for by name there is nothing to fall back to. */
		CU_ASSERT_PTR_NULL(cookie_choose(variants, 3, "widest", &faults));
		CU_ASSERT_EQUAL_FATAL(faults.n, 1);
		CU_ASSERT_PTR_EQUAL(cookie_choose(variants, 3, "plain", &faults), &variants[0]);
		CU_ASSERT_EQUAL(faults.n, 0);
	}
}

static void
test_choose_all_wide_ones_wrong_is_plain(void)
{
	const struct cookie_variant variants[] = { { "plain", cookie_encrypt_aesni, yes },
		                                   { "wide", wrong_lane, yes },
		                                   { "widest", wrong_tail, yes } };
	struct cookie_faults faults;

	CU_ASSERT_PTR_EQUAL(cookie_choose(variants, 3, "auto", &faults), &variants[0]);
	CU_ASSERT_EQUAL_FATAL(faults.n, 2);
	CU_ASSERT_STRING_EQUAL(faults.names[0], "widest");
	CU_ASSERT_STRING_EQUAL(faults.names[1], "wide");
}

/* Whatever the others are, they have nothing to be held against. */
static void
test_choose_plain_wrong_is_none(void)
{
	for (unsigned int i = 0; i < N_WRONG; i++) {
		const struct cookie_variant variants[] = { { "plain", wrong[i], yes },
			                                   { "wide", portable, yes },
			                                   { "widest", wrong[i], yes } };
		struct cookie_faults faults;

		CU_ASSERT_PTR_NULL(cookie_choose(variants, 3, "auto", &faults));
		CU_ASSERT_EQUAL_FATAL(faults.n, 1);
		CU_ASSERT_STRING_EQUAL(faults.names[0], "plain");
		CU_ASSERT_PTR_NULL(cookie_choose(variants, 3, "wide", &faults));
	}
}

static void
test_choose_unsupported_is_no_fault(void)
{
	const struct cookie_variant variants[] = { { "plain", cookie_encrypt_aesni, yes },
		                                   { "wide", portable, yes },
		                                   { "widest", wrong_lane, no } };
	const struct cookie_variant none[] = { { "plain", wrong_lane, no } };
	struct cookie_faults faults;

	CU_ASSERT_PTR_EQUAL(cookie_choose(variants, 3, "auto", &faults), &variants[1]);
	CU_ASSERT_EQUAL(faults.n, 0);
	CU_ASSERT_PTR_NULL(cookie_choose(none, 1, "auto", &faults));
	CU_ASSERT_EQUAL(faults.n, 0);
}

static void
test_select_finds_no_fault_here(void)
{
	struct cookie_faults faults = { .n = 7 };

	CU_ASSERT_PTR_NOT_NULL(cookie_select("auto", &faults));
	CU_ASSERT_EQUAL(faults.n, 0);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_trial_right_ciphers_pass),
	CHECK_TEST(test_trial_wrong_ciphers_fail),
	CHECK_TEST(test_choose_wrong_variant_falls_back_to_next),
	CHECK_TEST(test_choose_all_wide_ones_wrong_is_plain),
	CHECK_TEST(test_choose_plain_wrong_is_none),
	CHECK_TEST(test_choose_unsupported_is_no_fault),
	CHECK_TEST(test_select_finds_no_fault_here),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("cookie_trial", tests);
}
