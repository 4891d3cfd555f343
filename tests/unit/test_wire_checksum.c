/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/wire's checksums against the byte-wise one of frame.c. */
#include <arpa/inet.h>

#include "check.h"
#include "checksum.h"
#include "frame.h"

#define MAX_LEN 200

static void
fill(uint8_t *bytes, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(check_random(state) >> 24);
}

static void
test_checksum_any_length_and_alignment_is_bytewise_sum(void)
{
	uint8_t bytes[MAX_LEN + 8];
	uint64_t state = 1;

	for (size_t len = 0; len <= MAX_LEN; len++) {
		for (size_t shift = 0; shift < 8; shift++) {
			fill(bytes, sizeof(bytes), &state);
			uint8_t *copy = check_copy(bytes, shift + len);
			uint16_t sum = checksum_fold(checksum_add(0, copy + shift, len));
			CU_ASSERT_EQUAL(ntohs((uint16_t)~sum),
			                frame_checksum(0, copy + shift, len));
			free(copy);
		}
	}
}

static void
test_checksum_all_ones_carries_at_every_add(void)
{
	uint8_t bytes[MAX_LEN];

	memset(bytes, 0xff, sizeof(bytes));
	for (size_t len = 2; len <= MAX_LEN; len += 2) {
		uint16_t sum = checksum_fold(checksum_add(UINT64_MAX, bytes, len));
		CU_ASSERT_EQUAL(sum, 0xffff);
	}
}

/* Words of all ones, all zero and between, in every order: with and without each carry. */
static void
test_checksum_four_words_at_once_are_four_added(void)
{
	static const uint64_t words[] = { 0, 1, UINT64_MAX, UINT64_MAX - 1, 0x8000000000000000 };
	uint8_t bytes[33] = { 0 };

	for (unsigned int which = 0; which < 5 * 5 * 5 * 5 * 5; which++) {
		unsigned int rest = which / 5;
		uint64_t sum = words[which % 5], expected = sum;

		for (unsigned int i = 0; i < 4; i++, rest /= 5) {
			memcpy(bytes + 1 + 8 * i, &words[rest % 5], 8);
			expected = checksum_carry(expected, words[rest % 5]);
		}
		uint8_t *copy = check_copy(bytes, sizeof(bytes));
		CU_ASSERT_EQUAL(checksum_fold(checksum_add_32(sum, copy + 1)),
		                checksum_fold(expected));
		free(copy);
	}
}

static void
test_checksum_of_parts_equals_whole(void)
{
	uint8_t bytes[MAX_LEN];
	uint64_t state = 2;

	fill(bytes, sizeof(bytes), &state);
	uint16_t whole = checksum_fold(checksum_add(0, bytes, MAX_LEN));
	for (size_t cut = 0; cut <= MAX_LEN; cut += 2) {
		uint64_t sum = checksum_add(0, bytes, cut);
		CU_ASSERT_EQUAL(checksum_fold(checksum_add(sum, bytes + cut, MAX_LEN - cut)),
		                whole);
	}
}

/* Change a 32-bit field at `off` of a message; the updated checksum must be the
 * byte-wise one of the new message plus the error that the old one had. */
static void
check_delta(size_t off, uint16_t error, uint64_t *state)
{
	uint8_t bytes[64];
	uint32_t old_be, new_be = (uint32_t)check_random(state);

	fill(bytes, sizeof(bytes), state);
	uint32_t bad = (uint32_t)frame_checksum(0, bytes, sizeof(bytes)) + error;
	uint16_t check = (uint16_t)((bad & 0xffff) + (bad >> 16));
	memcpy(&old_be, bytes + off, 4);
	memcpy(bytes + off, &new_be, 4);

	uint64_t sum = checksum_delta_init(htons(check));
	sum = off & 1 ? checksum_delta_u32_odd(sum, old_be, new_be)
	              : checksum_delta_u32(sum, old_be, new_be);
	uint32_t want = (uint32_t)frame_checksum(0, bytes, sizeof(bytes)) + error;
	want = (want & 0xffff) + (want >> 16);
	CU_ASSERT_EQUAL(ntohs(checksum_delta_finish(sum)) % 0xffff, want % 0xffff);
}

static void
test_checksum_delta_u32_at_any_offset_is_recomputed_sum(void)
{
	uint64_t state = 3;

	for (size_t off = 0; off <= 60; off++)
		for (unsigned int i = 0; i < 100; i++)
			check_delta(off, 0, &state);
}

static void
test_checksum_delta_of_bad_checksum_keeps_the_error(void)
{
	uint64_t state = 4;

	for (size_t off = 0; off <= 60; off++)
		for (unsigned int i = 0; i < 100; i++)
			check_delta(off, (uint16_t)(1 + check_random(&state) % 0xfffe), &state);
}

static void
test_checksum_delta_u16_is_recomputed_sum(void)
{
	uint64_t state = 5;
	uint8_t bytes[32];

	for (unsigned int i = 0; i < 1000; i++) {
		uint16_t old_be, new_be = (uint16_t)check_random(&state);
		fill(bytes, sizeof(bytes), &state);
		uint64_t sum = checksum_delta_init(htons(frame_checksum(0, bytes, sizeof(bytes))));
		size_t off = 2 * (i % 16);
		memcpy(&old_be, bytes + off, 2);
		memcpy(bytes + off, &new_be, 2);
		sum = checksum_delta_u16(sum, old_be, new_be);
		CU_ASSERT_EQUAL(ntohs(checksum_delta_finish(sum)),
		                frame_checksum(0, bytes, sizeof(bytes)));
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_checksum_any_length_and_alignment_is_bytewise_sum),
		CHECK_TEST(test_checksum_all_ones_carries_at_every_add),
		CHECK_TEST(test_checksum_four_words_at_once_are_four_added),
		CHECK_TEST(test_checksum_of_parts_equals_whole),
		CHECK_TEST(test_checksum_delta_u32_at_any_offset_is_recomputed_sum),
		CHECK_TEST(test_checksum_delta_of_bad_checksum_keeps_the_error),
		CHECK_TEST(test_checksum_delta_u16_is_recomputed_sum),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_checksum", tests);
}
