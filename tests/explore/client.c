/* SPDX-License-Identifier: BSD-3-Clause */
#include "ends.h"

#define WINDOW 1000u
#define REQUEST_BYTES 2u
#define CLIENT_WSCALE 6u
#define GARBAGE 0xffu /* of a keep-alive */

static unsigned int
incarnation(const struct client *c)
{
	return c->n_opened - 1u;
}

/* Which byte of its stream; another one for each client and incarnation. */
static uint8_t
request_byte(const struct client *c, unsigned int client, unsigned int at)
{
	return (uint8_t)(client << 5 | incarnation(c) << 4 | at);
}

static struct seg
segment(const struct world *w, unsigned int client, uint8_t flags)
{
	const struct client *c = &w->model.clients[client];
	struct seg seg = {
		.hop = HOP_FROM_CLIENT,
		.flow = (uint8_t)client,
		.flags = flags,
		.seq = c->iss + 1 + c->sent + c->fin,
		.ack = c->rcv_nxt,
		.window = WINDOW,
	};

	if (c->options & OPTION_TIMESTAMPS) {
		seg.options = OPTION_TIMESTAMPS;
		seg.tsval = world_tsval(w, false);
		seg.tsecr = c->ts_recent;
	}
	return seg;
}

static void
send_ack(struct world *w, unsigned int client)
{
	struct seg seg = segment(w, client, TCP_ACK);

	world_send(w, &seg);
}

/* RFC 9293, 3.10.7.1. */
static void
send_reset(struct world *w, unsigned int client, const struct seg *to)
{
	struct seg seg = {
		.hop = HOP_FROM_CLIENT,
		.flow = (uint8_t)client,
		.flags = TCP_RST,
		.seq = to->ack,
	};

	if (!(to->flags & TCP_ACK)) {
		seg.flags |= TCP_ACK;
		seg.seq = 0;
		seg.ack = seg_end(to);
	}
	world_send(w, &seg);
}

static void
send_syn(struct world *w, unsigned int client, uint8_t options)
{
	struct client *c = &w->model.clients[client];
	const struct scenario *sc = w->scenario;
	struct seg seg = {
		.hop = HOP_FROM_CLIENT,
		.flow = (uint8_t)client,
		.flags = TCP_SYN,
		.seq = c->iss,
		.window = WINDOW,
		.options = options,
		.mss = sc->client_mss != 0 ? sc->client_mss : 1460,
		.wscale = options & OPTION_WSCALE ? CLIENT_WSCALE : 0,
		.tsval = options & OPTION_TIMESTAMPS ? world_tsval(w, false) : 0,
	};

	c->syn_options = options;
	world_send(w, &seg);
}

/* From what is not acknowledged on: `sent` bytes and FIN. */
static void
send_from(struct world *w, unsigned int client, unsigned int from)
{
	const struct client *c = &w->model.clients[client];
	struct seg seg = segment(w, client, TCP_ACK);

	seg.seq = c->iss + 1 + from;
	if (from < c->sent) {
		seg.len = (uint8_t)(c->sent - from);
		seg.data = request_byte(c, client, from);
		seg.flags |= TCP_PSH;
	}
	if (c->fin && from <= c->sent)
		seg.flags |= TCP_FIN;
	world_send(w, &seg);
}

bool
client_may(const struct world *w, unsigned int client, enum client_step step)
{
	const struct client *c = &w->model.clients[client];
	bool is_up = c->state == CLIENT_ESTABLISHED;

	switch (step) {
	case CLIENT_OPEN:
		/* Which one begins makes no difference. */
		return c->state == CLIENT_CLOSED && c->n_opened < INCARNATIONS &&
		       (client == 0 || w->model.clients[0].n_opened > 0);
	case CLIENT_SYN_AGAIN:
	case CLIENT_SYN_BARE:
		return c->state == CLIENT_SYN_SENT;
	case CLIENT_DATA:
		return is_up && !c->fin && c->sent < REQUEST_BYTES;
	case CLIENT_AGAIN:
	case CLIENT_ABORT:
		return is_up;
	case CLIENT_FIN:
		return is_up && !c->fin;
	case CLIENT_CRASH:
		return c->state != CLIENT_CLOSED;
	case CLIENT_KEEPALIVE:
	case CLIENT_KEEPALIVE_BYTE:
		return is_up && !c->fin && c->una == c->sent;
	case CLIENT_STEPS:
		break;
	}
	return false;
}

static void
send_keepalive(struct world *w, unsigned int client, bool byte)
{
	struct seg seg = segment(w, client, TCP_ACK);

	seg.seq--;
	seg.len = byte;
	seg.data = byte ? GARBAGE : 0;
	world_send(w, &seg);
}

