/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a frame: parse, verify, rewrite, quote, answer. No access leaves
 * the frame (sanitizer), no field points out of it, what was rewritten parses to
 * the rewritten values with the checksum as right or wrong as before, and
 * what is emitted is whole.
 *
 * Input: side, and whether the IPv4 header's checksum is put right first (1), how much of the frame is at hand (1), what to add to
 * each field (5 x 4), edits (1), window (2), the frame.
 */
#include "fuzz.h"

#include "complete.h"
#include "emit.h"
#include "frame.h"
#include "icmp.h"
#include "rewrite.h"
#include "tcp_options.h"

#define PAYLOAD_SIZE 96u

struct plan {
	enum side side;
	uint8_t head; /* bytes that are not at hand */
	struct rewrite rewrite;
};

/* Offsets of a parsed segment lie in its frame. */
static void
check_bounds(const struct segment *seg, uint32_t head_len, uint32_t len)
{
	if (seg->class != SEGMENT_TCP && seg->class != SEGMENT_FRAGMENT_FIRST)
		return;
	FUZZ_CHECK(seg->frame_len <= len);
	FUZZ_CHECK(seg->l3_off >= 14 && seg->l4_off >= seg->l3_off + 20);
	FUZZ_CHECK(seg->l4_len >= 20 && seg->l4_len <= 60);
	FUZZ_CHECK((uint32_t)seg->l4_off + seg->l4_len <= head_len);
	FUZZ_CHECK((uint32_t)seg->l4_off + seg->l4_len + seg->payload_len == seg->frame_len);
	FUZZ_CHECK(!seg->payload_here || seg->frame_len <= head_len);
	FUZZ_CHECK(seg->ts_off == 0 || seg->ts_off + 10u <= seg->l4_len);
	FUZZ_CHECK(seg->sack_count == 0 ||
	           seg->sack_off + 2u + 8u * seg->sack_count <= seg->l4_len);
	FUZZ_CHECK(seg->fault == FAULT_NONE);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
check_rewrite(const uint8_t *frame, uint32_t len, const struct plan *plan)
{
	const struct rewrite *rw = &plan->rewrite;
	uint8_t *copy = fuzz_copy(frame, len, len);
	struct segment seg, out;

	segment_parse(&seg, copy, len, len, plan->side);
	bool was_good = seg.class == SEGMENT_TCP && segment_checksum_ok(&seg);
	const uint8_t *sack = frame + seg.l4_off + seg.sack_off + 2;
	rewrite_apply(copy, &seg, rw);
	segment_parse(&out, copy, len, len, plan->side);
	FUZZ_CHECK(out.class == seg.class && out.l4_off == seg.l4_off && out.l4_len == seg.l4_len);
	FUZZ_CHECK(out.flags == seg.flags && flow_equal(&out.flow, &seg.flow));
	FUZZ_CHECK(out.seq == seg.seq + rw->seq_add);
	FUZZ_CHECK(out.ack == seg.ack + (seg.flags & TCP_ACK ? rw->ack_add : 0));
	FUZZ_CHECK(out.window == (rw->edits & REWRITE_WINDOW ? rw->window : seg.window));
	if (rw->edits & REWRITE_STRIP_TS) {
		FUZZ_CHECK(!(out.options & OPTION_TIMESTAMPS));
	} else if (seg.options & OPTION_TIMESTAMPS) {
		FUZZ_CHECK(out.tsval == seg.tsval + rw->tsval_add);
		FUZZ_CHECK(out.tsecr == seg.tsecr + (seg.flags & TCP_ACK ? rw->tsecr_add : 0));
	}
	if (rw->edits & REWRITE_STRIP_SACK) {
		FUZZ_CHECK(!(out.options & (OPTION_SACK | OPTION_SACK_PERMITTED)));
	} else {
		FUZZ_CHECK(out.sack_count == seg.sack_count);
		const uint8_t *now = copy + out.l4_off + out.sack_off + 2;
		for (unsigned int i = 0; i < 2u * seg.sack_count; i++)
			FUZZ_CHECK(get32(now + 4 * i) == get32(sack + 4 * i) + rw->sack_add);
	}
	/* The header before TCP and the payload are as they were. */
	uint32_t behind = (uint32_t)seg.l4_off + seg.l4_len;
	FUZZ_CHECK(memcmp(copy, frame, seg.l4_off) == 0);
	FUZZ_CHECK(memcmp(copy + behind, frame + behind, len - behind) == 0);
	if (seg.class == SEGMENT_TCP)
		FUZZ_CHECK(segment_checksum_ok(&out) == was_good);
	free(copy);
}

static void
check_emitted(uint8_t *frame, unsigned int n, const struct segment *in, const struct packet *p,
              enum side side)
{
	struct segment out;

	FUZZ_CHECK(n >= 60 && frame_is_good(frame, n));
	segment_parse(&out, frame, n, n, side);
	FUZZ_CHECK(out.class == SEGMENT_TCP && flow_equal(&out.flow, &in->flow));
	FUZZ_CHECK(out.tags == in->tags && out.is_v4 == in->is_v4);
	FUZZ_CHECK(out.seq == p->seq && out.ack == p->ack && out.flags == p->flags);
	FUZZ_CHECK(out.window == p->window && out.payload_len == p->payload_len);
	FUZZ_CHECK(out.options == p->options);
	FUZZ_CHECK(!(p->options & OPTION_MSS) || out.mss == p->mss);
	FUZZ_CHECK(!(p->options & OPTION_WSCALE) || out.wscale == p->wscale);
	FUZZ_CHECK(!(p->options & OPTION_TIMESTAMPS) ||
	           (out.tsval == p->tsval && out.tsecr == p->tsecr));
	FUZZ_CHECK(memcmp(segment_payload(&out), p->payload, p->payload_len) == 0);
}

static void
check_emit(const uint8_t *frame, uint32_t len, const struct plan *plan)
{
	static const uint8_t payload[PAYLOAD_SIZE] = "what the engine has to say";
	struct packet p = {
		.seq = plan->rewrite.seq_add,
		.ack = plan->rewrite.ack_add,
		.tsval = plan->rewrite.tsval_add,
		.tsecr = plan->rewrite.tsecr_add,
		.window = plan->rewrite.window,
		.mss = (uint16_t)(plan->rewrite.sack_add | 1u),
		.flags = TCP_ACK | TCP_PSH,
		.options = plan->rewrite.sack_add >> 16 &
		           (OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS),
		.wscale = plan->rewrite.window % 15,
		.payload_len = (uint16_t)(plan->rewrite.seq_add % (PAYLOAD_SIZE + 1)),
		.payload = payload,
	};
	unsigned int room = EMIT_HEADER_MAX + p.payload_len;
	struct emit_memo memo = EMIT_MEMO_NEW;
	struct segment seg;

	for (unsigned int kind = 0; kind < 3; kind++) {
		uint8_t *copy = fuzz_copy(frame, len, len > room ? len : room);
		segment_parse(&seg, copy, len, len, plan->side);
		struct segment in = seg;
		if (kind == 0) {
			unsigned int n = emit_reply(copy, &seg, &p, EMIT_CHECKSUM_SOFTWARE, &memo);
			check_emitted(copy, n, &in, &p, plan->side ^ 1);
		} else if (kind == 1) {
			unsigned int n = emit_onward(copy, &seg, &p, EMIT_CHECKSUM_SOFTWARE, &memo);
			check_emitted(copy, n, &in, &p, plan->side);
		} else {
			struct link link = link_of_segment(&seg, plan->rewrite.edits & 1);
			uint8_t *fresh = fuzz_copy(NULL, 0, room);
			unsigned int n = emit_new(fresh, &link, &seg.flow, plan->side, &p,
			                          EMIT_CHECKSUM_SOFTWARE, &memo);
			check_emitted(fresh, n, &in, &p, plan->side ^ 1);
			free(fresh);
		}
		free(copy);
	}
}

/* Sum of an ICMP message: 0 if its checksum is right. */
static uint16_t
icmp_residue(const uint8_t *frame, const struct segment *seg)
{
	uint32_t n = seg->payload_len + 8u;
	const uint8_t *ip = frame + seg->l3_off;
	struct ip_addr src, dst;
	uint32_t pseudo = 0;

	if (!seg->is_v4) {
		memcpy(src.bytes, ip + 8, 16);
		memcpy(dst.bytes, ip + 24, 16);
		pseudo = frame_pseudo_sum(&src, &dst, 58, n);
	}
	return frame_checksum(pseudo, frame + seg->l4_off, n);
}

static void
check_quote(const uint8_t *frame, uint32_t len, const struct plan *plan)
{
	uint8_t *copy = fuzz_copy(frame, len, len);
	struct segment seg, out;

	segment_parse(&seg, copy, len, len, plan->side);
	uint32_t end = (uint32_t)seg.l4_off + 8u + seg.payload_len;
	FUZZ_CHECK(end <= len);
	bool was_good = icmp_residue(frame, &seg) == 0;
	icmp_rewrite_quote(copy, &seg, plan->rewrite.seq_add, plan->rewrite.ack_add);
	segment_parse(&out, copy, len, len, plan->side);
	FUZZ_CHECK(out.class == SEGMENT_ICMP_ERROR && out.seq == seg.seq + plan->rewrite.seq_add);
	FUZZ_CHECK(flow_equal(&out.flow, &seg.flow));
	FUZZ_CHECK((icmp_residue(copy, &out) == 0) == was_good);
	FUZZ_CHECK(memcmp(copy, frame, seg.l4_off + 2u) == 0);
	FUZZ_CHECK(memcmp(copy + end, frame + end, len - end) == 0);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };
	uint8_t how = fuzz_u8(&in);
	struct plan plan = { .side = how & 1 ? SIDE_INSIDE : SIDE_OUTSIDE, .head = fuzz_u8(&in) };
	struct segment seg;

	plan.rewrite = (struct rewrite){
		.seq_add = fuzz_u32(&in),
		.ack_add = fuzz_u32(&in),
		.sack_add = fuzz_u32(&in),
		.tsval_add = fuzz_u32(&in),
		.tsecr_add = fuzz_u32(&in),
		.edits = fuzz_u8(&in) & (REWRITE_WINDOW | REWRITE_STRIP_SACK | REWRITE_STRIP_TS),
		.window = fuzz_u16(&in),
	};
	uint32_t len = (uint32_t)(in.end - in.at);

	uint8_t *frame = fuzz_copy(in.at, len, len);
	if (how & 2)
		complete_ipv4(frame, len);

	/* In pieces: only the head of it can be read. */
	uint32_t head_len = len > plan.head ? len - plan.head : 0;
	uint8_t *head = fuzz_copy(frame, head_len, head_len);
	segment_parse(&seg, head, head_len, len, plan.side);
	check_bounds(&seg, head_len, len);
	if (seg.class == SEGMENT_TCP) {
		FUZZ_CHECK(segment_checksum_ok(&seg) ? seg.payload_here : true);
		rewrite_apply(head, &seg, &plan.rewrite);
	} else if (seg.class == SEGMENT_ICMP_ERROR) {
		icmp_rewrite_quote(head, &seg, plan.rewrite.seq_add, plan.rewrite.ack_add);
	} else if (seg.class == SEGMENT_MALFORMED) {
		FUZZ_CHECK(seg.fault != FAULT_NONE && seg.fault < FAULT_COUNT);
	}
	free(head);

	segment_parse(&seg, frame, len, len, plan.side);
	check_bounds(&seg, len, len);
	if (seg.class == SEGMENT_TCP || seg.class == SEGMENT_FRAGMENT_FIRST)
		check_rewrite(frame, len, &plan);
	if (seg.class == SEGMENT_TCP)
		check_emit(frame, len, &plan);
	if (seg.class == SEGMENT_ICMP_ERROR)
		check_quote(frame, len, &plan);
	free(frame);
	return 0;
}
