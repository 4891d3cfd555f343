/* SPDX-License-Identifier: BSD-3-Clause */
/* The passes of a variant over a lane, and over tries. */
#include "cookie_lane.h"

#include "cookie_tries.h"

/* IPv6: CBC-MAC of three blocks, one pass over the rows each. */
static __attribute__((noinline)) void
run_v6(struct cookie_lane *lane, cookie_encrypt_fn *encrypt)
{
	__m128i *x = (__m128i *)lane->row[0].blocks;
	const unsigned int n = lane->n; /* what is stored to the rows might be it */

	encrypt(&lane->keys->v6, &lane->row[0], n);
	for (unsigned int block = 1; block < 3; block++) {
		const __m128i *next = (const __m128i *)lane->row[block].blocks;

#pragma GCC unroll 8
		for (unsigned int i = 0; i < n; i++)
			x[i] = _mm_xor_si128(x[i], next[i]);
		encrypt(&lane->keys->v6, &lane->row[0], n);
	}
}

void
cookie_lane_run_by(struct cookie_lane *lane, cookie_encrypt_fn *encrypt)
{
	if (lane->is_v4)
		encrypt(&lane->keys->v4, &lane->row[0], lane->n);
	/* With one block an instruction, loads and stores between passes are a third of it all. */
	else if (encrypt == cookie_encrypt_aesni)
		cookie_chain_aesni(&lane->keys->v6, lane->row, lane->n);
	else
		run_v6(lane, encrypt);
}

/* The same of tries: their last blocks take up what both of a segment have in common. */
static __attribute__((noinline)) void
run_tries_v6(struct cookie_tries *tries, cookie_encrypt_fn *encrypt)
{
	__m128i *both = (__m128i *)tries->both[0].blocks, *last = (__m128i *)tries->last.blocks;
	const __m128i *server = (const __m128i *)tries->both[1].blocks;
	const unsigned int n = tries->n; /* what is stored to the rows might be it */

	encrypt(&tries->keys->v6, &tries->both[0], n);
	for (unsigned int i = 0; i < n; i++)
		both[i] = _mm_xor_si128(both[i], server[i]);
	encrypt(&tries->keys->v6, &tries->both[0], n);
	for (unsigned int i = 0; i < n; i++) {
		last[2 * i] = _mm_xor_si128(last[2 * i], both[i]);
		last[2 * i + 1] = _mm_xor_si128(last[2 * i + 1], both[i]);
	}
	encrypt(&tries->keys->v6, &tries->last, 2 * n);
}

void
cookie_tries_run_by(struct cookie_tries *tries, cookie_encrypt_fn *encrypt)
{
	if (tries->is_v4)
		encrypt(&tries->keys->v4, &tries->last, 2 * tries->n);
	else if (encrypt == cookie_encrypt_aesni)
		cookie_chain_tries_aesni(&tries->keys->v6, tries->both, &tries->last, tries->n);
	else
		run_tries_v6(tries, encrypt);
}
