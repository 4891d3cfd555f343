/* SPDX-License-Identifier: BSD-3-Clause */
/* VAES on 512-bit registers: four blocks each, eight registers in flight. */
#include <immintrin.h>

#include "cookie_lane.h"
#include "wipe.h"

#define TARGET __attribute__((target("avx512f,vaes,aes")))

static inline TARGET __attribute__((always_inline)) void
encrypt_unit(const __m128i *k, __m512i *x, unsigned int n)
{
	__m512i s[8], key = _mm512_broadcast_i32x4(k[0]);

	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm512_xor_si512(x[i], key);
	for (unsigned int r = 1; r < 10; r++) {
		key = _mm512_broadcast_i32x4(k[r]);
		for (unsigned int i = 0; i < n; i++)
			s[i] = _mm512_aesenc_epi128(s[i], key);
	}
	key = _mm512_broadcast_i32x4(k[10]);
	for (unsigned int i = 0; i < n; i++)
		x[i] = _mm512_aesenclast_epi128(s[i], key);
}

/* The tail goes one by one: a masked load would have to wait for blocks that
 * were stored singly just before to reach the cache. */
static inline TARGET void
encrypt_one(const __m128i *k, __m128i *x)
{
	__m128i s = _mm_xor_si128(*x, k[0]);

	for (unsigned int r = 1; r < 10; r++)
		s = _mm_aesenc_si128(s, k[r]);
	*x = _mm_aesenclast_si128(s, k[10]);
}

TARGET void
cookie_encrypt_vaes512(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	const __m128i *k = (const __m128i *)key->round;
	__m512i *x = (__m512i *)row->blocks;

	for (; n >= 32; n -= 32, x += 8)
		encrypt_unit(k, x, 8);
	if (n >= 16) {
		encrypt_unit(k, x, 4);
		n -= 16;
		x += 4;
	}
	for (; n >= 4; n -= 4, x++)
		encrypt_unit(k, x, 1);
	for (__m128i *tail = (__m128i *)x; n > 0; n--, tail++)
		encrypt_one(k, tail);
	wipe_zmm();
}
