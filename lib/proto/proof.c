/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The third segment of the handshake: does it prove that its sender has seen
 * our SYN-ACK? By the half-open entry, or by the cookie.
 */
#include "proof.h"

#include "act.h"
#include "admission.h"
#include "connect.h"
#include "incarnation.h"
#include "pass.h"
#include "respond.h"
#include "unfinished.h"

/* One MAC for a segment whose batch did not have it. */
static uint8_t
proof_once(struct step *step, uint32_t irs)
{
	const struct segment *seg = step->seg;
	struct cookie_job job = {
		.flow = &seg->flow, .irs = irs, .iss = seg->ack - 1, .is_v4 = seg->is_v4
	};
	uint8_t proof;

	cookie_check(service_secrets(step->state, step->now), &job, 1, &proof);
	step->seg->found.profile = job.profile;
	return proof;
}

/* What the proven cookie says. */
static inline __attribute__((always_inline)) bool
proof_read(struct core *core, struct step *step, struct proven *proven)
{
	struct segment *seg = step->seg;
	unsigned int scale = WSCALE_NONE;

	core_count(core, COUNTER_cookies_good);
	/* All of it but for what lies between, field by field: as a whole it would be made twice. */
	proven->iss = seg->ack - 1;
	proven->irs = seg->found.proof == PROOF_PROBE ? seg->seq : seg->seq - 1;
	proven->offer = cookie_profile_offer(seg->found.profile, seg->is_v4);
	proven->by_cookie = true;
	proven->ts_sent = 0;
	if (seg->options & OPTION_TIMESTAMPS) {
		cookie_ts_read(seg->tsecr, seg->found.profile, seg->is_v4, &proven->offer, &scale);
		proven->ts_sent = seg->tsecr;
		proven->promised_wscale = (uint8_t)scale;
	} else {
		proven->promised_wscale = proven->offer.wscale != WSCALE_NONE ? PROMISE_WSCALE
		                                                              : WSCALE_NONE;
	}
	return true;
}

/* A segment whose cookie has not been looked at yet. */
static __attribute__((noinline)) void
proof_late(struct step *step)
{
	struct segment *seg = step->seg;

	if (seg->found.proof == PROOF_UNCHECKED)
		seg->found.proof = proof_once(step, seg->seq - 1);
	if (seg->found.proof == PROOF_NONE && segment_may_probe(seg) &&
	    seg->found.probe == PROOF_UNCHECKED)
		seg->found.probe = proof_once(step, seg->seq);
}

static inline __attribute__((always_inline)) bool
proof_look(struct core *core, struct step *step, struct proven *proven)
{
	struct segment *seg = step->seg;

	if (core->params.cookie_gate && step->now->now_ms > core->cookie_out_ms) {
		core_count(core, COUNTER_cookies_gated);
		return false;
	}
	if (__builtin_expect(seg->found.proof == PROOF_UNCHECKED, 0))
		proof_late(step);
	core_count(core, COUNTER_cookies_checked);
	/* A keep-alive or window probe right after the handshake is one below
	 * (RFC 9293, 3.8.4): a second try of its own, never a looser first one. */
	if (seg->found.proof == PROOF_NONE) {
		if (seg->found.probe != PROOF_EXACT || !segment_may_probe(seg))
			return false;
		seg->found.proof = PROOF_PROBE;
	}
	return proof_read(core, step, proven);
}

bool
proof_check(struct core *core, struct step *step, struct proven *proven)
{
	return proof_look(core, step, proven);
}

/*
 * The answer to a keep-alive or window probe of a client that waits, from what it proves: it
 * is expected there, and who gets none gives the connection up (RFC 9293, 3.8.4). TSval is what
 * the client echoes and not the time that has passed: the next echo must bring the options
 * of its SYN back once more.
 */
static void
waiting_probe(struct core *core, struct step *step, const struct proven *proven)
{
	struct packet *p = act_challenge(core, step, proven->iss + 1, proven->irs + 1,
	                                 held_window(core, proven->promised_wscale));

	if (p != NULL && proven->offer.timestamps)
		packet_stamp(p, proven->ts_sent, step->seg->tsval);
}

