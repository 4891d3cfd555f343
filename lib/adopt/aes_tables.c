/* SPDX-License-Identifier: BSD-3-Clause */
#include "aes_tables.h"

/* Times x in GF(2^8) (FIPS-197, 4.2.1). */
static uint8_t
twice(uint8_t b)
{
	return (uint8_t)(b << 1 ^ (b >> 7) * 0x1b);
}

static uint8_t
rotate(uint8_t b, unsigned int n)
{
	return (uint8_t)(b << n | b >> (8 - n));
}

/* The S-box (FIPS-197, 5.1.1): the inverse, by powers of the generator 3 and of its own
 * inverse in step, then the affine map. */
static void
fill_sbox(uint8_t sbox[256])
{
	uint8_t p = 1, q = 1;

	do {
		p = p ^ twice(p);
		/* Divided by 3: 0xf6 is its inverse. */
		q ^= (uint8_t)(q << 1);
		q ^= (uint8_t)(q << 2);
		q ^= (uint8_t)(q << 4);
		if ((q & 0x80) != 0)
			q ^= 0x09;
		sbox[p] = q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^ rotate(q, 4) ^ 0x63;
	} while (p != 1);
	sbox[0] = 0x63;
}

void
aes_tables_fill(uint32_t table[4][256], uint8_t sbox[256])
{
	fill_sbox(sbox);
	for (unsigned int x = 0; x < 256; x++) {
		uint32_t s = sbox[x], two = twice(sbox[x]);
		uint32_t column = two | s << 8 | s << 16 | (two ^ s) << 24;

		for (unsigned int row = 0; row < 4; row++) {
			table[row][x] = column;
			column = column << 8 | column >> 24;
		}
	}
}