void
client_do(struct world *w, unsigned int client, enum client_step step)
{
	struct client *c = &w->model.clients[client];
	uint8_t n_opened = c->n_opened;
	struct seg seg;

	switch (step) {
	case CLIENT_OPEN:
		*c = (struct client){
			.iss = world_iss(w, client, n_opened),
			.state = CLIENT_SYN_SENT,
			.n_opened = n_opened + 1,
		};
		send_syn(w, client, w->scenario->client_options);
		break;
	case CLIENT_SYN_AGAIN:
		send_syn(w, client, w->scenario->client_options);
		break;
	case CLIENT_SYN_BARE:
		send_syn(w, client, OPTION_MSS);
		break;
	case CLIENT_DATA:
		c->sent++;
		send_from(w, client, c->sent - 1u);
		break;
	case CLIENT_AGAIN:
		if (c->una < c->sent + c->fin)
			send_from(w, client, c->una);
		else
			send_ack(w, client);
		break;
	case CLIENT_FIN:
		c->fin = 1;
		send_from(w, client, c->sent);
		break;
	case CLIENT_ABORT:
		seg = segment(w, client, TCP_RST);
		seg.ack = 0;
		world_send(w, &seg);
		*c = (struct client){ .n_opened = n_opened };
		break;
	case CLIENT_CRASH:
		*c = (struct client){ .n_opened = n_opened };
		break;
	case CLIENT_KEEPALIVE:
	case CLIENT_KEEPALIVE_BYTE:
		send_keepalive(w, client, step == CLIENT_KEEPALIVE_BYTE);
		break;
	case CLIENT_STEPS:
		break;
	}
}

static void
close_down(struct client *c)
{
	*c = (struct client){ .n_opened = c->n_opened };
}

static void
hear_in_syn_sent(struct world *w, unsigned int client, const struct seg *seg)
{
	struct client *c = &w->model.clients[client];

	if ((seg->flags & TCP_ACK) && seg->ack != c->iss + 1) {
		if (!(seg->flags & TCP_RST))
			send_reset(w, client, seg);
		return;
	}
	if (seg->flags & TCP_RST) {
		if (seg->flags & TCP_ACK)
			close_down(c);
		return;
	}
	if (!seg_is_syn_ack(seg))
		return;
	c->state = CLIENT_ESTABLISHED;
	c->irs = seg->seq;
	c->rcv_nxt = seg->seq + 1;
	c->options = seg->options & c->syn_options;
	c->ts_recent = seg->tsval;
	w->model.flows[client].established[incarnation(c)] = 1;
	w->model.flows[client].client_irs[incarnation(c)] = c->irs;
	send_ack(w, client);
}

/* Data and FIN: what is next is taken, all else only answered. */
static void
take(struct world *w, unsigned int client, const struct seg *seg)
{
	struct client *c = &w->model.clients[client];
	struct history *h = &w->model.flows[client];

	if (seg->seq != c->rcv_nxt || c->peer_fin) {
		send_ack(w, client);
		return;
	}
	for (unsigned int i = 0; i < seg->len; i++, c->got++) {
		uint8_t expected = (uint8_t)(0x80 | request_byte(c, client, c->got));

		if (seg->data + i != expected)
			world_violate(w, RULE_stream, "client %c reads %02x where %02x was sent",
			              'A' + (int)client, seg->data + i, expected);
	}
	c->peer_fin = (seg->flags & TCP_FIN) != 0;
	c->got += c->peer_fin;
	c->rcv_nxt = seg_end(seg);
	if (h->client_got[incarnation(c)] < c->got)
		h->client_got[incarnation(c)] = c->got;
	send_ack(w, client);
}

void
client_hear(struct world *w, unsigned int client, const struct seg *seg)
{
	struct client *c = &w->model.clients[client];

	if (c->state == CLIENT_CLOSED) {
		if (!(seg->flags & TCP_RST))
			send_reset(w, client, seg);
		return;
	}
	if (c->state == CLIENT_SYN_SENT) {
		hear_in_syn_sent(w, client, seg);
		return;
	}
	if (seg->flags & TCP_RST) {
		if (seg->seq == c->rcv_nxt)
			close_down(c);
		return;
	}
	uint32_t acked = seg->ack - (c->iss + 1);
	if ((seg->flags & TCP_SYN) || !(seg->flags & TCP_ACK) ||
	    (acked > (uint32_t)c->sent + c->fin && acked != ~0u)) {
		send_ack(w, client);
		return;
	}
	if (acked > c->una && acked != ~0u)
		c->una = (uint8_t)acked;
	if ((seg->options & OPTION_TIMESTAMPS) && (int32_t)(seg->tsval - c->ts_recent) > 0)
		c->ts_recent = seg->tsval;
	if (seg->len != 0 || (seg->flags & TCP_FIN))
		take(w, client, seg);
	if (c->peer_fin && c->fin && c->una == c->sent + 1u)
		close_down(c);
}