static inline __attribute__((always_inline)) void
proof_take(struct core *core, struct step *step, const struct proven *proven)
{
	const struct segment *seg = step->seg;
	bool is_probe = seg->seq == proven->irs; /* a byte in it is not of the stream */
	uint64_t net = source_net_hash_of(&core->hash_key, &seg->flow.client, seg->is_v4);

	recent_add(&core->proven, net, (uint32_t)step->now->now_ms);
	/* Waiting for data needs no entry: the first byte proves the same cookie once more,
	 * and until then the client costs nothing. What comes behind a first segment that was
	 * lost proves nothing by itself. */
	if (step->service->mode == MODE_PROXY && step->service->wait_for_data &&
	    (seg->payload_len == 0 || is_probe) && !(seg->flags & TCP_FIN)) {
		step->state->cookies_until_ms = step->now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
		if (is_probe)
			waiting_probe(core, step, proven);
		else
			act_drop(core, step, COUNTER_taken_ack);
		return;
	}
	/* Only where it opens: a cookie proven again and again must not make a flood look
	 * answered. */
	if (proven->by_cookie && step->state->n_cookies > 0)
		step->state->n_cookies--;
	switch ((enum service_mode)step->service->mode) {
	case MODE_RESPOND:
		respond_begin(core, step, proven);
		return;
	default:
		connect_begin(core, step, proven, (uint32_t)net);
	}
}

void
proof_open(struct core *core, struct step *step, const struct proven *proven)
{
	proof_take(core, step, proven);
}

bool
proof_is_shared(const struct core *core, const struct step *step)
{
	return core->params.cookies_until_s != NULL &&
	       instant_s(step->now) <
	               __atomic_load_n(&core->params.cookies_until_s[step->seg->found.service],
	                               __ATOMIC_RELAXED);
}

bool
proof_may_come(const struct core *core, const struct step *step)
{
	uint64_t now_ms = step->now->now_ms;

	if (step->service->cookies == COOKIES_ALWAYS || step->state->cookie_mode ||
	    now_ms < step->state->cookies_until_ms)
		return true;
	return proof_is_shared(core, step) || unfinished_answered(core, step->seg, step->now);
}

static bool
brings_data(const struct segment *seg)
{
	return seg->payload_len != 0 || (seg->flags & TCP_FIN);
}

void
proof_drop(struct core *core, struct step *step)
{
	act_drop(core, step,
	         brings_data(step->seg) ? COUNTER_drop_unproven_data : COUNTER_drop_unproven_ack);
}

/* Can its sender have a SYN-ACK of ours whose cookie is alive? Without timestamps nothing tells;
 * with them it echoes that of the SYN-ACK until there is a connection. */
static bool
may_be_let_in(const struct step *step)
{
	return !(step->seg->options & OPTION_TIMESTAMPS) ||
	       cookie_ts_elapsed(step->seg->tsecr, step->now->wall_ms) < COOKIE_LIFE_MAX_S * 1000u;
}

/*
 * What no connection has and no cookie proves gets a RST (RFC 9293, 3.10.7.2), but not where it
 * may be of a client that a cookie of this minute lets in and whose first segment was lost: the
 * RST would kill what its resend will open. That is so of data behind the lost segment, and of an
 * ACK without data, too: by one a client answers a SYN-ACK that comes twice, with a number behind
 * all that it has sent (RFC 9293, 3.10.7.4). Since ACKs alone are also what tells the end of a
 * connection that it is gone, they are looked at more closely.
 */
static void
refuse_unproven(struct core *core, struct step *step, bool reset)
{
	if (reset &&
	    !(proof_may_come(core, step) && (brings_data(step->seg) || may_be_let_in(step))))
		act_reset(core, step);
	else
		proof_drop(core, step);
}

/* A segment that proves nothing. */
static void
unproven(struct core *core, struct step *step)
{
	if (core->params.has_inside && pass_adopt(core, step))
		return;
	refuse_unproven(core, step, step->service->unproven == REFUSE_RESET);
}

void
listen_ack(struct core *core, struct step *step)
{
	struct proven proven;

	if (proof_look(core, step, &proven))
		proof_take(core, step, &proven);
	else
		unproven(core, step);
}

