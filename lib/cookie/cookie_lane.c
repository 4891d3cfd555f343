/* SPDX-License-Identifier: BSD-3-Clause */
/* The passes of a variant over a lane. */
#include "cookie_lane.h"

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
