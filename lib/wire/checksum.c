/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of more than a few bytes, eight at a time. */
#include "checksum.h"

/* The result is below 2^33, so that callers may go on adding words to it. */
uint64_t
checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	/* Four sums, so that the carries of one do not wait for another's. */
	if (len >= 32) {
		uint64_t s1 = 0, s2 = 0, s3 = 0;
		do {
			sum = checksum_add_u64(sum, p);
			s1 = checksum_add_u64(s1, p + 8);
			s2 = checksum_add_u64(s2, p + 16);
			s3 = checksum_add_u64(s3, p + 24);
			p += 32;
			len -= 32;
		} while (len >= 32);
		sum = checksum_carry(checksum_carry(sum, s1), checksum_carry(s2, s3));
	}
	for (; len >= 8; p += 8, len -= 8)
		sum = checksum_add_u64(sum, p);
	if (len & 4) {
		uint32_t v;
		memcpy(&v, p, sizeof(v));
		sum = checksum_carry(sum, v);
		p += 4;
	}
	if (len & 2) {
		uint16_t v;
		memcpy(&v, p, sizeof(v));
		sum = checksum_carry(sum, v);
		p += 2;
	}
	if (len & 1) {
		uint16_t v = 0;
		memcpy(&v, p, 1);
		sum = checksum_carry(sum, v);
	}
	return (sum & 0xffffffffu) + (sum >> 32);
}