/* Does the client go by the SYN-ACK of this entry? Another one with the same ISS may have
 * left before it, or from another worker, with other promises. */
static bool
echoes_entry(const struct segment *seg, const struct half_open_side *side)
{
	if ((seg->options ^ side->options) & OPTION_TIMESTAMPS)
		return false;
	return !(seg->options & OPTION_TIMESTAMPS) ||
	       ((seg->tsecr ^ side->ts_sent) & COOKIE_TS_MASK) == 0;
}

static void
received_proven(struct core *core, struct step *step)
{
	uint32_t number = FLOW_NUMBER(step->entry);
	const struct half_open *h = &core->half_open.entries[number];
	const struct half_open_side *side = &core->half_open.sides[number];
	struct proven proven = {
		.iss = h->iss,
		.irs = h->irs,
		.offer = { .mss = side->mss,
		           .wscale = side->wscale,
		           .sack = side->options & OPTION_SACK_PERMITTED,
		           .timestamps = side->options & OPTION_TIMESTAMPS },
		.promised_wscale = side->promised_wscale,
		/* An entry's SYN-ACK may have been sent more than once: the one that it echoes. */
		.ts_sent = echoes_entry(step->seg, side) ? step->seg->tsecr : side->ts_sent,
	};

	core_count(core, COUNTER_half_open_completed);
	half_open_drop(core, number, step->at);
	step->entry = FLOW_NONE;
	proof_open(core, step, &proven);
}

void
received_ack(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	uint32_t number = FLOW_NUMBER(step->entry);
	const struct half_open *h = &core->half_open.entries[number];
	bool acked = seg->ack == h->iss + 1;
	uint32_t ahead = seg->seq - (h->irs + 1);
	struct proven proven;

	bool next = ahead == 0 || (ahead == ~0u && segment_may_probe(seg));
	bool echoes = echoes_entry(seg, &core->half_open.sides[number]);
	bool proves = (!acked || (next && !echoes)) && proof_check(core, step, &proven);
	if (acked && next && !proves) {
		received_proven(core, step);
		return;
	}
	if (acked && !next && ahead <= UINT16_MAX) {
		/* The first segment was lost: this one comes again behind it. */
		act_drop(core, step, COUNTER_drop_early);
		return;
	}
	if (acked && !next) {
		const struct half_open_side *side = &core->half_open.sides[number];
		struct packet *p = act_challenge(core, step, h->iss + 1, h->irs + 1,
		                                 held_window(core, side->promised_wscale));
		if (p != NULL && (side->options & OPTION_TIMESTAMPS))
			packet_stamp(p,
			             side->ts_sent +
			                     cookie_ts_elapsed(side->ts_sent, step->now->wall_ms),
			             h->tsval);
		return;
	}
	if (!proves) {
		/* Of an earlier SYN-ACK, perhaps, than the entry's. */
		refuse_unproven(core, step, true);
		return;
	}
	core_count(core, COUNTER_half_open_replaced);
	half_open_drop(core, number, step->at);
	step->entry = FLOW_NONE;
	proof_open(core, step, &proven);
}

void
received_rst(struct core *core, struct step *step)
{
	uint32_t number = FLOW_NUMBER(step->entry);

	if (step->seg->seq != core->half_open.entries[number].irs + 1) {
		act_drop(core, step, COUNTER_drop_rst_window);
		return;
	}
	core_count(core, COUNTER_half_open_reset);
	half_open_drop(core, number, step->at);
	act_drop(core, step, COUNTER_taken_handshake);
}

void
proof_after_end(struct core *core, struct step *step, const struct proven *proven)
{
	const struct conn *conn = conn_of(core, step->entry);

	if (proven == NULL) {
		unproven(core, step);
		return;
	}
	if (!incarnation_admits(conn, &core->conns.sides[step->entry], proven->irs)) {
		core_count(core, COUNTER_spent_replayed);
		step->reason = COUNTER_spent_replayed;
		act_reset(core, step);
		return;
	}
	proof_open(core, step, proven);
}

void
spent_ack(struct core *core, struct step *step)
{
	struct proven proven;
	bool proves = proof_check(core, step, &proven);

	proof_after_end(core, step, proves ? &proven : NULL);
}
