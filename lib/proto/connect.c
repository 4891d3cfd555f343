/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONNECTING: the client is proven, the server has not answered yet. The
 * engine speaks to the server with the client's own ISS and offers only what was
 * agreed with the client. It acknowledges nothing on the server's behalf.
 */
#include "connect.h"

#include "act.h"
#include "admission.h"
#include "challenge.h"
#include "entry_open.h"
#include "join.h"

static void
syn_fill(struct packet *p, const struct conn *conn, const struct pending *pending, uint32_t tsval)
{
	packet_for_client(p, pending);
	p->seq = conn->irs;
	p->window = pending_unscaled_window(pending);
	p->mss = pending->offer.mss;
	unsigned int options = OPTION_MSS | pending->offer.sack * OPTION_SACK_PERMITTED;
	if (pending->offer.wscale != WSCALE_NONE) {
		options |= OPTION_WSCALE;
		p->wscale = pending->offer.wscale;
	}
	if (pending->offer.timestamps) {
		options |= OPTION_TIMESTAMPS;
		p->tsval = tsval;
	}
	p->options = (uint8_t)options;
}

static __attribute__((noinline)) void
syn_send(struct core *core, struct actions *out, const struct conn *conn, const struct pending *p,
         const struct link *link, uint32_t tsval)
{
	struct packet *syn = act_send(core, out, &conn->flow, conn->path, link, SIDE_INSIDE,
	                              TCP_SYN);

	if (syn != NULL)
		syn_fill(syn, conn, p, tsval);
}

/* The first of two copies is told from the second by its TSval. */
static uint32_t
first_tsval(struct pending *p)
{
	p->syn_tsval = p->flags & PENDING_REPEATED ? p->tsval - 1 : p->tsval;
	return p->syn_tsval;
}

/* A SYN to the server by itself, twice where the service has it so. `link` NULL: from the
 * path. */
static void
syn_again(struct core *core, struct actions *out, const struct conn *conn, struct pending *p,
          const struct link *link)
{
	syn_send(core, out, conn, p, link, first_tsval(p));
	if (p->flags & PENDING_REPEATED)
		syn_send(core, out, conn, p, link, p->tsval);
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
	if (!pending_hold(&core->pending, conn->pending, segment_payload(seg) + old, fresh))
		return false;
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
	p->label = segment_label(seg);
	p->ttl = segment_ttl(seg);
	p->window = seg->window;
	if (seg->options & OPTION_TIMESTAMPS)
		p->tsval = seg->tsval;
}

/* The server has not answered, and is waited for no more. */
static void
give_up(struct core *core, struct pending *p, const struct instant *now, struct actions *out)
{
	uint32_t number = p->conn;
	struct conn *conn = &core->conns.conns[number];
	struct backend *b = backend_of_pending(core, p);
	struct flow_slot at;

	core_count(core, COUNTER_reset);
	if (b != NULL && now->now_ms - p->started_ms >= RETRY_MS &&
	    backend_fail(b, p->net, instant_s(now), core->policy->timeouts.probe))
		core_count(core, COUNTER_backend_down);
	if (!(p->flags & PENDING_CLIENT_GONE))
		conn_reset_ends(core, conn, out);
	if (conn_find_slot(core, number, &at))
		conn_finish(core, number, at, now);
}

/* No record is left for a client of such a server: somebody gives way. */
static __attribute__((noinline)) bool
make_room(struct core *core, struct step *step, bool doubtful)
{
	uint32_t number = pending_gives_way(&core->pending, doubtful);

	if (number == FLOW_NONE)
		return false;
	core_count(core, COUNTER_pending_evicted);
	give_up(core, &core->pending.records[number], step->now, step->out);
	pending_settle_last(&core->pending, number);
	return true;
}

/* May its server never answer? Nobody has ever heard of it, or it is down. */
static inline bool
is_doubtful(const struct backend *b)
{
	return b == NULL || !b->known || b->down;
}

/* What keeps a proven client from having such a server asked. */
static __attribute__((noinline)) enum counter
doubtful_over(struct core *core, struct step *step, struct backend *b, uint32_t net)
{
	uint32_t now_s = core->sources.now_s, every_s = core->policy->timeouts.probe;
	bool down = b != NULL && b->down;

	if (down && !backend_may_probe(b, net, now_s, every_s))
		return COUNTER_limit_backend_down;
	if (!pending_has_room(&core->pending, true) && !make_room(core, step, true))
		return COUNTER_pending_full;
	if (down)
		backend_probe(b, net, now_s, every_s);
	return COUNTER_COUNT;
}

/* What keeps a proven client from having its server asked; COUNTER_COUNT: nothing. */
static inline enum counter
connect_over(struct core *core, struct step *step, struct backend *b, uint32_t net)
{
	enum counter over = admission_over(core, step, b);

	if (over != COUNTER_COUNT)
		return over;
	if (__builtin_expect(is_doubtful(b), 0))
		return doubtful_over(core, step, b, net);
	if (__builtin_expect(!pending_has_room(&core->pending, false), 0) &&
	    !make_room(core, step, false))
		return COUNTER_pending_full;
	return COUNTER_COUNT;
}

/* Proven, but there is no room or a limit is met: RST, and the cookie is spent. */
static __attribute__((noinline)) void
connect_refuse(struct core *core, struct step *step, const struct proven *proven, enum counter over)
{
	core_count(core, over);
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
	step->reason = (uint8_t)over;
}

