/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONNECTING: the client is proven, the server has not answered yet. The
 * engine speaks to the server with the client's own ISS and offers only what was
 * agreed with the client. It acknowledges nothing on the server's behalf.
 */
#include "connect.h"

#include "act.h"
#include "admission.h"

/* What is held is cut no finer, whatever a server says: 40 bytes of options, 8 of data. */
#define MSS_LEAST 48u

/* The client's window as it goes into a SYN, where it is never scaled. */
static uint16_t
syn_window(const struct pending *p)
{
	uint32_t window = (uint32_t)p->window << wscale_shift(p->offer.wscale);

	return window > UINT16_MAX ? UINT16_MAX : (uint16_t)window;
}

static void
syn_fill(struct packet *p, const struct conn *conn, const struct pending *pending)
{
	p->seq = conn->irs;
	p->window = syn_window(pending);
	p->mss = pending->offer.mss;
	p->options = OPTION_MSS;
	if (pending->offer.wscale != WSCALE_NONE) {
		p->options |= OPTION_WSCALE;
		p->wscale = pending->offer.wscale;
	}
	if (pending->offer.sack)
		p->options |= OPTION_SACK_PERMITTED;
	if (pending->offer.timestamps) {
		p->options |= OPTION_TIMESTAMPS;
		p->tsval = pending->tsval;
	}
}

/* Take what stands at the front of the client's stream. False: it does not fit or is ahead. */
static bool
hold(struct core *core, struct conn *conn, const struct segment *seg)
{
	struct pending *p = pending_of(core, conn);
	uint32_t next = conn->irs + 1 + p->held_size;
	uint32_t old = next - seg->seq; /* bytes of it that are held already */
	uint32_t limit = core->params.hold_bytes;

	if (p->flags & PENDING_FIN)
		return seq_before(seg->seq, next);
	/* Where urgent data ends is not kept: it comes again when it can cross. */
	if (seg->flags & TCP_URG)
		return false;
	if (seq_before(next, seg->seq) || old > seg->payload_len ||
	    p->held_size + (seg->payload_len - old) > limit || !seg->payload_here)
		return false;
	uint32_t fresh = seg->payload_len - old;
	memcpy(pending_data(&core->pending, conn->pending) + p->held_size,
	       segment_payload(seg) + old, fresh);
	p->held_size += fresh;
	if (seg->flags & TCP_PSH)
		p->flags |= PENDING_PUSH;
	if (seg->flags & TCP_FIN)
		p->flags |= PENDING_FIN;
	conn->client_nxt = next + fresh + !!(seg->flags & TCP_FIN);
	if (fresh > 0)
		conn->flags |= CONN_CLIENT_DATA;
	return true;
}

/* A later segment that came sooner is the one that counts: with an older TSval than the
 * SYN had the server takes what is held for a duplicate (RFC 7323, 5.3). */
static void
note_client(struct pending *p, const struct segment *seg)
{
	if ((seg->options & OPTION_TIMESTAMPS) && seq_before(seg->tsval, p->tsval))
		return;
	p->window = seg->window;
	if (seg->options & OPTION_TIMESTAMPS)
		p->tsval = seg->tsval;
}

/* Proven, but there is no room or a limit is met: RST, and the cookie is spent. */
static void
connect_refuse(struct core *core, struct step *step, const struct proven *proven)
{
	sum_add(&step->state->refused, 1);
	/* Remembering costs an entry: not when entries are what is short. */
	if (core->conns.used < core->conns.capacity - core->conns.capacity / 8) {
		struct conn *conn = conn_open(core, step, COOKIE_LIFE_MAX_S);
		if (conn != NULL) {
			conn->irs = conn->client_nxt = proven->irs;
			conn->state = CONN_SPENT;
		}
	}
	if (step->service->unproven == REFUSE_DROP)
		act_drop(core, step, COUNTER_drop_connection_limit);
	else
		act_reset(core, step);
}

