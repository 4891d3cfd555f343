/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server has answered: what is held goes on, and two handshakes become one
 * connection.
 *
 * The server measures its first round trip from its SYN-ACK to the ACK, which is the
 * engine's and comes at once: a hundredth or a thousandth of the client's. Congestion
 * control that goes by the smallest sample (BBR, for ten seconds) and a retransmission
 * timeout made of it are then wrong. So the SYN goes out twice, and the second SYN-ACK is
 * waited for, some microseconds longer. Of a SYN-ACK that it has sent again a server takes
 * no sample (Karn; RFC 6298, 3), and of timestamps none if TSecr does not tell one:
 *
 *   - Linux keeps what it has of the connection in a request socket, which echoes the TSval
 *     of the first SYN in both SYN-ACKs. From 6.15 on it refuses a TSecr that it has not
 *     sent, but for 0 (tcp_check_req()). It gets 0.
 *   - Linux that answers by SYN cookies reads the client's options and its own clock's
 *     offset from TSecr (cookie_timestamp_decode()): 0 would cost the connection its
 *     window scale and the client's trust in later TSvals. It echoes the TSval of each
 *     SYN, as the BSDs do from their SYN cache. They get what they have sent, put ahead
 *     of their clock by ECHO_AHEAD: a round trip below zero, which none of them takes.
 *     The low bits, where the cookie's options are, stay as they are.
 *
 * To tell the two apart the SYNs differ in TSval, by one. A server that answers the second
 * SYN in another way, or not at all, gets exactly what it has sent, ANSWER_WAIT_MS later.
 * Until the server has said more than its SYN-ACK, the client's own segments carry the same
 * TSecr, since the first may be lost, or wait for data to be taken (TCP_DEFER_ACCEPT).
 */
#include "join.h"

#include "act.h"

#define ANSWER_WAIT_MS 5u     /* for the second of two SYN-ACKs */
#define ECHO_AHEAD (1u << 22) /* above the six bits of a cookie's options; over an hour */

_Static_assert(PENDING_BLOCK_SIZE <= ACTION_PAYLOAD_MAX, "a block is one packet");

/* What the server's SYN-ACK says. */
static void
answer_read(struct pending *p, const struct segment *seg)
{
	struct pending_answer *a = &p->answer;
	bool scales = (seg->options & OPTION_WSCALE) && p->offer.wscale != WSCALE_NONE;

	a->seq = seg->seq;
	a->tsval = seg->tsval;
	a->window = seg->window;
	a->offer.mss = seg->mss != 0 ? seg->mss : mss_default(seg->is_v4);
	a->offer.wscale = scales ? seg->wscale : WSCALE_NONE;
	a->offer.sack = (seg->options & OPTION_SACK_PERMITTED) && p->offer.sack;
	a->offer.timestamps = (seg->options & OPTION_TIMESTAMPS) && p->offer.timestamps;
}

/* An ACK of the server's SYN-ACK, with the next `n` bytes of what is held; NULL: no room. */
static inline __attribute__((always_inline)) struct packet *
release_fill(struct packet *out, struct core *core, struct step *step, const struct conn *conn,
             const struct pending *p, uint32_t at, uint32_t n)
{
	if (out == NULL)
		return NULL;
	packet_for_client(out, p);
	out->seq = conn->irs + 1 + at;
	out->ack = p->answer.seq + 1;
	out->payload_len = (uint16_t)n;
	out->window = p->window;
	if (p->offer.wscale != WSCALE_NONE && p->answer.offer.wscale == WSCALE_NONE)
		out->window = pending_unscaled_window(p);
	if (at + n == p->held_size && (p->flags & PENDING_PUSH))
		out->flags |= TCP_PSH;
	if (at + n == p->held_size && (p->flags & PENDING_FIN))
		out->flags |= TCP_FIN;
	if (p->offer.timestamps)
		packet_stamp(out, p->tsval, core->conns.sides[step->entry].ts_echo);
	return out;
}

/* Everything held goes to the server, in the segments that it came in or smaller ones that
 * the server takes. What finds no room the client sends again. */
static __attribute__((noinline)) void
release_held(struct core *core, struct step *step, const struct conn *conn, const struct pending *p,
             const struct link *link)
{
	/* Cut no finer, whatever the server says: 40 bytes of options, 8 of data. */
	uint32_t mss = p->answer.offer.mss > COOKIE_MSS_LEAST ? p->answer.offer.mss
	                                                      : COOKIE_MSS_LEAST;
	uint32_t most = mss - (p->offer.timestamps ? 12u : 0u);
	uint32_t block = p->first_block, at = 0, in_block = 0;

	while (block != FLOW_NONE) {
		uint32_t n = core->pending.blocks[block].size - in_block;

		if (n > most)
			n = most;
		struct packet *out = act_send(core, step->out, &conn->flow, conn->path, link,
		                              SIDE_INSIDE, TCP_ACK);
		if (release_fill(out, core, step, conn, p, at, n) == NULL)
			return;
		out->payload = pending_block_data(&core->pending, block) + in_block;
		at += n;
		in_block += n;
		if (in_block == core->pending.blocks[block].size) {
			block = core->pending.blocks[block].next;
			in_block = 0;
		}
	}
}

