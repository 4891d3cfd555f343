/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the cookie variants share: each of them encrypts a row of blocks.
 *
 * cookie.c sorts jobs by key, lays their blocks out in a row and reads the MACs
 * out of it again, so that a variant knows nothing of flows, and all variants
 * give the same bits because each is AES-128. Private to cookie*.c.
 */
#ifndef SYNFRONT_COOKIE_BATCH_H
#define SYNFRONT_COOKIE_BATCH_H

#include <stdint.h>

#include "secret.h"

/* One row: what one pass over the jobs takes at most. */
#define COOKIE_ROW 64u

struct cookie_row {
	uint8_t blocks[COOKIE_ROW][16];
} __attribute__((aligned(64)));

/* Encrypt the first n (0..COOKIE_ROW) blocks in place. */
typedef void cookie_encrypt_fn(const struct aes_key *key, struct cookie_row *row, unsigned int n);

cookie_encrypt_fn cookie_encrypt_aesni;   /* needs AES-NI */
cookie_encrypt_fn cookie_encrypt_vaes256; /* needs AVX2, VAES */
cookie_encrypt_fn cookie_encrypt_vaes512; /* needs AVX-512F, VAES */

#endif
