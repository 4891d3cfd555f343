/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and time through the core: what leaves is carried out, and held against the invariants that
 * every segment keeps. */
#include <stdio.h>

#include "account.h"
#include "carry_out.h"
#include "core_lab.h"
#include "rows.h"

#define TICK_MS 50
#define TICK_BUDGET 100000u

static void
check_account(struct lab *lab)
{
	struct account_equation rows[ACCOUNT_EQUATIONS];

	account_equations(core_counters(lab->core), lab->n_received,
	                  core_usage(lab->core).half_open, core_remaining(lab->core), rows);
	for (unsigned int i = 0; i < ACCOUNT_EQUATIONS; i++)
		lab_equal(lab, rows[i].left, rows[i].right, rows[i].text, __FILE__, __LINE__);
}

/* A SYN-ACK that the engine made: its ISS is a cookie (invariant 6). */
static void
check_cookie(struct lab *lab, const struct segment *seg)
{
	struct cookie_job job = {
		.flow = &seg->flow, .irs = seg->ack - 1, .is_v4 = seg->is_v4, .iss = seg->seq
	};
	uint8_t proof;

	unsigned int service = __builtin_bswap16(seg->flow.server_port_be) - LAB_WEB;
	unsigned int group = service < LAB_SERVICES ? lab->services[service].group_id : 0;
	cookie_check(&secret_current(&lab->secrets)[group], &job, 1, &proof);
	CHECK(proof == PROOF_EXACT);
}