/* The same; a bare ACK if nothing is held. */
static inline __attribute__((always_inline)) void
release(struct core *core, struct step *step, const struct conn *conn, const struct pending *p,
        const struct link *link)
{
	if (__builtin_expect(p->first_block != FLOW_NONE, 0))
		release_held(core, step, conn, p, link);
	else if (link != NULL)
		release_fill(act_send_by(core, step->out, &conn->flow, link, SIDE_INSIDE, TCP_ACK),
		             core, step, conn, p, 0, 0);
	else
		release_fill(act_send(core, step->out, &conn->flow, conn->path, NULL, SIDE_INSIDE,
		                      TCP_ACK),
		             core, step, conn, p, 0, 0);
}

/* The client has been told a small window: tell it the server's. */
static void
update_fill(struct packet *out, const struct conn *conn, const struct pending *p, uint32_t tsval)
{
	uint32_t window = p->answer.window >> wscale_shift(p->promised_wscale);

	out->seq = p->iss + 1;
	out->ack = conn->irs + 1;
	out->window = (uint16_t)(window == 0 && p->answer.window != 0 ? 1 : window);
	if (p->offer.timestamps)
		packet_stamp(out, tsval, p->tsval);
}

static inline __attribute__((always_inline)) void
splice_begin(struct core *core, struct step *step, struct conn *conn, const struct pending *p,
             uint32_t tsval)
{
	const struct tcp_offer *server = &p->answer.offer;

	unsigned int flags = CONN_REWRITTEN | CONN_SERVER_SILENT;

	conn->ts_delta = p->offer.timestamps ? tsval - p->answer.tsval : 0;
	if (wscale_shift(server->wscale) != wscale_shift(p->promised_wscale) ||
	    (p->offer.wscale != WSCALE_NONE && server->wscale == WSCALE_NONE))
		flags |= CONN_CONVERT;
	if (p->offer.sack && !server->sack)
		flags |= CONN_STRIP_SACK;
	if (p->flags & PENDING_FIN)
		flags |= CONN_CLIENT_FIN;
	/* Of what was held the server has acknowledged nothing yet. */
	uint32_t lag = conn->client_nxt - (conn->irs + 1);
	uint64_t stays = CONN_PATH | CONN_CLIENT_WSCALE | CONN_FLAGS;
	conn->rest = (conn->rest & stays) | conn_rest_of(CONN_FLAGS, flags) |
	             conn_rest_of(CONN_STATE, CONN_SPLICED) | /* as live as before */
	             conn_rest_of(CONN_CLIENT_LAG, lag < CONN_LAG_MAX ? lag : CONN_LAG_MAX) |
	             conn_rest_of(CONN_SERVER_WSCALE, server->wscale);
	conn->seq_delta = p->iss - p->answer.seq; /* lies over conn->pending */
	entry_touch(core, step, core->policy->timeouts.idle);
}

/* Both ends are there: from now on segments are rewritten. `ts_echo`: TSecr for the server
 * until it speaks. `link`: to it, NULL: from the path. The step's segment, if it has one,
 * becomes what the client is told. */
static inline __attribute__((always_inline)) void
join_with(struct core *core, struct step *step, struct conn *conn, struct pending *p,
          struct backend *b, uint32_t ts_echo, const struct link *link)
{
	uint32_t number = conn->pending;
	uint32_t tsval = pending_clock(p, step->now);
	struct packet *update;

	core->conns.sides[step->entry].ts_echo = ts_echo;
	/* ACK and held data leave before the client hears of the server. */
	release(core, step, conn, p, link);
	if (step->seg != NULL)
		update = act_onward(core, step, SIDE_OUTSIDE, COUNTER_taken_handshake, TCP_ACK);
	else
		update = act_send(core, step->out, &conn->flow, conn->path, NULL, SIDE_OUTSIDE,
		                  TCP_ACK);
	if (update != NULL) {
		update->ttl = b != NULL ? backend_ttl(b) : 0;
		update_fill(update, conn, p, tsval);
	}
	splice_begin(core, step, conn, p, tsval);
	core_count(core, COUNTER_connected);
	connecting_uncount(b);
	pending_give(&core->pending, number);
}

