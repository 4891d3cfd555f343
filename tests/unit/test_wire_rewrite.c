/* SPDX-License-Identifier: BSD-3-Clause */
/* rewrite_apply(): the frame after it is the frame that the byte-wise builder
 * makes with the new values, checksum included; a bad checksum stays bad. */
#include "check.h"
#include "frame.h"
#include "rewrite.h"

static const struct rewrite all = {
	.seq_add = 0x89abcdef,
	.ack_add = 0xfffffff1,
	.sack_add = 0x10000001,
	.tsval_add = 0x80000000,
	.tsecr_add = 0x00ffff00,
	.window = 0xabcd,
	.edits = REWRITE_WINDOW,
};

static void
add32(uint8_t *p, uint32_t add)
{
	uint32_t v = ((uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]) + add;

	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* NOPs with timestamps at `ts_off` and two SACK blocks at `sack_off`, if not
 * negative; edited by `rw` if not NULL. Returns the length. */
static size_t
make_options(uint8_t *options, int ts_off, int sack_off, bool has_ack, const struct rewrite *rw)
{
	memset(options, 1, 40);
	if (ts_off >= 0) {
		uint8_t ts[10] = { 8, 10, 0xff, 0xfe, 0x80, 0x01, 0x7f, 0xff, 0xff, 0xff };
		if (rw != NULL && rw->edits & REWRITE_STRIP_TS) {
			memset(ts, 1, sizeof(ts));
		} else if (rw != NULL) {
			add32(ts + 2, rw->tsval_add);
			add32(ts + 6, has_ack ? rw->tsecr_add : 0);
		}
		memcpy(options + ts_off, ts, sizeof(ts));
	}
	if (sack_off >= 0) {
		uint8_t sack[18] = { 5, 18,   0,    0,    0,    9, 0, 1, 0,
			             0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2 };
		if (rw != NULL && rw->edits & REWRITE_STRIP_SACK)
			memset(sack, 1, sizeof(sack));
		for (size_t i = 2; rw != NULL && !(rw->edits & REWRITE_STRIP_SACK) && i < 18;
		     i += 4)
			add32(sack + i, rw->sack_add);
		memcpy(options + sack_off, sack, sizeof(sack));
	}
	return 40;
}

/* Rewriting `spec` with options as above must give the frame of the edited spec. */
static void
check_rewrite(struct frame_spec spec, int ts_off, int sack_off, const struct rewrite *rw)
{
	uint8_t frame[FRAME_SIZE], want[FRAME_SIZE], options[40], new_options[40];
	bool has_ack = spec.flags & TCP_ACK;

	spec.options_len = make_options(options, ts_off, sack_off, has_ack, NULL);
	make_options(new_options, ts_off, sack_off, has_ack, rw);
	spec.options = options;
	size_t len = frame_build(frame, &spec);
	spec.options = new_options;
	spec.seq += rw->seq_add;
	spec.ack += has_ack ? rw->ack_add : 0;
	if (rw->edits & REWRITE_WINDOW)
		spec.window = rw->window;
	frame_build(want, &spec);

	struct segment seg;
	uint8_t *copy = check_copy(frame, len);
	segment_parse(&seg, copy, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
	CU_ASSERT_EQUAL(seg.class, SEGMENT_TCP);
	rewrite_apply(copy, &seg, rw);
	size_t check = frame_l4_off(copy) + 16;
	CU_ASSERT_EQUAL(memcmp(copy, want, check), 0);
	CU_ASSERT_EQUAL(memcmp(copy + check + 2, want + check + 2, len - check - 2), 0);
	/* 0 and 0xffff are one value; a wrong checksum may end as either. */
	unsigned int got_sum = copy[check] * 256u + copy[check + 1];
	unsigned int want_sum = want[check] * 256u + want[check + 1];
	CU_ASSERT_EQUAL(got_sum % 0xffff, want_sum % 0xffff);
	CU_ASSERT_EQUAL(frame_is_good(copy, len), spec.bad_tcp_checksum == 0);
	segment_parse(&seg, copy, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
	CU_ASSERT_EQUAL(seg.seq, spec.seq);
	CU_ASSERT_EQUAL(seg.ack, spec.ack);
	CU_ASSERT_EQUAL(seg.window, spec.window);
	CU_ASSERT_EQUAL(segment_checksum_ok(&seg), spec.bad_tcp_checksum == 0);
	free(copy);
}

static struct frame_spec
data_spec(unsigned int variant)
{
	static const uint8_t payload[] = "some data of odd length";
	struct frame_spec spec = variant & 1 ? frame_spec_v4() : frame_spec_v6();

	spec.flags = variant & 2 ? TCP_ACK | TCP_PSH : TCP_SYN;
	spec.ack = 0xfffffff0;
	spec.payload = payload;
	spec.payload_len = variant & 4 ? 23 : 0;
	spec.n_tags = variant / 8 % 3;
	spec.tpid[0] = spec.tpid[1] = 0x8100;
	return spec;
}

static void
test_rewrite_timestamps_at_any_offset_is_rebuilt_frame(void)
{
	for (unsigned int variant = 0; variant < 24; variant++)
		for (int off = 0; off <= 30; off++)
			check_rewrite(data_spec(variant), off, -1, &all);
}

static void
test_rewrite_sack_at_any_offset_is_rebuilt_frame(void)
{
	for (unsigned int variant = 0; variant < 24; variant++)
		for (int off = 0; off <= 22; off++)
			check_rewrite(data_spec(variant), -1, off, &all);
}

static void
test_rewrite_timestamps_and_sack_together_is_rebuilt_frame(void)
{
	for (unsigned int variant = 0; variant < 24; variant++)
		for (int ts = 0; ts <= 12; ts++)
			for (int sack = ts + 10; sack <= 22; sack++)
				check_rewrite(data_spec(variant), ts, sack, &all);
}

static void
test_rewrite_strip_leaves_only_nops(void)
{
	for (unsigned int variant = 0; variant < 24; variant++) {
		for (int ts = 0; ts <= 12; ts++) {
			for (unsigned int strip = 1; strip < 4; strip++) {
				struct rewrite rw = all;
				rw.edits |= (strip & 1 ? REWRITE_STRIP_SACK : 0) |
				            (strip & 2 ? REWRITE_STRIP_TS : 0);
				check_rewrite(data_spec(variant), ts, 22, &rw);
				check_rewrite(data_spec(variant), ts, -1, &rw);
			}
		}
	}
}

static void
test_rewrite_strip_sack_permitted_from_syn_is_rebuilt_frame(void)
{
	static const uint8_t options[] = { 1, 4, 2, 2, 4, 5, 0xb4, 4, 2, 3, 3, 7 };
	static const uint8_t stripped[] = { 1, 1, 1, 2, 4, 5, 0xb4, 1, 1, 3, 3, 7 };
	const struct rewrite rw = { .edits = REWRITE_STRIP_SACK };

	for (unsigned int variant = 0; variant < 24; variant++) {
		uint8_t frame[FRAME_SIZE], want[FRAME_SIZE];
		struct frame_spec spec = data_spec(variant);
		spec.options = options;
		spec.options_len = sizeof(options);
		size_t len = frame_build(frame, &spec);
		struct segment seg;
		segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, SIDE_INSIDE);
		rewrite_apply(frame, &seg, &rw);
		spec.options = stripped;
		frame_build(want, &spec);
		CU_ASSERT_EQUAL(memcmp(frame, want, len), 0);
	}
}

static void
test_rewrite_nothing_leaves_the_frame(void)
{
	const struct rewrite none = { 0 };

	for (unsigned int variant = 0; variant < 24; variant++)
		check_rewrite(data_spec(variant), 3, 13, &none);
}

static void
test_rewrite_bad_checksum_stays_bad_by_the_same_amount(void)
{
	uint64_t state = 8;

	for (unsigned int i = 0; i < 2400; i++) {
		struct frame_spec spec = data_spec(i % 24);
		spec.bad_tcp_checksum = (uint16_t)(1 + check_random(&state) % 0xfffe);
		check_rewrite(spec, (int)(i % 13), 22, &all);
	}
}

static void
test_rewrite_random_values_are_rebuilt_frame(void)
{
	uint64_t state = 9;

	for (unsigned int i = 0; i < 20000; i++) {
		struct frame_spec spec = data_spec(i % 24);
		spec.seq = (uint32_t)check_random(&state);
		spec.ack = (uint32_t)check_random(&state);
		struct rewrite rw = {
			.seq_add = (uint32_t)check_random(&state),
			.ack_add = (uint32_t)check_random(&state),
			.sack_add = (uint32_t)check_random(&state),
			.tsval_add = (uint32_t)check_random(&state),
			.tsecr_add = (uint32_t)check_random(&state),
			.window = (uint16_t)check_random(&state),
			.edits = (uint8_t)(check_random(&state) >> 40 & 7),
		};
		check_rewrite(spec, (int)(i % 13), 22, &rw);
	}
}

/* Headers of a first fragment are edited as any; its checksum is over data that
 * are elsewhere, and moves by the same amount. */
static void
test_rewrite_first_fragment_moves_checksum_by_the_change(void)
{
	uint8_t whole[FRAME_SIZE], frame[FRAME_SIZE], payload[64];

	memset(payload, 0x3c, sizeof(payload));
	struct frame_spec spec = frame_spec_v4();
	spec.flags = TCP_ACK;
	spec.payload = payload;
	spec.payload_len = sizeof(payload);
	size_t len = frame_build(whole, &spec);
	memcpy(frame, whole, len);
	/* The first 40 bytes of the TCP segment stay: total length 60, more to come. */
	spec.ip_fragment = 0x2000;
	spec.payload_len = 20;
	uint8_t cut[FRAME_SIZE];
	size_t cut_len = frame_build(cut, &spec);
	memcpy(cut + 34, whole + 34, cut_len - 34);

	struct segment seg;
	segment_parse(&seg, cut, (uint32_t)cut_len, (uint32_t)cut_len, SIDE_OUTSIDE);
	CU_ASSERT_EQUAL(seg.class, SEGMENT_FRAGMENT_FIRST);
	rewrite_apply(cut, &seg, &all);
	memcpy(frame + 34, cut + 34, cut_len - 34);
	CU_ASSERT_TRUE(frame_is_good(frame, len));
	CU_ASSERT_EQUAL(memcmp(frame + cut_len, whole + cut_len, len - cut_len), 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_rewrite_timestamps_at_any_offset_is_rebuilt_frame),
		CHECK_TEST(test_rewrite_sack_at_any_offset_is_rebuilt_frame),
		CHECK_TEST(test_rewrite_timestamps_and_sack_together_is_rebuilt_frame),
		CHECK_TEST(test_rewrite_strip_leaves_only_nops),
		CHECK_TEST(test_rewrite_strip_sack_permitted_from_syn_is_rebuilt_frame),
		CHECK_TEST(test_rewrite_nothing_leaves_the_frame),
		CHECK_TEST(test_rewrite_bad_checksum_stays_bad_by_the_same_amount),
		CHECK_TEST(test_rewrite_random_values_are_rebuilt_frame),
		CHECK_TEST(test_rewrite_first_fragment_moves_checksum_by_the_change),
		CU_TEST_INFO_NULL,
	};
	return check_run("wire_rewrite", tests);
}