void
connect_begin(struct core *core, struct step *step, const struct proven *proven)
{
	const struct segment *seg = step->seg;
	uint32_t backend = server_of(core, step);
	struct backend *b = backend_at(&core->backends, backend);
	enum counter over = admission_over(core, step, b);

	if (over == COUNTER_COUNT && core->pending.free == FLOW_NONE)
		over = COUNTER_pending_full;
	if (over != COUNTER_COUNT) {
		core_count(core, over);
		connect_refuse(core, step, proven);
		return;
	}
	struct conn *conn = conn_open_proven(core, step, proven);
	if (conn == NULL)
		return;
	conn->pending = pending_take(&core->pending);
	conn_set_state(core, conn, CONN_CONNECTING);
	core->conns.sides[step->entry].promised_wscale = proven->promised_wscale;
	admission_count(core, step, conn);

	struct pending *p = pending_of(core, conn);
	p->started_ms = step->now->now_ms;
	p->conn = step->entry;
	p->backend = backend;
	p->iss = proven->iss;
	p->ts_sent = proven->ts_sent;
	p->net = (uint32_t)source_net_hash(&core->hash_key, &seg->flow.client);
	p->offer = proven->offer;
	p->promised_wscale = proven->promised_wscale;
	p->tsval = seg->tsval;
	note_client(p, seg);
	if (b != NULL)
		b->n_connecting++;
	pending_wait(&core->pending, conn->pending, 0, step->now->now_ms + RETRY_MS);
	if (seg->payload_len != 0 || (seg->flags & TCP_FIN))
		hold(core, conn, seg); /* what does not fit comes again */
	core_count(core, COUNTER_opened);
	syn_fill(act_onward(core, step, COUNTER_taken_proof, TCP_SYN), conn, p);
}

void
connecting_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (seg->ack == conn->server_nxt && seq_between(conn->irs, seg->seq, conn->client_nxt))
		note_client(pending_of(core, conn), seg);
	act_drop(core, step, COUNTER_taken_ack);
}

void
connecting_data(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (seg->ack != conn->server_nxt || seq_before(seg->seq, conn->irs)) {
		act_drop(core, step, COUNTER_drop_stray);
		return;
	}
	bool held = hold(core, conn, seg);
	note_client(pending_of(core, conn), seg);
	act_drop(core, step, held ? COUNTER_taken_held : COUNTER_drop_early);
}

void
connecting_client_rst(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	struct pending *p = pending_of(core, conn);
	const struct segment *seg = step->seg;

	/* Nothing has been acknowledged: RCV.NXT is still IRS + 1, but data that is
	 * held moves the client's own idea of it. */
	if (seg->seq != conn->irs + 1 && seg->seq != conn->client_nxt) {
		act_drop(core, step, COUNTER_drop_rst_window);
		return;
	}
	if (!(p->flags & PENDING_CLIENT_GONE)) {
		p->flags |= PENDING_CLIENT_GONE;
		core_count(core, COUNTER_client_gone);
	}
	act_drop(core, step, COUNTER_taken_handshake);
}

/* RST to the client as the server's own would look to it. */
static void
reset_client(struct core *core, struct step *step, const struct conn *conn)
{
	struct packet *p = act_onward(core, step, COUNTER_taken_handshake, TCP_RST | TCP_ACK);

	p->seq = conn->server_nxt;
	p->ack = conn->irs + 1; /* nothing has been acknowledged */
	core_count(core, COUNTER_rst_sent);
}

void
connecting_server_rst(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	struct pending *p = pending_of(core, conn);
	const struct segment *seg = step->seg;
	struct backend *b = backend_of_pending(core, p);

	/* RFC 9293, 3.10.7.3: only a RST that acknowledges our SYN counts. */
	if (!(seg->flags & TCP_ACK) || seg->ack != conn->irs + 1) {
		act_drop(core, step, COUNTER_drop_rst_window);
		return;
	}
	core_count(core, COUNTER_refused_by_server);
	if (b != NULL &&
	    backend_fail(b, p->net, instant_s(step->now), core->policy->timeouts.probe))
		core_count(core, COUNTER_backend_down);
	core_count(core, COUNTER_reset);
	if (p->flags & PENDING_CLIENT_GONE)
		act_drop(core, step, COUNTER_taken_handshake);
	else
		reset_client(core, step, conn);
	conn_finish(core, step->entry, step->at, step->now);
}