static void
check_out(struct lab *lab, const struct lab_out *out, const struct segment *in, bool is_bad)
{
	static const uint8_t macs[SIDE_COUNT][12] = {
		{ 0x06, 0x11, 0x22, 0x33, 0x44, 0x55, 0x02, 0, 0, 0, 0, 0x01 },
		{ 0x02, 0, 0, 0, 0, 0x01, 0x06, 0x11, 0x22, 0x33, 0x44, 0x55 },
	};
	bool is_edit = out->kind == ACTION_FORWARD || out->kind == ACTION_EDIT;
	unsigned int n_tags = 0;

	CHECK(memcmp(out->frame, macs[out->side], 12) == 0);
	for (uint32_t t = out->seg.tags; t != 0; t <<= 16)
		n_tags++;
	EQUAL(n_tags, lab->variant->n_tags);
	if (is_edit && (in->class == SEGMENT_OTHER || in->class == SEGMENT_FRAGMENT_LATER ||
	                in->class == SEGMENT_MALFORMED || in->class == SEGMENT_ICMP_ERROR ||
	                in->class == SEGMENT_FRAGMENT_FIRST))
		return;
	if (out->kind == ACTION_QUOTE)
		return;
	CHECK(out->seg.class == SEGMENT_TCP && out->seg.fault == FAULT_NONE);
	CHECK(frame_is_good(out->frame, out->len) == !(is_edit && is_bad));
	if (out->kind != ACTION_SEND)
		CHECK(flow_equal(&out->seg.flow, &in->flow));
	bool is_syn_ack = (out->seg.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	if (!is_edit && is_syn_ack && out->side == SIDE_OUTSIDE)
		check_cookie(lab, &out->seg);
	if (!is_edit) {
		CHECK((out->frame[out->seg.l4_off + 12] & 0xf) == 0);
		CHECK((out->seg.flags & (TCP_ECE | TCP_CWR | TCP_URG)) == 0);
	}
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
add_out(struct lab *lab, const struct action *a, const uint8_t *frame, size_t len,
        const struct segment *in, bool is_bad)
{
	if (lab->n_out == LAB_OUT_MAX) {
		fprintf(stderr, "\na test makes more than %d frames\n", LAB_OUT_MAX);
		abort();
	}
	struct lab_out *out = &lab->out[lab->n_out++];
	*out = (struct lab_out){ .side = (enum side)a->out,
		                 .kind = a->kind,
		                 .len = len,
		                 .frame = check_copy(frame, len) };
	segment_parse(&out->seg, out->frame, (uint32_t)len, (uint32_t)len, out->side ^ 1);
	if (out->seg.class == SEGMENT_TCP)
		for (unsigned int i = 0; i < out->seg.sack_count && i < 4; i++) {
			const uint8_t *p = out->frame + out->seg.l4_off + out->seg.sack_off + 2 +
			                   8 * i;
			out->sack[i][0] = get32(p);
			out->sack[i][1] = get32(p + 4);
		}
	check_out(lab, out, in, is_bad);
	if (out->seg.options & OPTION_TIMESTAMPS && out->seg.class == SEGMENT_TCP &&
	    out->seg.flow.client_port_be == __builtin_bswap16(lab->client_port))
		lab->ts_seen[out->side] = out->seg.tsval;
}

/* A burst of frames on its way through the core. */
struct burst {
	unsigned int n;
	uint8_t frames[LAB_BURST][FRAME_SIZE + LAB_HOLD_BYTES];
	size_t len[LAB_BURST];
	bool is_bad[LAB_BURST];
	struct segment seg[LAB_BURST];
};

static void
carry_out_all(struct lab *lab, struct burst *burst)
{
	static uint8_t fresh[FRAME_SIZE + LAB_HOLD_BYTES * 2];
	unsigned int n_disposed[LAB_BURST] = { 0 };

	for (unsigned int i = 0; i < lab->actions.n; i++) {
		const struct action *a = &lab->actions.list[i];

		if (a->kind == ACTION_SEND) {
			CHECK(a->seg == ACTION_NO_SEGMENT);
			unsigned int n = carry_out(fresh, NULL, a, EMIT_CHECKSUM_SOFTWARE,
			                           &lab->memo);
			add_out(lab, a, fresh, n, NULL, false);
			continue;
		}
		if (!CHECK(burst != NULL && a->seg < burst->n))
			continue;
		n_disposed[a->seg]++;
		if (a->kind == ACTION_DROP)
			continue;
		unsigned int n = carry_out(burst->frames[a->seg], &burst->seg[a->seg], a,
		                           EMIT_CHECKSUM_SOFTWARE, &lab->memo);
		add_out(lab, a, burst->frames[a->seg], n != 0 ? n : burst->len[a->seg],
		        &burst->seg[a->seg], burst->is_bad[a->seg]);
	}
	for (unsigned int i = 0; burst != NULL && i < burst->n; i++)
		EQUAL(n_disposed[i], 1);
	lab->actions.n = 0;
}

/* A cookie opens at most one connection (invariant 9). */
static void
note_opened(struct lab *lab, const struct segment *seg)
{
	uint16_t port = __builtin_bswap16(seg->flow.client_port_be);
	uint32_t client = seg->flow.client.words_be[1] ^ seg->flow.client.words_be[3];

	for (unsigned int i = 0; i < lab->n_opened; i++) {
		struct lab_opened *o = &lab->opened[i];
		bool again = o->port == port && o->client == client && o->iss == seg->ack - 1 &&
		             (o->irs == seg->seq || o->irs == seg->seq - 1);
		CHECK(!again);
	}
	if (lab->n_opened == lab->opened_max) {
		lab->opened_max = 2 * lab->opened_max + 16;
		lab->opened = realloc(lab->opened, lab->opened_max * sizeof(*lab->opened));
		if (lab->opened == NULL)
			abort();
	}
	lab->opened[lab->n_opened++] = (struct lab_opened){ port, client, seg->seq - 1,
		                                            seg->ack - 1 };
}

static void
add_frame(struct burst *burst, enum side side, const uint8_t *bytes, size_t len, bool is_bad)
{
	unsigned int i = burst->n++;

	/* cppcheck-suppress uninitvar ; callers have built it */
	memcpy(burst->frames[i], bytes, len);
	burst->len[i] = len;
	burst->is_bad[i] = is_bad;
	segment_parse(&burst->seg[i], burst->frames[i], (uint32_t)len, (uint32_t)len, side);
}

/* Those that opened a connection, as far as they became the SYN to its server;
 * a burst of one: any. */
static void
note_all_opened(struct lab *lab, const struct burst *burst)
{
	if (lab_grew(lab, COUNTER_opened) && burst->n == 1) {
		note_opened(lab, &burst->seg[0]);
		return;
	}
	for (unsigned int i = 0; i < lab->actions.n; i++) {
		const struct action *a = &lab->actions.list[i];
		if (a->kind == ACTION_ONWARD && a->packet.flags == TCP_SYN)
			note_opened(lab, &burst->seg[a->seg]);
	}
}

static unsigned int
run_burst(struct lab *lab, struct burst *burst)
{
	struct core_usage use = core_usage(lab->core);
	struct instant now = lab_now(lab);

	lab_clear_out(lab);
	lab->before = *core_counters(lab->core);
	lab->n_received += burst->n;
	core_locate(lab->core, burst->seg, burst->n, &now);
	if (lab->is_noted)
		core_decide_noted(lab->core, burst->seg, burst->n, &now, &lab->actions, lab->notes);
	else
		core_decide(lab->core, burst->seg, burst->n, &now, &lab->actions);
	note_all_opened(lab, burst);
	carry_out_all(lab, burst);
	check_account(lab);
	if (burst->n == 1 && lab_grew(lab, COUNTER_answered_syn_cookie)) {
		struct core_usage after = core_usage(lab->core);
		CHECK(lab->n_out == 1);
		CHECK(after.half_open <= use.half_open && after.connections <= use.connections);
	}
	return lab->n_out;
}

unsigned int
lab_in_frame(struct lab *lab, enum side side, const uint8_t *bytes, size_t len, bool is_bad)
{
	struct burst burst = { 0 };

	add_frame(&burst, side, bytes, len, is_bad);
	return run_burst(lab, &burst);
}

unsigned int
lab_in_burst(struct lab *lab, const struct lab_seg *specs, unsigned int n)
{
	struct burst burst = { 0 };

	for (unsigned int i = 0; i < n; i++) {
		uint8_t options[64], payload[FRAME_SIZE], frame[FRAME_SIZE];
		struct frame_spec f = lab_frame(lab, &specs[i], options, payload);
		add_frame(&burst, specs[i].side, frame, frame_build(frame, &f),
		          specs[i].bad_checksum != 0);
	}
	return run_burst(lab, &burst);
}

unsigned int
lab_tick(struct lab *lab, uint64_t ms)
{
	uint64_t until_ms = lab->now_ms + ms;

	lab_clear_out(lab);
	lab->before = *core_counters(lab->core);
	do {
		uint64_t step = until_ms - lab->now_ms < TICK_MS ? until_ms - lab->now_ms : TICK_MS;
		lab->now_ms += step;
		lab->wall_ms += step;
		lab->ts_clock[0] += (uint32_t)step;
		lab->ts_clock[1] += (uint32_t)step;
		secret_step(&lab->secrets, lab->wall_ms / 1000);
		struct instant now = lab_now(lab);
		rows_tick(lab->core, &now, TICK_BUDGET, &lab->actions);
		carry_out_all(lab, NULL);
		check_account(lab);
	} while (lab->now_ms < until_ms);
	return lab->n_out;
}

const struct lab_out *
lab_nth(struct lab *lab, enum side side, unsigned int n, const char *file, int line)
{
	static const struct lab_out none;
	unsigned int seen = 0;

	for (unsigned int i = 0; i < lab->n_out; i++)
		if (lab->out[i].side == side && seen++ == n)
			return &lab->out[i];
	lab_check(lab, false, "no such frame left", file, line);
	return &none;
}

const struct lab_out *
lab_only(struct lab *lab, enum side side, const char *file, int line)
{
	lab_equal(lab, lab->n_out, 1, "one frame left", file, line);
	return lab_nth(lab, side, 0, file, line);
}
