/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge_out.h"

#include "actions.h"
#include "ends.h"

/* Until it has spoken a server is echoed 0, or a time ahead of its clock, on purpose (join.c). */
#define ECHO_AHEAD (1u << 22)

/* A SYN-ACK that the engine made. */
static void
judge_syn_ack(const struct judged *j, const struct seg *out, bool is_reply)
{
	const struct syn_seen *syn = &j->w->model.flows[out->flow].last_syn[j->worker];

	if (!world_proves(j->w, out->flow, out->ack - 1, out->seq))
		world_violate(j->w, RULE_cookie, "the ISS of a SYN-ACK proves nothing");
	if (out->ack != syn->seq + 1)
		world_violate(j->w, RULE_offer, "a SYN-ACK for another SYN than the last");
	else if (out->options & ~syn->options & ALL_OPTIONS)
		world_violate(j->w, RULE_offer, "the SYN-ACK has options %x, the SYN %s had %x",
		              out->options, is_reply ? "that it answers" : "before", syn->options);
	else if ((out->options & OPTION_TIMESTAMPS) && out->tsecr != syn->tsval)
		world_violate(j->w, RULE_echo, "the SYN-ACK echoes another time than the SYN's");
}

/* A SYN of the engine's own to the server. */
static void
judge_syn(const struct judged *j, const struct seg *out)
{
	const struct history *h = &j->w->model.flows[out->flow];
	unsigned int k = world_incarnation(j->w, out->flow, out->seq);
	bool from_state = grew(j, COUNTER_half_open_completed) != 0;
	const struct syn_seen *syn = &h->last_syn[j->worker];
	uint8_t offered = k < INCARNATIONS ? h->options[k] : 0;

	if (k < INCARNATIONS && out->mss > h->mss[k])
		world_violate(j->w, RULE_mss, "the server is told MSS %u, the client said %u",
		              out->mss, h->mss[k]);
	if (from_state && syn->seq == out->seq)
		offered = syn->options;
	if (out->options & ~offered & ALL_OPTIONS)
		world_violate(j->w, RULE_offer, "the server is offered %x, the client's SYN had %x",
		              out->options, offered);
}

/* How far a number lies beyond a SYN; negative if before it. */
static int32_t
beyond(uint32_t number, uint32_t iss)
{
	return (int32_t)(number - (iss + 1));
}

static void
judge_to_client(const struct judged *j, const struct seg *out, bool is_forwarded)
{
	struct world *w = j->w;
	const struct history *h = &w->model.flows[out->flow];
	unsigned int k = world_incarnation(w, out->flow, out->ack - 1);

	if ((out->flags & TCP_RST) || !(out->flags & TCP_ACK) || out->flow >= CLIENTS)
		return;
	if (w->scenario->mode != MODE_RESPOND && k < INCARNATIONS &&
	    beyond(out->ack, world_iss(w, out->flow, k)) > h->server_got[k])
		world_violate(w, RULE_ack_client, "%d of client %c's are acknowledged, not %u",
		              beyond(out->ack, world_iss(w, out->flow, k)), 'A' + out->flow,
		              h->server_got[k]);
	if (!is_forwarded && !(out->flags & TCP_SYN) && (out->options & OPTION_TIMESTAMPS) &&
	    out->tsecr + 1 - world_ts_base(false) > w->model.elapsed_ms + 1) /* SYNs differ by 1 */
		world_violate(w, RULE_echo, "client %c never sent the TSval %x", 'A' + out->flow,
		              out->tsecr);
}

static void
judge_to_server(const struct judged *j, const struct seg *out)
{
	struct world *w = j->w;
	const struct history *h = &w->model.flows[out->flow];
	const struct server *s = &w->model.servers[out->flow];
	unsigned int k = world_incarnation(w, out->flow, s->irs);

	if ((out->flags & TCP_RST) || !(out->flags & TCP_ACK) || s->state == SERVER_LISTEN)
		return;
	int32_t acked = beyond(out->ack, s->iss);
	uint8_t got = k < INCARNATIONS ? h->client_got[k] : 0;
	if (acked > got && acked < 0x1000)
		world_violate(w, RULE_ack_server, "%d of the server's are acknowledged, not %u",
		              acked, got);
	/* Its clock goes on from where the cookie's was. */
	if (world_hands_off(w))
		return;
	uint32_t since = out->tsecr - world_ts_base(true);
	if ((out->options & OPTION_TIMESTAMPS) && (s->options & OPTION_TIMESTAMPS) && acked >= 0 &&
	    acked < 0x1000 && out->tsecr != 0 && since > w->model.elapsed_ms &&
	    since - ECHO_AHEAD > w->model.elapsed_ms)
		world_violate(w, RULE_echo, "the server never sent the TSval %x", out->tsecr);
}

/* A segment that was rewritten, as it came and as it leaves. */
static void
judge_edit(const struct judged *j, const struct seg *out)
{
	bool to_client = out->hop == HOP_TO_CLIENT;
	const struct history *h = &j->w->model.flows[out->flow];
	unsigned int k = world_incarnation(j->w, out->flow, to_client ? out->ack - 1 : out->seq);

	if (k == INCARNATIONS || !h->established[k] || h->server_iss[k] == 0)
		return;
	uint32_t server = to_client ? j->in->seq : out->ack;
	uint32_t client = to_client ? out->seq : j->in->ack;
	if (server - h->server_iss[k] < 0x1000 && client - h->client_irs[k] < 0x1000 &&
	    server - h->server_iss[k] != client - h->client_irs[k])
		world_violate(j->w, RULE_place, "%u of the server's stream becomes %u",
		              server - h->server_iss[k], client - h->client_irs[k]);
}

void
judge_out(const struct judged *j)
{
	for (unsigned int i = 0; i < j->w->n_out; i++) {
		const struct out *o = &j->w->out[i];
		bool is_own = o->kind != ACTION_FORWARD && o->kind != ACTION_EDIT;

		if (o->seg.hop == HOP_TO_CLIENT) {
			if (is_own && seg_is_syn_ack(&o->seg))
				judge_syn_ack(j, &o->seg, o->kind == ACTION_REPLY);
			judge_to_client(j, &o->seg, o->kind == ACTION_FORWARD);
		} else {
			if (is_own && seg_is_syn(&o->seg))
				judge_syn(j, &o->seg);
			judge_to_server(j, &o->seg);
		}
		if (o->kind == ACTION_EDIT)
			judge_edit(j, &o->seg);
	}
}