void
connecting_server_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	struct pending *p = pending_of(core, conn);

	/* An old connection of the same ports is in TIME-WAIT there (RFC 9293,
	 * 3.10.7.3: RST), and the RST clears it: ask again at once, one time. */
	struct link back = link_of_segment(step->seg, true);
	core_count(core, COUNTER_rst_sent);
	act_reply(core, step, COUNTER_answered_rst, TCP_RST)->seq = step->seg->ack;
	if (p->flags & (PENDING_RETRIED | PENDING_CLIENT_GONE))
		return;
	p->flags |= PENDING_RETRIED;
	struct packet *syn = act_send(core, step->out, &conn->flow, conn->path, &back, SIDE_INSIDE,
	                              TCP_SYN);
	if (syn != NULL)
		syn_fill(syn, conn, p);
}

/* What the server's SYN-ACK says. */
static struct tcp_offer
server_offer(const struct segment *seg, const struct pending *p)
{
	return (struct tcp_offer){
		.mss = seg->mss,
		.wscale = (seg->options & OPTION_WSCALE) && p->offer.wscale != WSCALE_NONE
		                  ? seg->wscale
		                  : WSCALE_NONE,
		.sack = (seg->options & OPTION_SACK_PERMITTED) && p->offer.sack,
		.timestamps = (seg->options & OPTION_TIMESTAMPS) && p->offer.timestamps,
	};
}

/* Everything held goes to the server, in segments that it takes. */
static void
release(struct core *core, struct step *step, const struct conn *conn, const struct pending *p,
        const struct link *link, uint16_t mss, uint16_t window)
{
	const uint8_t *data = pending_data(&core->pending, conn->pending);
	uint32_t most = (mss > MSS_LEAST ? mss : MSS_LEAST) - (p->offer.timestamps ? 12u : 0u);
	uint32_t at = 0;

	do {
		uint32_t n = p->held_size - at < most ? p->held_size - at : most;
		bool last = at + n == p->held_size;
		struct packet *out = act_send(core, step->out, &conn->flow, conn->path, link,
		                              SIDE_INSIDE, TCP_ACK);
		if (out == NULL)
			return; /* the client sends it again */
		out->seq = conn->irs + 1 + at;
		out->ack = step->seg->seq + 1;
		out->window = window;
		out->payload = data + at;
		out->payload_len = (uint16_t)n;
		if (last && (p->flags & PENDING_PUSH))
			out->flags |= TCP_PSH;
		if (last && (p->flags & PENDING_FIN))
			out->flags |= TCP_FIN;
		/* TSecr exactly as the server sent it, or it takes the ACK for an old one. */
		if (p->offer.timestamps)
			packet_stamp(out, p->tsval, step->seg->tsval);
		at += n;
	} while (at < p->held_size);
}

/* Both ends are there: from now on segments are rewritten. */
static void
join(struct core *core, struct step *step, struct conn *conn, const struct pending *p,
     const struct tcp_offer *server)
{
	const struct segment *seg = step->seg;
	unsigned int shift = wscale_shift(server->wscale);
	unsigned int promised = wscale_shift(p->promised_wscale);
	uint32_t delta = p->iss - seg->seq;

	conn->server_wscale = server->wscale;
	conn->ts_delta = p->offer.timestamps ? p->ts_sent - seg->tsval : 0;
	conn->flags |= CONN_REWRITTEN;
	if (shift != promised || (p->offer.wscale != WSCALE_NONE && server->wscale == WSCALE_NONE))
		conn->flags |= CONN_CONVERT;
	if (p->offer.sack && !server->sack)
		conn->flags |= CONN_STRIP_SACK;
	if (p->flags & PENDING_FIN)
		conn->flags |= CONN_CLIENT_FIN;
	/* Of what was held the server has acknowledged nothing yet. */
	uint32_t lag = conn->client_nxt - (conn->irs + 1);
	conn->client_lag = lag < CONN_LAG_MAX ? lag : CONN_LAG_MAX;
	conn->server_lag = 0;

	/* The client has been told a small window: tell it the server's. */
	uint32_t window = seg->window >> promised;
	struct packet *out = act_onward(core, step, COUNTER_taken_handshake, TCP_ACK);
	out->seq = p->iss + 1;
	out->ack = conn->irs + 1;
	out->window = (uint16_t)(window == 0 && seg->window != 0 ? 1 : window);
	if (p->offer.timestamps)
		packet_stamp(out, p->ts_sent, p->tsval);
	conn->seq_delta = delta;
}

