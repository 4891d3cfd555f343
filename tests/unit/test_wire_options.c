/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP options: each alone and in the layouts of common stacks, at every offset,
 * with every length, cut short, and against a slow reader of random bytes. */
#include "check.h"
#include "tcp_options.h"

#define OPTIONS_MAX 40

struct option_case {
	uint8_t bytes[18];
	uint8_t len;
	uint8_t bit;
};

static const struct option_case cases[] = {
	{ { 2, 4, 0x05, 0xb4 }, 4, OPTION_MSS },
	{ { 3, 3, 7 }, 3, OPTION_WSCALE },
	{ { 4, 2 }, 2, OPTION_SACK_PERMITTED },
	{ { 5, 10, 1, 2, 3, 4, 5, 6, 7, 8 }, 10, OPTION_SACK },
	{ { 8, 10, 0xaa, 0xbb, 0xcc, 0xdd, 0x11, 0x22, 0x33, 0x44 }, 10, OPTION_TIMESTAMPS },
	{ { 19, 18 }, 18, OPTION_MD5 },
	{ { 29, 16 }, 16, OPTION_AO },
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

/* Parse options of `len` bytes (a multiple of 4) behind a header, in a buffer
 * that ends with them. */
static struct segment
parse(const uint8_t *options, size_t len)
{
	uint8_t header[20 + OPTIONS_MAX] = { 0 };
	struct segment seg;

	memset(&seg, 0x5a, sizeof(seg));
	memcpy(header + 20, options, len);
	uint8_t *copy = check_copy(header, 20 + len);
	tcp_options_parse(&seg, copy, (unsigned int)(20 + len));
	free(copy);
	return seg;
}

static void
test_options_each_at_every_offset_is_read(void)
{
	for (size_t i = 0; i < N_CASES; i++) {
		const struct option_case *c = &cases[i];
		for (size_t off = 0; off + c->len <= OPTIONS_MAX; off++) {
			uint8_t options[OPTIONS_MAX];
			memset(options, TCPOPT_NOP, sizeof(options));
			memcpy(options + off, c->bytes, c->len);
			struct segment seg = parse(options, sizeof(options));
			CU_ASSERT_EQUAL(seg.options, c->bit);
			CU_ASSERT_EQUAL(seg.mss, c->bit == OPTION_MSS ? 1460 : 0);
			CU_ASSERT_EQUAL(seg.wscale, c->bit == OPTION_WSCALE ? 7 : 0);
			CU_ASSERT_EQUAL(seg.tsval, c->bit == OPTION_TIMESTAMPS ? 0xaabbccdd : 0);
			CU_ASSERT_EQUAL(seg.tsecr, c->bit == OPTION_TIMESTAMPS ? 0x11223344 : 0);
			CU_ASSERT_EQUAL(seg.ts_off, c->bit == OPTION_TIMESTAMPS ? 20 + off : 0);
			CU_ASSERT_EQUAL(seg.sack_off, c->bit == OPTION_SACK ? 20 + off : 0);
			CU_ASSERT_EQUAL(seg.sack_count, c->bit == OPTION_SACK ? 1 : 0);
		}
	}
}

/* A length that is not the kind's own, but possible: skipped, and what follows is
 * read. An impossible one: the walk ends, and what was before is kept. */
static void
test_options_each_with_every_bad_length_is_survived(void)
{
	for (size_t i = 0; i < N_CASES; i++) {
		for (unsigned int len = 0; len < 256; len++) {
			uint8_t options[OPTIONS_MAX];
			bool is_right = len == cases[i].len ||
			                (cases[i].bit == OPTION_AO && len >= 4) ||
			                (cases[i].bit == OPTION_SACK && len >= 10 && len % 8 == 2);
			bool is_fatal = len < 2 || len > OPTIONS_MAX - 3;
			/* The one before and the one after; neither kind is the tested one. */
			uint8_t bit = cases[i].bit == OPTION_WSCALE ? OPTION_SACK_PERMITTED
			                                            : OPTION_WSCALE;
			memset(options, TCPOPT_NOP, sizeof(options));
			options[0] = TCPOPT_NOP;
			if (bit == OPTION_WSCALE) {
				memcpy(options, cases[1].bytes, 3);
			} else {
				memcpy(options, cases[2].bytes, 2);
			}
			options[3] = cases[i].bytes[0];
			options[4] = (uint8_t)len;
			struct segment seg = parse(options, sizeof(options));
			uint8_t want = bit | (is_fatal ? OPTION_BAD : is_right ? cases[i].bit : 0);
			CU_ASSERT_EQUAL(seg.options, want);
		}
	}
}

static void
test_options_wrong_length_then_right_one_is_read(void)
{
	const uint8_t options[] = {
		2, 3, 9, 3, 4, 9, 9, 8, 3, 0, 4, 3, 0, 2, 4, 0x02, 0x18, 3, 3, 5
	};
	struct segment seg = parse(options, sizeof(options));

	CU_ASSERT_EQUAL(seg.options, OPTION_MSS | OPTION_WSCALE);
	CU_ASSERT_EQUAL(seg.mss, 536);
	CU_ASSERT_EQUAL(seg.wscale, 5);
}

static void
test_options_kind_as_last_byte_is_bad(void)
{
	for (unsigned int kind = 2; kind < 256; kind++) {
		const uint8_t options[] = { 1, 1, 1, (uint8_t)kind };
		CU_ASSERT_EQUAL(parse(options, sizeof(options)).options, OPTION_BAD);
	}
}

static void
test_options_unknown_kind_is_skipped(void)
{
	for (unsigned int kind = 30; kind < 256; kind++) {
		const uint8_t options[] = { (uint8_t)kind, 6, 2, 4, 0, 0, 3, 3, 6, 1, 1, 1 };
		struct segment seg = parse(options, sizeof(options));
		CU_ASSERT_EQUAL(seg.options, OPTION_WSCALE);
		CU_ASSERT_EQUAL(seg.wscale, 6);
	}
}

static void
test_options_after_end_of_list_are_ignored(void)
{
	const uint8_t options[] = { 2, 4, 0x05, 0xb4, 0, 3, 3, 7 };

	CU_ASSERT_EQUAL(parse(options, sizeof(options)).options, OPTION_MSS);
}

static void
test_options_repeated_first_counts(void)
{
	const uint8_t options[] = { 2, 4, 5, 0xb4, 2, 4, 1, 1, 3, 3,  2, 3, 3, 4, 1, 1, 8, 10,
		                    0, 0, 0, 1,    0, 0, 0, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 4 };
	struct segment seg = parse(options, sizeof(options));

	CU_ASSERT_EQUAL(seg.mss, 1460);
	CU_ASSERT_EQUAL(seg.wscale, 2);
	CU_ASSERT_EQUAL(seg.tsval, 1);
	CU_ASSERT_EQUAL(seg.tsecr, 2);
	CU_ASSERT_EQUAL(seg.ts_off, 36);
}

static void
test_options_wscale_above_14_reads_as_14(void)
{
	for (unsigned int shift = 0; shift < 256; shift++) {
		const uint8_t alone[] = { 3, 3, (uint8_t)shift, 1 };
		const uint8_t windows[] = { 2, 4, 5, 0xb4, 1, 3, 3, (uint8_t)shift, 1, 1, 4, 2 };
		unsigned int want = shift > 14 ? 14 : shift;
		CU_ASSERT_EQUAL(parse(alone, sizeof(alone)).wscale, want);
		CU_ASSERT_EQUAL(parse(windows, sizeof(windows)).wscale, want);
	}
}

/* Read as the header says, one byte after another, into `seg`. */
static void
slow_parse(struct segment *seg, const uint8_t *o, size_t n)
{
	for (size_t i = 0; i < n && o[i] != 0;) {
		if (o[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 == n || o[i + 1] < 2 || i + o[i + 1] > n) {
			seg->options |= OPTION_BAD;
			return;
		}
		size_t len = o[i + 1];
		for (size_t c = 0; c < N_CASES; c++) {
			bool fits = cases[c].bit == OPTION_AO     ? len >= 4
			            : cases[c].bit == OPTION_SACK ? len >= 10 && len % 8 == 2
			                                          : len == cases[c].len;
			if (o[i] != cases[c].bytes[0] || !fits || seg->options & cases[c].bit)
				continue;
			seg->options |= cases[c].bit;
			if (cases[c].bit == OPTION_MSS)
				seg->mss = (uint16_t)(o[i + 2] * 256 + o[i + 3]);
			if (cases[c].bit == OPTION_WSCALE)
				seg->wscale = o[i + 2] < 14 ? o[i + 2] : 14;
			if (cases[c].bit == OPTION_SACK) {
				seg->sack_off = (uint8_t)(20 + i);
				seg->sack_count = (uint8_t)((len - 2) / 8);
			}
			for (size_t b = 0; b < 4 && cases[c].bit == OPTION_TIMESTAMPS; b++) {
				seg->ts_off = (uint8_t)(20 + i);
				seg->tsval = seg->tsval << 8 | o[i + 2 + b];
				seg->tsecr = seg->tsecr << 8 | o[i + 6 + b];
			}
		}
		i += len;
	}
}

static void
check_same(const uint8_t *options, size_t len)
{
	struct segment want = { 0 }, seg = parse(options, len);

	slow_parse(&want, options, len);
	CU_ASSERT_EQUAL(seg.options, want.options);
	CU_ASSERT_EQUAL(seg.mss, want.mss);
	CU_ASSERT_EQUAL(seg.wscale, want.wscale);
	CU_ASSERT_EQUAL(seg.tsval, want.tsval);
	CU_ASSERT_EQUAL(seg.tsecr, want.tsecr);
	CU_ASSERT_EQUAL(seg.ts_off, want.ts_off);
	CU_ASSERT_EQUAL(seg.sack_off, want.sack_off);
	CU_ASSERT_EQUAL(seg.sack_count, want.sack_count);
}

/* The layouts with a way of their own, and all that differ from one of them in
 * one byte, cut to every length. */
static void
test_options_common_layout_changed_in_any_byte_reads_as_slow(void)
{
	static const uint8_t layouts[][24] = {
		{ 2, 4, 5, 0xb4, 4, 2, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 3, 3, 7 },
		{ 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 },
		{ 1, 1, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2 },
		{ 2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2 },
		{ 2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 9, 8, 7, 6, 5, 4, 3, 2, 4, 2 },
	};

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		for (size_t len = 0; len <= 24; len += 4) {
			check_same(layouts[i], len);
			for (size_t at = 0; at < len; at++) {
				for (unsigned int value = 0; value < 256; value++) {
					uint8_t options[24];
					memcpy(options, layouts[i], 24);
					options[at] = (uint8_t)value;
					check_same(options, len);
				}
			}
		}
	}
}

static void
test_options_random_bytes_read_as_slow(void)
{
	static const uint8_t likely[] = { 0, 1, 1, 2, 3, 4, 5, 8, 19, 29, 10, 18, 2, 3, 4, 200 };
	uint64_t state = 6;

	for (unsigned int i = 0; i < 100000; i++) {
		uint8_t options[OPTIONS_MAX];
		for (size_t b = 0; b < sizeof(options); b++)
			options[b] = likely[check_random(&state) >> 20 & 15];
		check_same(options, (check_random(&state) >> 20) % 11 * 4);
	}
}

/* What a SYN says is compared as one word, in which options leave the shape to
 * others, whatever was there before. */
static void
test_options_leave_nothing_of_before(void)
{
	for (uint8_t len = 0; len <= OPTIONS_MAX; len = (uint8_t)(len + 4)) {
		uint8_t options[OPTIONS_MAX];
		memset(options, TCPOPT_NOP, sizeof(options));
		CU_ASSERT_EQUAL(parse(options, len).shape, SHAPE_ANY);
		if (len >= 4)
			memcpy(options, cases[0].bytes, 4);
		struct segment seg = parse(options, len);
		CU_ASSERT_EQUAL(seg.shape, SHAPE_ANY);
		CU_ASSERT_EQUAL(seg.options, len >= 4 ? OPTION_MSS : 0);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_options_each_at_every_offset_is_read),
		CHECK_TEST(test_options_each_with_every_bad_length_is_survived),
		CHECK_TEST(test_options_wrong_length_then_right_one_is_read),
		CHECK_TEST(test_options_kind_as_last_byte_is_bad),
		CHECK_TEST(test_options_unknown_kind_is_skipped),
		CHECK_TEST(test_options_after_end_of_list_are_ignored),
		CHECK_TEST(test_options_repeated_first_counts),
		CHECK_TEST(test_options_wscale_above_14_reads_as_14),
		CHECK_TEST(test_options_common_layout_changed_in_any_byte_reads_as_slow),
		CHECK_TEST(test_options_random_bytes_read_as_slow),
		CHECK_TEST(test_options_leave_nothing_of_before),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_options", tests);
}
