/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain variant: AES-NI, eight blocks in flight to cover its latency. */
#include <immintrin.h>

#include "cookie_lane.h"
#include "wipe.h"

#define TARGET __attribute__((target("aes,sse4.1")))

/* All rounds but for the first key, which is in `s`. */
static inline TARGET __attribute__((always_inline)) void
encrypt_rounds(const __m128i *k, __m128i *s, unsigned int n)
{
	for (unsigned int r = 1; r < 10; r++)
		for (unsigned int i = 0; i < n; i++)
			s[i] = _mm_aesenc_si128(s[i], k[r]);
	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm_aesenclast_si128(s[i], k[10]);
}

static inline TARGET __attribute__((always_inline)) void
encrypt_unit(const __m128i *k, __m128i *x, unsigned int n)
{
	__m128i s[8];

	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm_xor_si128(x[i], k[0]);
	encrypt_rounds(k, s, n);
	for (unsigned int i = 0; i < n; i++)
		x[i] = s[i];
}

/* The same keys for one more block of a chain. Taken for others, they are loaded anew: the compiler
 * would keep them all, and make room for them by storing blocks away. */
static inline TARGET __attribute__((always_inline)) const __m128i *
keys_again(const __m128i *k)
{
	__asm__("" : "+r"(k));
	return k;
}

/* One more block of each of `n` chains. */
static inline TARGET __attribute__((always_inline)) void
chain_block(const __m128i *k, __m128i *s, const __m128i *x, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm_xor_si128(_mm_xor_si128(s[i], x[i]), k[0]);
	encrypt_rounds(k, s, n);
}

/* Chains of three blocks. */
static inline TARGET __attribute__((always_inline)) void
chain_unit(const __m128i *k, struct cookie_row rows[3], unsigned int at, unsigned int n)
{
	__m128i s[8];

	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm_setzero_si128();
	for (unsigned int block = 0; block < 3; block++) {
		k = keys_again(k);
		chain_block(k, s, (const __m128i *)rows[block].blocks[at], n);
	}
	for (unsigned int i = 0; i < n; i++)
		_mm_store_si128((__m128i *)rows[0].blocks[at + i], s[i]);
}

/* The same of `n` segments with two tries each: these share two blocks. */
static inline TARGET __attribute__((always_inline)) void
tries_unit(const __m128i *k, const struct cookie_row both[2], struct cookie_row *last,
           unsigned int at, unsigned int n)
{
	__m128i *x = (__m128i *)last->blocks[2 * at];
	__m128i s[8], tries[8];

	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm_setzero_si128();
	for (unsigned int block = 0; block < 2; block++) {
		k = keys_again(k);
		chain_block(k, s, (const __m128i *)both[block].blocks[at], n);
	}
	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm_xor_si128(s[i], k[0]);
	for (unsigned int first = 0; first < 2 * n; first += 8) {
		const unsigned int most = 2 * n - first < 8 ? 2 * n - first : 8;

		k = keys_again(k);
		for (unsigned int i = 0; i < most; i++)
			tries[i] = _mm_xor_si128(s[(first + i) / 2], x[first + i]);
		encrypt_rounds(k, tries, most);
		for (unsigned int i = 0; i < most; i++)
			x[first + i] = tries[i];
	}
}

TARGET void
cookie_encrypt_aesni(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	const __m128i *k = (const __m128i *)key->round;
	__m128i *x = (__m128i *)row->blocks;

	for (; n >= 8; n -= 8, x += 8)
		encrypt_unit(k, x, 8);
	if (n >= 4) {
		encrypt_unit(k, x, 4);
		n -= 4;
		x += 4;
	}
	for (; n > 0; n--, x++)
		encrypt_unit(k, x, 1);
	wipe_xmm();
}

TARGET void
cookie_chain_aesni(const struct aes_key *key, struct cookie_row rows[3], unsigned int n)
{
	const __m128i *k = (const __m128i *)key->round;
	unsigned int at = 0;

	for (; n - at >= 8; at += 8)
		chain_unit(k, rows, at, 8);
	for (; at < n; at++)
		chain_unit(k, rows, at, 1);
	wipe_xmm();
}

TARGET void
cookie_chain_tries_aesni(const struct aes_key *key, const struct cookie_row both[2],
                         struct cookie_row *last, unsigned int n)
{
	const __m128i *k = (const __m128i *)key->round;
	unsigned int at = 0;

	for (; n - at >= 8; at += 8)
		tries_unit(k, both, last, at, 8);
	if (n - at >= 4) {
		tries_unit(k, both, last, at, 4);
		at += 4;
	}
	for (; at < n; at++)
		tries_unit(k, both, last, at, 1);
	wipe_xmm();
}