/* What is agreed is copied as one word, with a byte behind it that is written afterwards. */
#define AGREED_SIZE 8u
_Static_assert(offsetof(struct proven, promised_wscale) ==
                               offsetof(struct proven, offer) + sizeof(struct tcp_offer) &&
                       offsetof(struct pending, promised_wscale) ==
                               offsetof(struct pending, offer) + sizeof(struct tcp_offer) &&
                       offsetof(struct pending, ttl) ==
                               offsetof(struct pending, offer) + AGREED_SIZE - 1,
               "the offer, and the scale that was promised behind it");

void
connect_begin(struct core *core, struct step *step, const struct proven *proven, uint32_t net)
{
	const struct segment *seg = step->seg;
	uint32_t backend = server_of(core, step);
	struct backend *b = backend_at(&core->backends, backend);
	enum counter over = connect_over(core, step, b, net);

	if (__builtin_expect(over != COUNTER_COUNT, 0)) {
		connect_refuse(core, step, proven, over);
		return;
	}
	struct conn *conn = conn_open_proven(core, step, proven, CONN_CONNECTING);
	if (conn == NULL)
		return;
	admission_count(core, step, conn);
	uint8_t flags = step->service->repeat_syn ? PENDING_REPEATED : 0;
	if (__builtin_expect(is_doubtful(b), 0))
		flags |= PENDING_DOUBTFUL;
	if (b != NULL)
		b->n_connecting++;
	conn->pending = pending_start(&core->pending, flags, step->now->now_ms + RETRY_MS);

	struct pending *p = pending_of(core, conn);
	p->started_ms = step->now->now_ms;
	p->conn = step->entry;
	p->backend = backend;
	p->iss = proven->iss;
	p->ts_base = proven->ts_sent + cookie_ts_elapsed(proven->ts_sent, step->now->wall_ms);
	p->net = net;
	memcpy(&p->offer, &proven->offer, AGREED_SIZE);
	p->tsval = seg->tsval;
	note_client(p, seg);
	core_count(core, COUNTER_opened);
	if (seg->payload_len != 0 || (seg->flags & TCP_FIN))
		hold(core, conn, seg); /* what does not fit comes again */
	syn_fill(act_onward(core, step, SIDE_INSIDE, COUNTER_taken_proof, TCP_SYN), conn, p,
	         first_tsval(p));
	if (flags & PENDING_REPEATED)
		syn_send(core, step->out, conn, p, NULL, p->tsval);
}

/* A keep-alive of a client to which nothing has been acknowledged; a byte in it is not of
 * its stream (RFC 9293, 3.8.4). */
static bool
is_probe(const struct conn *conn, const struct segment *seg)
{
	return seg->seq == conn->irs && seg->ack == conn->server_nxt && segment_may_probe(seg);
}

void
connecting_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (seg->ack == conn->server_nxt && seq_between(conn->irs, seg->seq, conn->client_nxt))
		note_client(pending_of(core, conn), seg);
	if (is_probe(conn, seg))
		synchronized_syn(core, step);
	else
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
	if (is_probe(conn, seg)) {
		note_client(pending_of(core, conn), seg);
		synchronized_syn(core, step);
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
		join_refuse(core, step, conn);
	conn_finish(core, step->entry, step->at, step->now);
}

void
connecting_server_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	struct pending *p = pending_of(core, conn);

	if (join_by_ack(core, step, conn))
		return;
	/* An old connection of the same ports is in TIME-WAIT there (RFC 9293,
	 * 3.10.7.3: RST), and the RST clears it: ask again at once, one time. */
	struct link back = link_of_segment(step->seg, true);
	core_count(core, COUNTER_rst_sent);
	struct packet *rst = act_reply(core, step, COUNTER_answered_rst, TCP_RST);
	packet_for_client(rst, p);
	rst->seq = step->seg->ack;
	if (p->flags & (PENDING_RETRIED | PENDING_CLIENT_GONE))
		return;
	p->flags |= PENDING_RETRIED;
	syn_again(core, step->out, conn, p, &back);
}

uint64_t
connect_end_ms(const struct core *core, const struct conn *conn)
{
	const struct pending *p = &core->pending.records[conn->pending];
	uint64_t end_ms = p->started_ms + core->policy->timeouts.connecting * 1000ull;

	/* Nobody looks before its next SYN is due: a reload may have made the time shorter. */
	return p->flags & PENDING_ANSWERED || end_ms < p->deadline_ms ? p->deadline_ms : end_ms;
}

void
connect_timers(struct core *core, const struct instant *now, struct actions *out)
{
	uint32_t number, left = TIMERS_PER_TICK;

	while (left-- > 0 && out->n + CORE_BURST_MAX < out->max &&
	       (number = pending_due(&core->pending, now->now_ms)) != FLOW_NONE) {
		struct pending *p = &core->pending.records[number];
		if (p->flags & PENDING_ANSWERED) {
			join_late(core, p, now, out);
			continue;
		}
		uint64_t end_ms = connect_end_ms(core, &core->conns.conns[p->conn]);

		if (now->now_ms >= end_ms) {
			core_count(core, COUNTER_server_silent);
			give_up(core, p, now, out);
			continue;
		}
		unsigned int stage = p->stage + 1u < PENDING_STAGE_ANSWERED ? p->stage + 1u
		                                                            : p->stage;
		uint64_t deadline_ms = now->now_ms + (RETRY_MS << stage);
		pending_wait(&core->pending, number, stage,
		             deadline_ms < end_ms ? deadline_ms : end_ms);
		if (p->flags & PENDING_CLIENT_GONE)
			continue;
		syn_again(core, out, &core->conns.conns[p->conn], p, NULL);
	}
}
