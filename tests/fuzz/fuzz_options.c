/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as TCP options, behind 0 to 3 NOPs so that each field comes at every
 * alignment: read as a plain second reader reads them, and rewritten as one
 * who sums the whole segment again would.
 *
 * Input: edits (1), what to add to SACK, TSval and TSecr (3 x 4), the options.
 */
#include "fuzz.h"

#include "frame.h"
#include "rewrite.h"
#include "tcp_options.h"

#define OPTIONS_MAX 40u

struct reading {
	uint8_t bits;
	uint16_t mss;
	uint8_t wscale;
	uint32_t tsval, tsecr;
	unsigned int ts_at, sack_at, n_sack; /* places from the first option */
};

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* RFC 9293, 3.1 as it is written; the first of a kind counts. */
static struct reading
read_options(const uint8_t *o, unsigned int size)
{
	struct reading r = { 0 };

	for (unsigned int i = 0; i < size && o[i] != 0;) {
		if (o[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 == size || o[i + 1] < 2 || i + o[i + 1] > size) {
			r.bits |= OPTION_BAD;
			break;
		}
		unsigned int kind = o[i], len = o[i + 1];
		if (kind == 2 && len == 4 && !(r.bits & OPTION_MSS)) {
			r.bits |= OPTION_MSS;
			r.mss = (uint16_t)(o[i + 2] << 8 | o[i + 3]);
		} else if (kind == 3 && len == 3 && !(r.bits & OPTION_WSCALE)) {
			r.bits |= OPTION_WSCALE;
			r.wscale = o[i + 2] > 14 ? 14 : o[i + 2];
		} else if (kind == 4 && len == 2) {
			r.bits |= OPTION_SACK_PERMITTED;
		} else if (kind == 5 && len >= 10 && len % 8 == 2 && !(r.bits & OPTION_SACK)) {
			r.bits |= OPTION_SACK;
			r.sack_at = i;
			r.n_sack = (len - 2) / 8;
		} else if (kind == 8 && len == 10 && !(r.bits & OPTION_TIMESTAMPS)) {
			r.bits |= OPTION_TIMESTAMPS;
			r.ts_at = i;
			r.tsval = get32(o + i + 2);
			r.tsecr = get32(o + i + 6);
		} else if (kind == 19 && len == 18) {
			r.bits |= OPTION_MD5;
		} else if (kind == 29 && len >= 4) {
			r.bits |= OPTION_AO;
		}
		i += len;
	}
	return r;
}

static void
check_read(const uint8_t *options, unsigned int size)
{
	uint8_t *tcp = fuzz_copy(NULL, 0, 20 + size);
	struct reading r = read_options(options, size);
	struct segment seg;

	memset(tcp, 0xff, 20);
	memcpy(tcp + 20, options, size);
	memset(&seg, 0, sizeof(seg));
	tcp_options_parse(&seg, tcp, 20 + size);
	FUZZ_CHECK(seg.options == r.bits);
	FUZZ_CHECK(seg.mss == r.mss && seg.tsval == r.tsval && seg.tsecr == r.tsecr);
	FUZZ_CHECK(!(r.bits & OPTION_WSCALE) || seg.wscale == r.wscale);
	FUZZ_CHECK(!(r.bits & OPTION_TIMESTAMPS) || seg.ts_off == 20 + r.ts_at);
	FUZZ_CHECK(seg.sack_count == r.n_sack);
	FUZZ_CHECK(r.n_sack == 0 || seg.sack_off == 20 + r.sack_at);
	free(tcp);
}

static void
add32(uint8_t *p, uint32_t add)
{
	uint32_t v = get32(p) + add;

	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The same edits on a frame that is then built anew. */
static void
check_rewrite(const uint8_t *options, unsigned int size, const struct rewrite *rw, bool is_v4)
{
	struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
	struct reading r = read_options(options, size);
	uint8_t frame[FRAME_SIZE], expected[FRAME_SIZE], edited[OPTIONS_MAX];
	struct segment seg;

	memcpy(edited, options, size);
	if (r.bits & OPTION_TIMESTAMPS) {
		add32(edited + r.ts_at + 2, rw->tsval_add);
		add32(edited + r.ts_at + 6, rw->tsecr_add);
	}
	for (unsigned int i = 0; i < 2 * r.n_sack; i++)
		add32(edited + r.sack_at + 2 + 4 * i, rw->sack_add);
	spec.flags = TCP_ACK;
	spec.ack = 1;
	spec.options = options;
	spec.options_len = size;
	uint32_t len = (uint32_t)frame_build(frame, &spec);
	spec.options = edited;
	FUZZ_CHECK(frame_build(expected, &spec) == len);
	uint8_t *copy = fuzz_copy(frame, len, len);
	segment_parse(&seg, copy, len, len, SIDE_OUTSIDE);
	FUZZ_CHECK(seg.class == SEGMENT_TCP);
	rewrite_apply(copy, &seg, rw);
	FUZZ_CHECK(frame_is_good(copy, len));
	/* Two forms of zero: the checksum itself may differ. */
	size_t check = frame_l4_off(copy) + 16;
	FUZZ_CHECK(memcmp(copy, expected, check) == 0);
	FUZZ_CHECK(memcmp(copy + check + 2, expected + check + 2, len - check - 2) == 0);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };
	bool is_v4 = fuzz_u8(&in) & 1;
	struct rewrite rw = { .sack_add = fuzz_u32(&in),
		              .tsval_add = fuzz_u32(&in),
		              .tsecr_add = fuzz_u32(&in) };

	for (unsigned int n_nops = 0; n_nops < 4; n_nops++) {
		uint8_t options[OPTIONS_MAX] = { 1, 1, 1 };
		size_t n = (size_t)(in.end - in.at);
		if (n > OPTIONS_MAX - n_nops)
			n = OPTIONS_MAX - n_nops;
		if (n > 0)
			memcpy(options + n_nops, in.at, n);
		/* A header ends on a word: zeros fill it up. */
		unsigned int used = ((unsigned int)n + n_nops + 3) & ~3u;
		check_read(options, used);
		check_rewrite(options, used, &rw, is_v4);
	}
	return 0;
}
