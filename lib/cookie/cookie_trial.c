/* SPDX-License-Identifier: BSD-3-Clause */
#include "cookie_trial.h"

#include <string.h>

#define CHAIN_STEPS 8u

/* Sizes of rows that are tried: what is left over from each unit that a variant works in, and
 * two of the longest unit and more. */
static const uint8_t sizes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 13, 31, 47, 64, COOKIE_ROW };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* FIPS-197, C.1. */
static const uint8_t example_key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const uint8_t example_plain[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
	                                   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
static const uint8_t example_cipher[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
	                                    0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };
/* Its plaintexts with 0 .. 127 XORed into the last byte, each encrypted CHAIN_STEPS times, all
 * XORed: a thousand blocks of every kind. tests/unit/test_cookie_trial.c computes it by an AES
 * of its own. */
static const uint8_t chain_sum[16] = { 0x91, 0xb7, 0x06, 0x50, 0x7d, 0x1d, 0xd8, 0x7b,
	                               0x95, 0x75, 0x1e, 0x5a, 0x72, 0x49, 0xf7, 0x0e };

static void
fill_example(uint8_t blocks[COOKIE_ROW][16])
{
	for (unsigned int i = 0; i < COOKIE_ROW; i++)
		memcpy(blocks[i], example_plain, 16);
}

static bool
chain_is_right(cookie_encrypt_fn *encrypt, const struct aes_key *key)
{
	struct cookie_row row;
	uint8_t sum[16] = { 0 };

	fill_example(row.blocks);
	for (unsigned int i = 0; i < COOKIE_ROW; i++)
		row.blocks[i][15] ^= (uint8_t)i;
	for (unsigned int step = 0; step < CHAIN_STEPS; step++)
		encrypt(key, &row, COOKIE_ROW);
	for (unsigned int i = 0; i < COOKIE_ROW; i++)
		for (unsigned int byte = 0; byte < 16; byte++)
			sum[byte] ^= row.blocks[i][byte];
	return memcmp(sum, chain_sum, 16) == 0;
}

bool
cookie_trial_plain(cookie_encrypt_fn *encrypt)
{
	struct cookie_row row;
	struct aes_key key;

	aes_expand(&key, example_key);
	for (unsigned int size = 0; size < N_SIZES; size++) {
		fill_example(row.blocks);
		encrypt(&key, &row, sizes[size]);
		for (unsigned int i = 0; i < COOKIE_ROW; i++)
			if (memcmp(row.blocks[i], i < sizes[size] ? example_cipher : example_plain,
			           16) != 0)
				return false;
	}
	return chain_is_right(encrypt, &key);
}

/* xorshift64 (Marsaglia, 2003): the same blocks each time. */
static void
fill_random(void *out, size_t size, uint64_t *state)
{
	for (size_t i = 0; i < size; i += 8) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		memcpy((uint8_t *)out + i, state, 8);
	}
}

/* Do both make the same of these blocks? */
static bool
makes_same(cookie_encrypt_fn *encrypt, cookie_encrypt_fn *plain, const struct epoch_keys *keys,
           const struct cookie_row rows[3], bool is_v4, unsigned int n)
{
	struct cookie_lane wanted = { .keys = keys, .is_v4 = is_v4, .n = n }, made = wanted;

	memcpy(wanted.row, rows, sizeof(wanted.row));
	memcpy(made.row, rows, sizeof(made.row));
	cookie_lane_run_by(&wanted, plain);
	cookie_lane_run_by(&made, encrypt);
	return memcmp(wanted.row, made.row, sizeof(made.row)) == 0;
}

bool
cookie_trial_like(cookie_encrypt_fn *encrypt, cookie_encrypt_fn *plain)
{
	struct cookie_row rows[3];
	struct epoch_keys keys;
	uint64_t state = 0x9e3779b97f4a7c15u;
	uint8_t raw[2][16];

	fill_random(raw, sizeof(raw), &state);
	aes_expand(&keys.v4, raw[0]);
	aes_expand(&keys.v6, raw[1]);
	fill_random(rows, sizeof(rows), &state);
	for (unsigned int size = 0; size < N_SIZES; size++)
		if (!makes_same(encrypt, plain, &keys, rows, true, sizes[size]) ||
		    !makes_same(encrypt, plain, &keys, rows, false, sizes[size]))
			return false;
	return true;
}

static void
note_fault(struct cookie_faults *faults, const char *name)
{
	if (faults->n < COOKIE_VARIANTS)
		faults->names[faults->n++] = name;
}

const struct cookie_variant *
cookie_choose(const struct cookie_variant *variants, unsigned int n, const char *name,
              struct cookie_faults *faults)
{
	*faults = (struct cookie_faults){ 0 };
	if (!variants[0].is_supported())
		return NULL;
	if (!cookie_trial_plain(variants[0].encrypt)) {
		note_fault(faults, variants[0].name);
		return NULL;
	}
	for (unsigned int i = n; i-- > 0;) {
		const struct cookie_variant *v = &variants[i];

		if (strcmp(name, "auto") != 0 && strcmp(name, v->name) != 0)
			continue;
		if (!v->is_supported())
			continue;
		if (i == 0 || cookie_trial_like(v->encrypt, variants[0].encrypt))
			return v;
		note_fault(faults, v->name);
	}
	return NULL;
}
