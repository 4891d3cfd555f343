/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of a pcapng file, block by block. */
#include "check.h"
#include "pcapng.h"

#define LE32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)
#define LE16(v) (uint8_t)(v), (uint8_t)((v) >> 8)

static uint8_t out[512];

static void
check_bytes(size_t n, const uint8_t *want, size_t size)
{
	CU_ASSERT_EQUAL_FATAL(n, size);
	for (size_t i = 0; i < size; i++)
		if (out[i] != want[i]) {
			printf("byte %zu: %02x, want %02x\n", i, out[i], want[i]);
			CU_FAIL("a byte differs");
			return;
		}
}

static void
test_section(void)
{
	static const uint8_t want[] = {
		LE32(0x0a0d0d0a),
		LE32(40),
		LE32(0x1a2b3c4d),
		LE16(1),
		LE16(0),
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		LE16(4),
		LE16(3),
		's',
		'f',
		'1',
		0,
		LE16(0),
		LE16(0),
		LE32(40),
	};

	check_bytes(pcapng_section(out, sizeof(out), "sf1"), want, sizeof(want));
}

static void
test_interface(void)
{
	static const uint8_t want[] = {
		LE32(1), LE32(52), LE16(1), LE16(0), LE32(2048), LE16(2),  LE16(7), 'o',
		'u',     't',      's',     'i',     'd',        'e',      0,       LE16(3),
		LE16(4), 't',      'a',     'p',     '0',        LE16(9),  LE16(1), 9,
		0,       0,        0,       LE16(0), LE16(0),    LE32(52),
	};

	check_bytes(pcapng_interface(out, sizeof(out), "outside", "tap0", 2048), want,
	            sizeof(want));
}

static void
test_packet(void)
{
	static const uint8_t frame[] = { 1, 2, 3, 4, 5 };
	static const uint8_t want[] = {
		LE32(6),
		LE32(60),
		LE32(1),
		LE32(0x01020304),
		LE32(0x05060708),
		LE32(5),
		LE32(99),
		1,
		2,
		3,
		4,
		5,
		0,
		0,
		0,
		LE16(1),
		LE16(3),
		'w',
		'h',
		'y',
		0,
		LE16(2),
		LE16(4),
		LE32(2),
		LE16(0),
		LE16(0),
		LE32(60),
	};
	const struct pcapng_packet packet = {
		.interface = 1,
		.way = PCAPNG_OUTBOUND,
		.at_ns = 0x0102030405060708,
		.frame = frame,
		.captured = sizeof(frame),
		.len = 99,
		.comment = "why",
	};

	memset(out, 0xcc, sizeof(out)); /* padding is zero whatever was there */
	check_bytes(pcapng_packet(out, sizeof(out), &packet), want, sizeof(want));
}

static void
test_packet_that_does_not_fit_is_not_begun(void)
{
	static const uint8_t frame[] = { 1, 2, 3, 4, 5 };
	const struct pcapng_packet packet = {
		.way = PCAPNG_INBOUND, .frame = frame, .captured = 5, .len = 5, .comment = "why"
	};
	size_t size = pcapng_packet(out, sizeof(out), &packet);

	CU_ASSERT_TRUE(size > 0 && size <= 5 + 3 + PCAPNG_PACKET_OVERHEAD);
	CU_ASSERT_EQUAL(pcapng_packet(out, size, &packet), size);
	for (size_t room = 0; room < size; room++) {
		uint8_t *exact = check_copy(out, room);
		CU_ASSERT_EQUAL(pcapng_packet(exact, room, &packet), 0);
		free(exact);
	}
}

static void
test_statistics(void)
{
	static const uint8_t want[] = {
		LE32(5), LE32(52), LE32(1), LE32(0), LE32(7), LE16(4), LE16(8), 10,       0, 0,
		0,       0,        0,       0,       0,       LE16(5), LE16(8), 3,        0, 0,
		0,       0,        0,       0,       0,       LE16(0), LE16(0), LE32(52),
	};

	check_bytes(pcapng_statistics(out, sizeof(out), 1, 7, 10, 3), want, sizeof(want));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_section),    CHECK_TEST(test_interface),
		CHECK_TEST(test_packet),     CHECK_TEST(test_packet_that_does_not_fit_is_not_begun),
		CHECK_TEST(test_statistics), CU_TEST_INFO_NULL
	};

	return check_run("pcapng", tests);
}
