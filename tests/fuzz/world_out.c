/* SPDX-License-Identifier: BSD-3-Clause */
#include "world_out.h"

#include "carry_out.h"
#include "seq.h"

void
world_trace(const struct world *w, const char *what, const struct segment *seg)
{
	if (!w->trace)
		return;
	fprintf(stderr,
	        "%llu %-10s %s flow %u class %u flags %02x seq %08x ack %08x len %u window %u"
	        " options %02x mss %u ts %08x %08x\n",
	        (unsigned long long)w->now_ms, what,
	        seg->side == SIDE_OUTSIDE ? "outside" : "inside",
	        world_find(w, &seg->flow, seg->tags), seg->class, seg->flags, seg->seq, seg->ack,
	        seg->payload_len, seg->window, seg->options, seg->mss, seg->tsval, seg->tsecr);
}

/* The end on `side` has been sent this segment: what it would say next. */
static void
end_hears(struct world_end *end, const struct segment *seg)
{
	uint32_t next = seg->seq + segment_seq_len(seg);

	if (seg->flags & TCP_SYN) {
		end->rcv_iss = seg->seq;
		end->rcv = next;
		end->timestamps = seg->options & OPTION_TIMESTAMPS;
	} else if (seq_before_eq(seg->seq, end->rcv) && seq_before(end->rcv, next)) {
		end->rcv = next;
	}
	if (seg->options & OPTION_TIMESTAMPS)
		end->ts_recent = seg->tsval;
}

/* A SYN-ACK of the engine: a cookie that proves itself now, or one that did when
 * it was first sent. One that answers a SYN lets its cookie open again. */
static void
check_syn_ack(struct world *w, struct world_flow *f, const struct segment *out, bool is_reply)
{
	struct cookie_job job = {
		.flow = &out->flow, .irs = out->ack - 1, .iss = out->seq, .is_v4 = out->is_v4
	};
	uint8_t proof;

	unsigned int service = __builtin_bswap16(out->flow.server_port_be) - 80u;
	unsigned int group = service < WORLD_SERVICES ? w->policy->services[service].group_id : 0;
	cookie_check(&secret_current(&w->secrets)[group], &job, 1, &proof);
	/* A timer may send one again that has died since. */
	FUZZ_CHECK(proof == PROOF_EXACT || (f == NULL && !is_reply) ||
	           (f != NULL && model_has_answered(&f->model, job.irs, job.iss)));
	if (f == NULL)
		return;
	for (unsigned int i = 0; is_reply && i < WORLD_OPENED; i++)
		if (f->opened[i].irs == job.irs && f->opened[i].iss == job.iss)
			f->opened[i].is_known = false;
}

static void
note_opened(struct world_flow *f, uint32_t irs, uint32_t iss)
{
	for (unsigned int i = 0; i < WORLD_OPENED; i++)
		FUZZ_CHECK(!(f->opened[i].is_known && f->opened[i].irs == irs &&
		             f->opened[i].iss == iss));
	f->opened[f->n_opened++ % WORLD_OPENED] = (struct world_opened){ irs, iss, true };
}

