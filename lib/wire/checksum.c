/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"

#include <string.h>

/* One's complement addition: the carry out comes back in at the bottom. As
 * 2^16-1 divides 2^64-1, sums of 64-bit words fold to that of their halves
 * (RFC 1071, 2 (B) and (C)). */
static inline uint64_t
add_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

static inline uint64_t
load_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* The result is below 2^33, so that callers may go on adding words to it. */
uint64_t
checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	/* Four sums, so that the carries of one do not wait for another's. */
	if (len >= 32) {
		uint64_t s1 = 0, s2 = 0, s3 = 0;
		do {
			sum = add_carry(sum, load_u64(p));
			s1 = add_carry(s1, load_u64(p + 8));
			s2 = add_carry(s2, load_u64(p + 16));
			s3 = add_carry(s3, load_u64(p + 24));
			p += 32;
			len -= 32;
		} while (len >= 32);
		sum = add_carry(add_carry(sum, s1), add_carry(s2, s3));
	}
	for (; len >= 8; p += 8, len -= 8)
		sum = add_carry(sum, load_u64(p));
	if (len & 4) {
		uint32_t v;
		memcpy(&v, p, sizeof(v));
		sum = add_carry(sum, v);
		p += 4;
	}
	if (len & 2) {
		uint16_t v;
		memcpy(&v, p, sizeof(v));
		sum = add_carry(sum, v);
		p += 2;
	}
	if (len & 1) {
		uint16_t v = 0;
		memcpy(&v, p, 1);
		sum = add_carry(sum, v);
	}
	return (sum & 0xffffffffu) + (sum >> 32);
}
