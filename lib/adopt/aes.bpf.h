/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-128 by tables, for a machine without vector registers. A table's row x is a column of
 * MixColumns times S-box(x) (Daemen and Rijmen, The Design of Rijndael, 4.2). The agent fills
 * them before the program is loaded; they are then read-only and the verifier knows it.
 *
 * Global functions: the verifier looks at each once, not once for every path to it.
 *
 * Tables leak their indices to who shares a cache. What is encrypted here are headers of
 * segments that came from outside, and keys live for a minute.
 */
#ifndef SYNFRONT_AES_BPF_H
#define SYNFRONT_AES_BPF_H

#include "adopt.h"
#include "kernel.bpf.h"

const volatile __u32 aes_table[4][256];
const volatile __u8 aes_sbox[256];

struct aes_block {
	__u32 w[4];
};

#define AES_COLUMN(a, b, c, d, k)                                                                 \
	(aes_table[0][(a) & 255] ^ aes_table[1][(b) >> 8 & 255] ^ aes_table[2][(c) >> 16 & 255] ^ \
	 aes_table[3][(d) >> 24] ^ key->round[k])

#define AES_LAST(a, b, c, d, k)                                                        \
	(((__u32)aes_sbox[(a) & 255] | (__u32)aes_sbox[(b) >> 8 & 255] << 8 |          \
	  (__u32)aes_sbox[(c) >> 16 & 255] << 16 | (__u32)aes_sbox[(d) >> 24] << 24) ^ \
	 key->round[k])

/* Encrypt in place. Returns 0. */
__attribute__((noinline)) int
adopt_aes_encrypt(struct adopt_aes *key, struct aes_block *block)
{
	if (key == NULL || block == NULL)
		return 0;
	__u32 a = block->w[0] ^ key->round[0], b = block->w[1] ^ key->round[1];
	__u32 c = block->w[2] ^ key->round[2], d = block->w[3] ^ key->round[3];

#pragma unroll
	for (int k = 4; k < 40; k += 4) {
		__u32 e = AES_COLUMN(a, b, c, d, k), f = AES_COLUMN(b, c, d, a, k + 1);
		__u32 g = AES_COLUMN(c, d, a, b, k + 2), h = AES_COLUMN(d, a, b, c, k + 3);

		a = e, b = f, c = g, d = h;
	}
	block->w[0] = AES_LAST(a, b, c, d, 40);
	block->w[1] = AES_LAST(b, c, d, a, 41);
	block->w[2] = AES_LAST(c, d, a, b, 42);
	block->w[3] = AES_LAST(d, a, b, c, 43);
	return 0;
}

#endif