/* A packet of the engine's own left as `frame`. */
static void
check_generated(struct world *w, const struct action *a, const uint8_t *frame, uint32_t len,
                const struct segment *in)
{
	const struct packet *p = &a->packet;
	struct segment out;

	segment_parse(&out, frame, len, len, (enum side)(a->out ^ 1));
	world_trace(w,
	            a->kind == ACTION_SEND    ? "  send"
	            : a->kind == ACTION_REPLY ? "  reply"
	                                      : "  onward",
	            &out);
	FUZZ_CHECK(out.class == SEGMENT_TCP && len >= 60 && frame_is_good(frame, len));
	FUZZ_CHECK(out.seq == p->seq && out.ack == p->ack && out.flags == p->flags);
	FUZZ_CHECK(out.options == p->options && out.payload_len == p->payload_len);
	FUZZ_CHECK(out.window == p->window && (frame[out.l4_off + 12] & 0x0f) == 0);
	FUZZ_CHECK((p->flags & (TCP_URG | TCP_ECE | TCP_CWR)) == 0);
	FUZZ_CHECK(flow_equal(&out.flow, in != NULL ? &in->flow : &a->flow));
	FUZZ_CHECK(in == NULL || out.tags == in->tags);
	/* No RST answers a RST (RFC 9293, 3.10.7.1). */
	FUZZ_CHECK(a->kind != ACTION_REPLY || !(p->flags & in->flags & TCP_RST));
	unsigned int number = world_find(w, &out.flow, out.tags);
	struct world_flow *f = number < WORLD_FLOWS ? &w->flows[number] : NULL;
	bool to_client = a->out == SIDE_OUTSIDE, opens = false;
	if (to_client && (p->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		check_syn_ack(w, f, &out, a->kind == ACTION_REPLY);
		if (f != NULL)
			model_answered(&f->model, p);
	}
	if (f == NULL)
		return;
	if (a->kind == ACTION_ONWARD && !to_client) {
		opens = true;
		note_opened(f, p->seq, in->ack - 1);
		model_opened(&f->model, in, p);
	} else if (p->flags == TCP_ACK && to_client && f->model.is_opened && !f->model.is_joined &&
	           a->kind != ACTION_REPLY) {
		model_joined(&f->model, p);
	}
	/* Given up by the engine: what follows may be of mode respond. */
	if (a->kind == ACTION_SEND && to_client && p->flags == (TCP_RST | TCP_ACK))
		model_ended(&f->model);
	if (!opens)
		model_sent(&f->model, (enum side)a->out, p, w->bytes_known);
	end_hears(&f->ends[a->out], &out);
}

static void
note_quote(struct world *w, const struct action *a, const uint8_t *frame, uint32_t len,
           const struct segment *in, unsigned int f)
{
	w->quote.len = len;
	memcpy(w->quote.bytes, frame, len);
	w->quote.side = (enum side)a->out;
	w->quote.before = *in;
	w->quote.flow = f;
	w->quote.number = w->flows[f].model.number;
}

/* A frame that was there leaves, changed or not. */
static void
check_passed(struct world *w, const struct action *a, const struct world_frame *was,
             const uint8_t *frame, struct segment *in)
{
	uint32_t len = (uint32_t)was->len;
	struct segment out;

	segment_parse(&out, frame, len, len, (enum side)in->side);
	world_trace(w, a->kind == ACTION_EDIT ? "  edit" : "  forward", &out);
	FUZZ_CHECK(out.class == in->class && out.frame_len == in->frame_len);
	if (a->kind == ACTION_FORWARD) {
		FUZZ_CHECK(memcmp(frame, was->bytes, len) == 0);
	} else {
		FUZZ_CHECK(memcmp(frame, was->bytes, in->l4_off) == 0);
	}
	unsigned int number = world_find(w, &in->flow, in->tags);
	if (in->class != SEGMENT_TCP || number == WORLD_FLOWS)
		return;
	struct world_flow *f = &w->flows[number];
	bool was_good = segment_checksum_ok(in);
	FUZZ_CHECK(segment_checksum_ok(&out) == was_good);
	if (a->kind == ACTION_EDIT) {
		model_edited(&f->model, in, &out);
		note_quote(w, a, frame, len, in, number);
	}
	end_hears(&f->ends[a->out], &out);
}

static uint16_t
icmp_residue(const uint8_t *frame, const struct segment *seg)
{
	uint32_t n = seg->payload_len + 8u;
	struct ip_addr src, dst;

	if (seg->is_v4)
		return frame_checksum(0, frame + seg->l4_off, n);
	memcpy(src.bytes, frame + seg->l3_off + 8, 16);
	memcpy(dst.bytes, frame + seg->l3_off + 24, 16);
	return frame_checksum(frame_pseudo_sum(&src, &dst, 58, n), frame + seg->l4_off, n);
}

/* A rewritten ICMP error quotes what its receiver has once sent. */
static void
check_quoted(const struct world *w, const struct world_frame *was, const uint8_t *frame,
             const struct segment *in)
{
	const struct world_quote *q = &w->quote;
	uint32_t len = (uint32_t)was->len;
	struct segment out;

	segment_parse(&out, frame, len, len, (enum side)in->side);
	FUZZ_CHECK(out.class == SEGMENT_ICMP_ERROR && flow_equal(&out.flow, &in->flow));
	FUZZ_CHECK((icmp_residue(frame, &out) == 0) == (icmp_residue(was->bytes, in) == 0));
	unsigned int f = world_find(w, &in->flow, in->tags);
	if (f != q->flow || q->side != in->side || f == WORLD_FLOWS ||
	    w->flows[f].model.number != q->number || !w->bytes_known)
		return;
	struct segment sent;
	segment_parse(&sent, q->bytes, (uint32_t)q->len, (uint32_t)q->len,
	              (enum side)(q->side ^ 1));
	if (in->seq == sent.seq)
		FUZZ_CHECK(out.seq == q->before.seq);
}

/* True if the action writes a frame anew, so that its length changes. */
static bool
is_made_anew(const struct action *a)
{
	return a->kind == ACTION_REPLY || a->kind == ACTION_ONWARD || a->kind == ACTION_SEND;
}

static void
carry_out_one(struct world *w, const struct action *a, const struct world_frame *was,
              struct segment *in)
{
	size_t len = was != NULL ? was->len : 0, room = len;

	FUZZ_CHECK(a->out == SIDE_OUTSIDE || w->params.has_inside);
	if (is_made_anew(a) && carry_out_room(a) > room)
		room = carry_out_room(a);
	uint8_t *frame = fuzz_copy(was != NULL ? was->bytes : NULL, len, room);
	unsigned int n = carry_out(frame, in, a, EMIT_CHECKSUM_SOFTWARE, &w->memo);
	FUZZ_CHECK((n != 0) == is_made_anew(a) && n <= room);
	if (n != 0)
		check_generated(w, a, frame, n, in);
	else if (a->kind == ACTION_QUOTE)
		check_quoted(w, was, frame, in);
	else
		check_passed(w, a, was, frame, in);
	free(frame);
}

/* The segments up to number `last` have come to their flows' models. Returns how many have. */
static unsigned int
models_hear(struct world *w, const struct segment *seg, unsigned int heard, unsigned int last)
{
	for (; heard <= last; heard++) {
		struct segment in = seg[heard];
		unsigned int f = world_find(w, &in.flow, in.tags);

		if (in.class == SEGMENT_TCP && f != WORLD_FLOWS)
			model_in(&w->flows[f].model, &in);
	}
	return heard;
}

/* Number of the segment that an action is about: a SEND stands before what becomes of its
 * segment, but for a SYN, which stands behind. `next`: of the segment that follows what is
 * disposed of. */
static unsigned int
segment_of(const struct action *a, unsigned int next)
{
	if (a->kind != ACTION_SEND)
		return a->seg;
	return a->packet.flags == TCP_SYN && next > 0 ? next - 1 : next;
}

void
world_carry_out(struct world *w, const struct world_frame *frames, const struct segment *seg,
                unsigned int n)
{
	unsigned int n_disposed[WORLD_BURST] = { 0 }, n_syns = 0, n_answers = 0;
	unsigned int heard = 0, next = 0;

	FUZZ_CHECK(w->actions.n <= w->actions.max);
	for (unsigned int i = 0; i < w->actions.n; i++) {
		const struct action *a = &w->actions.list[i];
		if (segment_of(a, next) < n)
			heard = models_hear(w, seg, heard, segment_of(a, next));
		if (a->kind == ACTION_SEND) {
			FUZZ_CHECK(a->seg == ACTION_NO_SEGMENT);
			carry_out_one(w, a, NULL, NULL);
			continue;
		}
		FUZZ_CHECK(a->seg < n);
		n_disposed[a->seg]++;
		next = a->seg + 1u;
		if (a->kind == ACTION_DROP)
			continue;
		struct segment in = seg[a->seg];
		bool is_reply = a->kind == ACTION_REPLY;
		FUZZ_CHECK(a->out == (is_reply ? in.side : in.side ^ 1));
		n_answers += is_reply && a->packet.flags == (TCP_SYN | TCP_ACK);
		carry_out_one(w, a, &frames[a->seg], &in);
	}
	for (unsigned int i = 0; i < n; i++) {
		FUZZ_CHECK(n_disposed[i] == 1);
		n_syns += seg[i].side == SIDE_OUTSIDE &&
		          (seg[i].flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
	}
	FUZZ_CHECK(n_answers <= n_syns);
}
