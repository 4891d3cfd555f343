/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum: whole (RFC 1071) and incremental (RFC 1624). */
#ifndef SYNFRONT_CHECKSUM_H
#define SYNFRONT_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One's complement addition: the carry out comes back in at the bottom. As
 * 2^16-1 divides 2^64-1, sums of 64-bit words fold to that of their halves
 * (RFC 1071, 2 (B) and (C)). */
static inline uint64_t
checksum_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* The same of 32 bits, to which 2^16-1 fits as well. */
static inline uint32_t
checksum_carry_u32(uint32_t a, uint32_t b)
{
	a += b;
	return a + (a < b);
}

/* The next eight bytes, at any alignment. */
static inline uint64_t
checksum_add_u64(uint64_t sum, const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return checksum_carry(sum, v);
}

/* Eight bytes anywhere, as an operand: word `i` from `p` on. */
struct checksum_word {
	uint8_t bytes[8];
};
#define CHECKSUM_WORD(p, i) "m"(*(const struct checksum_word *)(const void *)((p) + 8 * (i)))
#define CHECKSUM_2_WORDS(p) CHECKSUM_WORD(p, 0), CHECKSUM_WORD(p, 1)
#define CHECKSUM_3_WORDS(p) CHECKSUM_2_WORDS(p), CHECKSUM_WORD(p, 2)
#define CHECKSUM_4_WORDS(p) CHECKSUM_2_WORDS(p), CHECKSUM_2_WORDS((p) + 16)
#define CHECKSUM_6_WORDS(p) CHECKSUM_3_WORDS(p), CHECKSUM_3_WORDS((p) + 24)
#define CHECKSUM_9_WORDS(p) CHECKSUM_6_WORDS(p), CHECKSUM_3_WORDS((p) + 48)

/* Add operands of 64 bits, as many as `n` says, to `sum`: the carry goes from each addition to the
 * next in its flag, which no compiler makes of checksum_carry(). */
#define CHECKSUM_CHAIN(sum, n, ...) \
	__asm__("addq %1, %0\n\t" CHECKSUM_ADC_##n "adcq $0, %0" : "+r"(sum) : __VA_ARGS__ : "cc")
#define CHECKSUM_ADC_2 "adcq %2, %0\n\t"
#define CHECKSUM_ADC_4 CHECKSUM_ADC_2 "adcq %3, %0\n\tadcq %4, %0\n\t"
#define CHECKSUM_ADC_6 CHECKSUM_ADC_4 "adcq %5, %0\n\tadcq %6, %0\n\t"
#define CHECKSUM_ADC_7 CHECKSUM_ADC_6 "adcq %7, %0\n\t"
#define CHECKSUM_ADC_9 CHECKSUM_ADC_7 "adcq %8, %0\n\tadcq %9, %0\n\t"

/* A word and the next eight bytes. */
static inline uint64_t
checksum_add_word_and_8(uint64_t sum, uint64_t word, const uint8_t *p)
{
	CHECKSUM_CHAIN(sum, 2, "r"(word), CHECKSUM_WORD(p, 0));
	return sum;
}

/* Two words of 32 bits. */
static inline uint32_t
checksum_add_two_u32(uint32_t sum, uint32_t a, uint32_t b)
{
	__asm__("addl %1, %0\n\t"
	        "adcl %2, %0\n\t"
	        "adcl $0, %0"
	        : "+r"(sum)
	        : "rm"(a), "rm"(b)
	        : "cc");
	return sum;
}

/* The next 16 bytes ... */
static inline uint64_t
checksum_add_16(uint64_t sum, const uint8_t *p)
{
	CHECKSUM_CHAIN(sum, 2, CHECKSUM_2_WORDS(p));
	return sum;
}

/* ... 28 ... */
static inline uint64_t
checksum_add_28(uint64_t sum, const uint8_t *p)
{
	uint32_t last;

	memcpy(&last, p + 24, sizeof(last));
	CHECKSUM_CHAIN(sum, 4, CHECKSUM_3_WORDS(p), "r"((uint64_t)last));
	return sum;
}

/* ... 32 ... */
static inline uint64_t
checksum_add_32(uint64_t sum, const uint8_t *p)
{
	CHECKSUM_CHAIN(sum, 4, CHECKSUM_4_WORDS(p));
	return sum;
}

/* ... 48 ... */
static inline uint64_t
checksum_add_48(uint64_t sum, const uint8_t *p)
{
	CHECKSUM_CHAIN(sum, 6, CHECKSUM_6_WORDS(p));
	return sum;
}

/* ... 52 ... */
static inline uint64_t
checksum_add_52(uint64_t sum, const uint8_t *p)
{
	uint32_t last;

	memcpy(&last, p + 48, sizeof(last));
	CHECKSUM_CHAIN(sum, 7, CHECKSUM_6_WORDS(p), "r"((uint64_t)last));
	return sum;
}

/* ... and 72. */
static inline uint64_t
checksum_add_72(uint64_t sum, const uint8_t *p)
{
	CHECKSUM_CHAIN(sum, 9, CHECKSUM_9_WORDS(p));
	return sum;
}

/* One's complement sum of `len` bytes at `p` (any alignment) onto `sum`. An odd
 * last byte counts as if followed by a zero byte. Not folded. */
uint64_t checksum_add(uint64_t sum, const void *p, size_t len);

/* Fold a sum to 16 bits, in the byte order in which the words were added. Adding
 * the halves of a word to each other crosswise leaves their sum in the upper one,
 * with the carry out of the lower one already in it. */
static inline uint16_t
checksum_fold_u32(uint32_t sum)
{
	return (uint16_t)((sum + (sum << 16 | sum >> 16)) >> 16);
}

static inline uint16_t
checksum_fold(uint64_t sum)
{
	return checksum_fold_u32(checksum_carry_u32((uint32_t)sum, (uint32_t)(sum >> 32)));
}

/* Does a sum of words that are not all zero fold to 0xffff, as that of a whole packet with
 * its checksum does? 2^16 is 1 modulo 0xffff, so a sum and its fold have one remainder; the
 * compiler makes a product and a compare of it. */
static inline bool
checksum_is_whole(uint64_t sum)
{
	return sum % 0xffff == 0;
}

/*
 * RFC 1624 eqn. 3 for a 32-bit field: HC' = ~(~HC + ~m + m'), accumulated.
 * Start with checksum_delta_init(HC), add each changed field, finish with
 * checksum_delta_finish(). A wrong checksum stays wrong by the same amount.
 * Fields must be even-aligned within the checksummed data; for one that is not,
 * see checksum_delta_u32_odd().
 */
static inline uint64_t
checksum_delta_init(uint16_t check_be)
{
	return (uint16_t)~check_be;
}

static inline uint64_t
checksum_delta_u32(uint64_t sum, uint32_t old_be, uint32_t new_be)
{
	return sum + (uint32_t)~old_be + new_be;
}

static inline uint64_t
checksum_delta_u16(uint64_t sum, uint16_t old_be, uint16_t new_be)
{
	return sum + (uint16_t)~old_be + new_be;
}

/* As checksum_delta_u32() for a field at an odd offset: its bytes lie in the
 * other halves of their 16-bit words, which is the same as swapping them. */
static inline uint64_t
checksum_delta_u32_odd(uint64_t sum, uint32_t old_be, uint32_t new_be)
{
	uint32_t o = (old_be << 8) | (old_be >> 24), n = (new_be << 8) | (new_be >> 24);
	return sum + (uint32_t)~o + n;
}

static inline uint16_t
checksum_delta_finish(uint64_t sum)
{
	return (uint16_t)~checksum_fold(sum);
}

#endif
