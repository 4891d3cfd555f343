/* SPDX-License-Identifier: BSD-3-Clause */
/* VAES on 256-bit registers: two blocks each, eight registers in flight. */
#include <immintrin.h>

#include "cookie_lane.h"
#include "wipe.h"

#define TARGET __attribute__((target("avx2,vaes,aes")))

static inline TARGET __attribute__((always_inline)) void
encrypt_unit(const __m128i *k, __m256i *x, unsigned int n)
{
	__m256i s[8], key = _mm256_broadcastsi128_si256(k[0]);

	for (unsigned int i = 0; i < n; i++)
		s[i] = _mm256_xor_si256(x[i], key);
	for (unsigned int r = 1; r < 10; r++) {
		key = _mm256_broadcastsi128_si256(k[r]);
		for (unsigned int i = 0; i < n; i++)
			s[i] = _mm256_aesenc_epi128(s[i], key);
	}
	key = _mm256_broadcastsi128_si256(k[10]);
	for (unsigned int i = 0; i < n; i++)
		x[i] = _mm256_aesenclast_epi128(s[i], key);
}

TARGET void
cookie_encrypt_vaes256(const struct aes_key *key, struct cookie_row *row, unsigned int n)
{
	const __m128i *k = (const __m128i *)key->round;
	__m256i *x = (__m256i *)row->blocks;

	for (; n >= 16; n -= 16, x += 8)
		encrypt_unit(k, x, 8);
	if (n >= 8) {
		encrypt_unit(k, x, 4);
		n -= 8;
		x += 4;
	}
	for (; n >= 2; n -= 2, x++)
		encrypt_unit(k, x, 1);
	if (n > 0)
		aes_encrypt(key, (const uint8_t *)x, (uint8_t *)x);
	wipe_ymm();
}