/* Reset both ends: they cannot understand each other. */
static void
promise_is_broken(struct core *core, struct step *step, struct conn *conn)
{
	const struct link back = link_of_segment(step->seg, true);
	struct packet *p;

	core_count(core, COUNTER_promise_broken);
	core_count(core, COUNTER_reset);
	p = act_send(core, step->out, &conn->flow, conn->path, &back, SIDE_INSIDE, TCP_RST);
	if (p != NULL) {
		p->seq = step->seg->ack;
		core_count(core, COUNTER_rst_sent);
	}
	reset_client(core, step, conn);
	conn_finish(core, step->entry, step->at, step->now);
}

void
connecting_syn_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	uint32_t number = conn->pending;
	struct pending *p = pending_of(core, conn);
	const struct segment *seg = step->seg;
	struct backend *b = backend_of_pending(core, p);

	if (seg->ack != conn->irs + 1) {
		act_reset(core, step);
		return;
	}
	struct tcp_offer server = server_offer(seg, p);
	uint16_t mss = seg->mss != 0 ? seg->mss : mss_default(seg->is_v4);
	bool promised = b != NULL && b->known && b->timestamps;
	if (b != NULL) {
		if (b->down)
			core_count(core, COUNTER_backend_up);
		backend_succeed(b);
		backend_learn(b, &p->offer, &server, p->net, instant_s(step->now));
		core_count(core, COUNTER_learned);
	}
	if (p->flags & PENDING_CLIENT_GONE) {
		core_count(core, COUNTER_reset);
		core_count(core, COUNTER_rst_sent);
		act_reply(core, step, COUNTER_answered_rst, TCP_RST)->seq = seg->ack;
		conn_finish(core, step->entry, step->at, step->now);
		return;
	}
	/* A lower MSS than promised is no reason: see backend.h. */
	if (p->offer.timestamps && !server.timestamps) {
		/* A client can claim timestamps that nobody promised: its own loss alone. */
		if (promised)
			backend_forget(b);
		promise_is_broken(core, step, conn);
		return;
	}
	struct link back = link_of_segment(seg, true);
	uint16_t window = p->window;
	if (p->offer.wscale != WSCALE_NONE && server.wscale == WSCALE_NONE)
		window = syn_window(p);
	/* ACK and held data leave before the client hears of the server. */
	release(core, step, conn, p, &back, mss, window);
	join(core, step, conn, p, &server);
	core_count(core, COUNTER_connected);
	connecting_uncount(core, p);
	pending_give(&core->pending, number);
	conn_set_state(core, conn, CONN_SPLICED);
	entry_touch(core, step, core->policy->timeouts.idle);
}

static void
server_is_silent(struct core *core, struct pending *p, const struct instant *now,
                 struct actions *out)
{
	uint32_t number = p->conn;
	struct conn *conn = &core->conns.conns[number];
	struct backend *b = backend_of_pending(core, p);
	struct flow_slot at;

	core_count(core, COUNTER_server_silent);
	core_count(core, COUNTER_reset);
	if (b != NULL && backend_fail(b, p->net, instant_s(now), core->policy->timeouts.probe))
		core_count(core, COUNTER_backend_down);
	if (!(p->flags & PENDING_CLIENT_GONE))
		conn_reset_ends(core, conn, out);
	if (conn_find_slot(core, number, &at))
		conn_finish(core, number, at, now);
}

void
connect_timers(struct core *core, const struct instant *now, struct actions *out)
{
	uint32_t number, left = TIMERS_PER_TICK;

	while (left-- > 0 && out->n + CORE_BURST_MAX < out->max &&
	       (number = pending_due(&core->pending, now->now_ms)) != FLOW_NONE) {
		struct pending *p = &core->pending.records[number];
		uint64_t end_ms = p->started_ms + core->policy->timeouts.connecting * 1000ull;

		if (now->now_ms >= end_ms) {
			server_is_silent(core, p, now, out);
			continue;
		}
		unsigned int stage = p->stage + 1u < PENDING_STAGES ? p->stage + 1u : p->stage;
		uint64_t deadline_ms = now->now_ms + (RETRY_MS << stage);
		pending_wait(&core->pending, number, stage,
		             deadline_ms < end_ms ? deadline_ms : end_ms);
		if (p->flags & PENDING_CLIENT_GONE)
			continue;
		const struct conn *conn = &core->conns.conns[p->conn];
		struct packet *syn = act_send(core, out, &conn->flow, conn->path, NULL, SIDE_INSIDE,
		                              TCP_SYN);
		if (syn != NULL)
			syn_fill(syn, conn, p);
	}
}