/* The same where it is rare. */
static __attribute__((noinline)) void
join(struct core *core, struct step *step, struct conn *conn, uint32_t ts_echo,
     const struct link *link)
{
	struct pending *p = pending_of(core, conn);

	join_with(core, step, conn, p, backend_of_pending(core, p), ts_echo, link);
}

void
join_refuse(struct core *core, struct step *step, const struct conn *conn)
{
	struct packet *p = act_onward(core, step, SIDE_OUTSIDE, COUNTER_taken_handshake,
	                              TCP_RST | TCP_ACK);

	p->seq = conn->server_nxt;
	p->ack = conn->irs + 1; /* nothing has been acknowledged */
	core_count(core, COUNTER_rst_sent);
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
		packet_for_client(p, pending_of(core, conn));
		p->seq = step->seg->ack;
		core_count(core, COUNTER_rst_sent);
	}
	join_refuse(core, step, conn);
	conn_finish(core, step->entry, step->at, step->now);
}

/* The server is there: what it can do is learned. */
static void
server_answers(struct core *core, struct backend *b, const struct pending *p,
               const struct segment *seg)
{
	if (__builtin_expect(b->down, 0))
		core_count(core, COUNTER_backend_up);
	backend_answers(b, &p->offer, &p->answer.offer, segment_hops(seg), p->net,
	                core->sources.now_s);
	core_count(core, COUNTER_learned);
}

/* The client has reset meanwhile: so does the server's end. True if so; the step's segment, if
 * it has one, is dealt with then. */
static bool
client_has_gone(struct core *core, struct step *step, struct conn *conn,
                const struct pending *pending)
{
	struct packet *p;

	if (!(pending->flags & PENDING_CLIENT_GONE))
		return false;
	if (step->seg != NULL)
		p = act_reply(core, step, COUNTER_answered_rst, TCP_RST);
	else
		p = act_send(core, step->out, &conn->flow, conn->path, NULL, SIDE_INSIDE, TCP_RST);
	if (p != NULL) {
		packet_for_client(p, pending);
		p->seq = conn->irs + 1;
		core_count(core, COUNTER_rst_sent);
	}
	core_count(core, COUNTER_reset);
	conn_finish(core, step->entry, step->at, step->now);
	return true;
}

void
connecting_syn_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	struct pending *p = pending_of(core, conn);
	struct backend *b = backend_of_pending(core, p);
	const struct segment *seg = step->seg;
	bool is_second = p->flags & PENDING_ANSWERED;

	if (seg->ack != conn->irs + 1) {
		act_reset(core, step);
		return;
	}
	answer_read(p, seg);
	/* Can the connection not be what the client was promised? A lower MSS than promised is no
	 * reason: see backend.h. A client can claim timestamps that nobody promised: its own loss
	 * alone. */
	bool breaks = p->offer.timestamps && !p->answer.offer.timestamps;
	bool forgets = breaks && b != NULL && b->known && b->timestamps;
	if (b != NULL && !is_second)
		server_answers(core, b, p, seg);
	if (client_has_gone(core, step, conn, p))
		return;
	if (__builtin_expect(breaks, 0)) {
		if (forgets)
			backend_forget(b);
		promise_is_broken(core, step, conn);
		return;
	}
	if (!is_second && (p->flags & PENDING_REPEATED)) {
		p->flags |= PENDING_ANSWERED;
		pending_wait(&core->pending, conn->pending, PENDING_STAGE_ANSWERED,
		             step->now->now_ms + ANSWER_WAIT_MS);
		act_drop(core, step, COUNTER_taken_handshake);
		return;
	}
	uint32_t ts_echo = seg->tsval;
	if (is_second)
		ts_echo = seg->tsecr == p->syn_tsval ? 0 : seg->tsval + ECHO_AHEAD;
	const struct link back = link_of_segment(seg, true);
	join_with(core, step, conn, p, b, ts_echo, &back);
}

bool
join_by_ack(struct core *core, struct step *step, struct conn *conn)
{
	const struct pending *p = pending_of(core, conn);
	const struct segment *seg = step->seg;

	if (!(p->flags & PENDING_ANSWERED) || seg->ack != conn->irs + 1 ||
	    seg->seq != p->answer.seq + 1)
		return false;
	const struct link back = link_of_segment(seg, true);
	if (!client_has_gone(core, step, conn, p))
		join(core, step, conn, p->answer.tsval, &back);
	return true;
}

void
join_late(struct core *core, struct pending *p, const struct instant *now, struct actions *out)
{
	struct conn *conn = &core->conns.conns[p->conn];
	struct step step = { .entry = p->conn, .now = now, .out = out };

	if (conn_find_slot(core, p->conn, &step.at) && !client_has_gone(core, &step, conn, p))
		join(core, &step, conn, p->answer.tsval, NULL);
}
