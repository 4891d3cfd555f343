/* SPDX-License-Identifier: BSD-3-Clause */
#include "ends.h"

#define WINDOW 500u
#define SERVER_WSCALE 3u
#define ISS_FIRST 0xc0000000u
#define ISS_STEP 0x01000000u

static struct seg
segment(const struct world *w, unsigned int flow, uint8_t flags)
{
	const struct server *s = &w->model.servers[flow];
	struct seg seg = {
		.hop = HOP_FROM_SERVER,
		.flow = (uint8_t)flow,
		.flags = flags,
		.seq = s->iss + 1 + s->sent + s->fin,
		.ack = s->rcv_nxt,
		.window = WINDOW,
	};

	if (s->options & OPTION_TIMESTAMPS) {
		seg.options = OPTION_TIMESTAMPS;
		seg.tsval = world_tsval(w, true);
		seg.tsecr = s->ts_recent;
	}
	return seg;
}

static void
send_ack(struct world *w, unsigned int flow)
{
	struct seg seg = segment(w, flow, TCP_ACK);

	world_send(w, &seg);
}

static void
send_reset(struct world *w, const struct seg *to)
{
	struct seg seg = {
		.hop = HOP_FROM_SERVER,
		.flow = to->flow,
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
send_syn_ack(struct world *w, unsigned int flow)
{
	struct seg seg = segment(w, flow, TCP_SYN | TCP_ACK);

	seg.seq = w->model.servers[flow].iss;
	seg.options = w->model.servers[flow].options;
	seg.mss = SERVER_MSS;
	seg.wscale = seg.options & OPTION_WSCALE ? SERVER_WSCALE : 0;
	world_send(w, &seg);
}

/* The answer and FIN, from what is not acknowledged on. */
static void
send_from(struct world *w, unsigned int flow, unsigned int from)
{
	const struct server *s = &w->model.servers[flow];
	unsigned int k = world_incarnation(w, flow, s->irs);
	struct seg seg = segment(w, flow, TCP_ACK);

	seg.seq = s->iss + 1 + from;
	if (from < s->sent) {
		seg.len = (uint8_t)(s->sent - from);
		seg.data = (uint8_t)(0x80 | flow << 5 | k << 4 | from);
	}
	if (s->fin)
		seg.flags |= TCP_FIN;
	world_send(w, &seg);
}

/* The answer, if it does not wait for the question. */
static void
greet(struct world *w, unsigned int flow)
{
	struct server *s = &w->model.servers[flow];

	if (!w->scenario->server_greets)
		return;
	s->sent = 1;
	send_from(w, flow, 0);
}

bool
server_may_repeat(const struct world *w, unsigned int flow)
{
	const struct server *s = &w->model.servers[flow];

	return s->state == SERVER_SYN_RECEIVED ||
	       (s->state != SERVER_LISTEN && s->una < s->sent + s->fin);
}

void
server_repeat(struct world *w, unsigned int flow)
{
	const struct server *s = &w->model.servers[flow];

	if (s->state == SERVER_SYN_RECEIVED)
		send_syn_ack(w, flow);
	else
		send_from(w, flow, s->una);
}

void
server_call(struct world *w, unsigned int flow)
{
	const struct seg syn = {
		.hop = HOP_FROM_SERVER,
		.flow = (uint8_t)flow,
		.flags = TCP_SYN,
		.seq = ISS_FIRST - ISS_STEP,
		.options = OPTION_MSS,
		.mss = SERVER_MSS,
		.window = WINDOW,
	};

	world_send(w, &syn);
}

static void
close_down(struct server *s)
{
	*s = (struct server){ .n_opened = s->n_opened };
}

void
server_wait(struct world *w)
{
	for (unsigned int i = 0; i < FLOWS; i++)
		if (w->model.servers[i].state == SERVER_SYN_RECEIVED)
			close_down(&w->model.servers[i]);
}

/* Have the two numbers opened a connection before? What the kernel's side remembers. */
static bool
is_spent(const struct history *h, uint32_t irs, uint32_t iss)
{
	for (unsigned int i = 0; i < h->n_opened; i++)
		if (h->opened[i].irs == irs && h->opened[i].iss == iss)
			return true;
	return false;
}

/*
 * Mode handoff: does this segment prove a cookie that opens a connection? Then the kernel has
 * it as if it had answered the SYN itself. `irs` becomes the client's ISS: a keep-alive has a SEQ
 * one lower.
 */
static bool
may_adopt(struct world *w, const struct seg *seg, uint32_t *irs)
{
	const struct history *h = &w->model.flows[seg->flow];

	if (!world_hands_off(w) || (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK)
		return false;
	*irs = seg->seq - 1;
	if (!world_proves(w, seg->flow, *irs, seg->ack - 1)) {
		*irs = seg->seq;
		if (seg->len > 1 || (seg->flags & TCP_FIN) ||
		    !world_proves(w, seg->flow, *irs, seg->ack - 1))
			return false;
	}
	return !is_spent(h, *irs, seg->ack - 1);
}

static void
adopt(struct world *w, const struct seg *seg, uint32_t irs)
{
	struct server *s = &w->model.servers[seg->flow];
	struct history *h = &w->model.flows[seg->flow];
	unsigned int k = world_incarnation(w, seg->flow, irs);

	if (seg->flow >= CLIENTS || k == INCARNATIONS || !h->established[k])
		world_violate(w, RULE_proven, "opened for a client that has seen no SYN-ACK");
	if (h->n_opened < OPENED_MAX)
		h->opened[h->n_opened++] = (struct opened){ irs, seg->ack - 1 };
	*s = (struct server){
		.irs = irs,
		.iss = seg->ack - 1,
		.rcv_nxt = irs + 1,
		.ts_recent = seg->tsval,
		.state = SERVER_ESTABLISHED,
		.n_opened = s->n_opened,
		.options = seg->options & OPTION_TIMESTAMPS,
	};
	if (k < INCARNATIONS)
		h->server_iss[k] = s->iss;
}

static void
hear_in_listen(struct world *w, const struct seg *seg)
{
	struct server *s = &w->model.servers[seg->flow];
	uint8_t n = s->n_opened;
	unsigned int k = world_incarnation(w, seg->flow, seg->seq);

	if (seg->flags & TCP_RST)
		return;
	/* What proves nothing may be the second segment of a client whose first was lost. */
	if (world_hands_off(w) && (seg->flags & TCP_ACK))
		return;
	if ((seg->flags & TCP_ACK) || w->model.server_down) {
		send_reset(w, seg);
		return;
	}
	if (!(seg->flags & TCP_SYN))
		return;
	*s = (struct server){
		.irs = seg->seq,
		.iss = ISS_FIRST + ISS_STEP * n + 0x1000u * seg->flow,
		.rcv_nxt = seg->seq + 1,
		.ts_recent = seg->tsval,
		.state = SERVER_SYN_RECEIVED,
		.n_opened = n + 1,
		.options = seg->options & (w->scenario->server_options | OPTION_MSS),
	};
	if (k < INCARNATIONS)
		w->model.flows[seg->flow].server_iss[k] = s->iss;
	send_syn_ack(w, seg->flow);
}

/* The bytes of a request, in order. */
static void
take(struct world *w, const struct seg *seg)
{
	struct server *s = &w->model.servers[seg->flow];
	struct history *h = &w->model.flows[seg->flow];
	unsigned int k = world_incarnation(w, seg->flow, s->irs);
	uint32_t old = s->rcv_nxt - seg->seq; /* bytes of it that are here already */

	if (old >= seg_end(seg) - seg->seq || s->state != SERVER_ESTABLISHED) {
		send_ack(w, seg->flow);
		return;
	}
	for (unsigned int i = old; i < seg->len; i++) {
		unsigned int at = seg->seq + i - (s->irs + 1);
		uint8_t expected = (uint8_t)((unsigned int)seg->flow << 5 | k << 4 | at);

		if (k == INCARNATIONS || seg->data + i != expected)
			world_violate(w, RULE_stream, "the server reads %02x where %02x was sent",
			              seg->data + i, expected);
		else if (at == 0 && h->delivered[k]++ > 0 && !h->excused[k])
			world_violate(w, RULE_twice, "the server reads a request once more");
	}
	s->rcv_nxt = seg_end(seg);
	uint32_t got = s->rcv_nxt - (s->irs + 1);
	if (k < INCARNATIONS && h->server_got[k] < got)
		h->server_got[k] = (uint8_t)got;
	bool answers = s->sent == 0 && got > !!(seg->flags & TCP_FIN);
	uint8_t from = s->sent;
	s->sent |= answers;
	if (seg->flags & TCP_FIN) {
		s->fin = 1;
		s->state = SERVER_LAST_ACK;
	}
	if (answers || s->fin)
		send_from(w, seg->flow, from);
	else
		send_ack(w, seg->flow);
}

static void
hear_connected(struct world *w, const struct seg *seg)
{
	struct server *s = &w->model.servers[seg->flow];
	uint32_t acked = seg->ack - (s->iss + 1);

	if (acked > (uint32_t)s->sent + s->fin && acked != ~0u) {
		send_ack(w, seg->flow);
		return;
	}
	if (acked > s->una && acked != ~0u)
		s->una = (uint8_t)acked;
	if ((seg->options & OPTION_TIMESTAMPS) && (int32_t)(seg->tsval - s->ts_recent) > 0)
		s->ts_recent = seg->tsval;
	if (seg->len != 0 || (seg->flags & TCP_FIN))
		take(w, seg);
	else if (seg->seq != s->rcv_nxt)
		send_ack(w, seg->flow);
	if (s->state == SERVER_LAST_ACK && s->una == s->sent + 1u)
		close_down(s);
}

void
server_hear(struct world *w, const struct seg *seg)
{
	struct server *s = &w->model.servers[seg->flow];

	uint32_t irs;

	/* A client that comes again from the same ports ends what was there. */
	if (may_adopt(w, seg, &irs) && (s->state == SERVER_LISTEN || s->irs != irs))
		adopt(w, seg, irs);
	if (s->state == SERVER_LISTEN) {
		hear_in_listen(w, seg);
		return;
	}
	if (seg->flags & TCP_RST) {
		if (seg->seq == s->rcv_nxt)
			close_down(s);
		return;
	}
	if (seg->flags & TCP_SYN) {
		if (s->state == SERVER_SYN_RECEIVED && seg->seq == s->irs &&
		    !(seg->flags & TCP_ACK))
			send_syn_ack(w, seg->flow);
		else
			send_ack(w, seg->flow);
		return;
	}
	if (!(seg->flags & TCP_ACK))
		return;
	if (s->state == SERVER_SYN_RECEIVED) {
		if (seg->ack != s->iss + 1) {
			send_reset(w, seg);
			return;
		}
		if (seg->seq != s->rcv_nxt) {
			send_ack(w, seg->flow);
			return;
		}
		s->state = SERVER_ESTABLISHED;
		greet(w, seg->flow);
	}
	hear_connected(w, seg);
}
