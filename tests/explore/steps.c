/* SPDX-License-Identifier: BSD-3-Clause */
#include "steps.h"

#include "ends.h"
#include "engine.h"
#include "judge.h"

#define SEGMENTS_MAX 12u
#define FORGED_TSVAL 0x70000000u
#define FAR 0x40000000u
#define NEAR 100u
#define SETTLE_MAX 20u

/* Seconds that pass at once: to a retry, past the shorter timeouts, and half of a cookie's
 * life. */
static const uint8_t clock_steps_s[] = { 1, 12, 29 };
#define SERVER_GIVES_UP_S 20u

/* ---- which ------------------------------------------------------------- */

struct list {
	struct step_taken *steps;
	unsigned int n;
};

static void
add(struct list *list, enum step_kind kind, unsigned int arg)
{
	if (list->n < STEPS_MAX)
		list->steps[list->n++] = (struct step_taken){ (uint8_t)kind, (uint8_t)arg };
}

/* Where a SYN may arrive: at its owner, or at another worker that answers it itself;
 * else that one hands it over. */
static bool
may_arrive(const struct world *w, unsigned int worker, const struct seg *seg)
{
	return worker == world_owner(w, seg->flow) || world_hands_off(w) ||
	       (seg_is_syn(seg) && seg->hop == HOP_FROM_CLIENT);
}

static bool
has_room(const struct world *w)
{
	unsigned int most = w->scenario->n_segments != 0 ? w->scenario->n_segments : SEGMENTS_MAX;

	return w->model.n_segments < most;
}

static void
list_network(const struct world *w, struct list *list)
{
	const struct model *m = &w->model;
	const struct scenario *sc = w->scenario;
	bool mischief = m->n_mischief < sc->n_mischief;

	for (unsigned int i = 0; i < m->n_net; i++) {
		const struct seg *seg = &m->net[i];
		bool to_engine = seg->hop == HOP_FROM_CLIENT || seg->hop == HOP_FROM_SERVER;

		if (i > 0 && memcmp(seg, &m->net[i - 1], sizeof(*seg)) == 0)
			continue;
		for (unsigned int worker = 0; worker < (to_engine ? w->n_workers : 1u); worker++) {
			if (to_engine && (!has_room(w) || !may_arrive(w, worker, seg)))
				continue;
			add(list, STEP_DELIVER, worker << 4 | i);
			if (mischief && sc->copies)
				add(list, STEP_COPY, worker << 4 | i);
		}
		/* What never arrives is as good as lost: only where it takes the room. */
		if (mischief && sc->losses && m->n_net == NET_MAX)
			add(list, STEP_LOSE, i);
	}
}

static void
list_ends(const struct world *w, struct list *list)
{
	const struct scenario *sc = w->scenario;
	bool mischief = w->model.n_mischief < sc->n_mischief;
	unsigned int n = sc->n_clients != 0 ? sc->n_clients : CLIENTS;

	for (unsigned int client = 0; client < n; client++)
		for (unsigned int step = 0; step < CLIENT_STEPS; step++)
			if ((sc->client_steps & BIT(step)) &&
			    (mischief || (CLIENT_PLAIN & BIT(step))) &&
			    client_may(w, client, (enum client_step)step))
				add(list, STEP_CLIENT, client << 4 | step);
	if (!mischief)
		return;
	for (unsigned int flow = 0; flow < FLOWS && sc->server_repeats; flow++)
		if (server_may_repeat(w, flow))
			add(list, STEP_SERVER, flow);
	if (sc->server_stops)
		add(list, STEP_SERVER_STOPS, 0);
	if (sc->server_calls)
		add(list, STEP_SERVER_CALLS, 0);
}

static bool
forgery_of(const struct world *w, enum forgery forgery, struct seg *seg)
{
	const struct client *c = &w->model.clients[0];
	bool own = forgery < FORGE_CLIENT_SYN;

	*seg = (struct seg){
		.hop = HOP_FROM_CLIENT,
		.flow = own ? FLOW_FORGED : 0,
		.seq = world_iss(w, own ? FLOW_FORGED : 0, 0),
		.window = 2000,
	};
	switch (forgery) {
	case FORGE_SYN:
	case FORGE_CLIENT_SYN:
		seg->seq += own ? 0 : FAR;
		seg->flags = TCP_SYN;
		seg->options = w->scenario->client_options;
		seg->mss = 1460;
		seg->wscale = seg->options & OPTION_WSCALE ? 2 : 0;
		seg->tsval = seg->options & OPTION_TIMESTAMPS ? FORGED_TSVAL : 0;
		return true;
	case FORGE_SYN_BARE:
		seg->flags = TCP_SYN;
		seg->options = OPTION_MSS;
		seg->mss = 1460;
		return true;
	case FORGE_ACK:
	case FORGE_DATA:
	case FORGE_CLIENT_ACK:
	case FORGE_CLIENT_SYN_ACK:
		seg->seq += 1 + (own ? 0 : FAR);
		seg->flags = TCP_ACK | (forgery == FORGE_CLIENT_SYN_ACK ? TCP_SYN : 0);
		seg->ack = 0x12345678;
		seg->len = forgery == FORGE_DATA;
		return true;
	case FORGE_CLIENT_RST:
		seg->seq += FAR;
		seg->flags = TCP_RST;
		return true;
	case FORGE_CLIENT_RST_NEAR:
		seg->seq = c->iss + NEAR;
		seg->flags = TCP_RST;
		return c->state != CLIENT_CLOSED;
	case FORGERIES:
		break;
	}
	return false;
}

unsigned int
steps_list(const struct world *w, struct step_taken steps[STEPS_MAX])
{
	const struct scenario *sc = w->scenario;
	struct list list = { .steps = steps };
	struct seg seg;

	list_network(w, &list);
	list_ends(w, &list);
	if (w->model.n_mischief >= sc->n_mischief)
		return list.n;
	for (unsigned int i = 0; i < FORGERIES && has_room(w); i++)
		for (unsigned int worker = 0; worker < w->n_workers; worker++)
			if ((sc->forgeries & BIT(i)) && forgery_of(w, (enum forgery)i, &seg) &&
			    may_arrive(w, worker, &seg))
				add(&list, STEP_FORGE, worker << 4 | i);
	for (unsigned int i = 0; i < sizeof(clock_steps_s); i++)
		add(&list, STEP_CLOCK, i);
	if (sc->restarts)
		add(&list, STEP_RESTART, 0);
	if (sc->reload != RELOAD_NONE)
		add(&list, STEP_RELOAD, 0);
	return list.n;
}

/* ---- taking one ---------------------------------------------------------- */

/* A frame reaches the engine by a queue of `worker`, which keeps it if it may
 * answer it, or hands it to the flow's owner. */
static void
arrive(struct world *w, unsigned int worker, const struct seg *seg, bool forged)
{
	unsigned int owner = world_owner(w, seg->flow);

	if (worker != owner && !engine_answers(w, worker, seg))
		worker = owner;
	judge_receive(w, worker, seg, forged);
}

static void
deliver(struct world *w, unsigned int worker, const struct seg *seg)
{
	switch ((enum hop)seg->hop) {
	case HOP_FROM_CLIENT:
	case HOP_FROM_SERVER:
		arrive(w, worker, seg, false);
		break;
	case HOP_TO_CLIENT:
		client_hear(w, seg->flow, seg);
		break;
	case HOP_TO_SERVER:
		server_hear(w, seg);
		break;
	}
}

static void
pass_time(struct world *w, unsigned int seconds)
{
	if (seconds > SERVER_GIVES_UP_S)
		server_wait(w);
	for (unsigned int i = 0; i < seconds; i++) {
		w->model.elapsed_ms += 1000;
		for (unsigned int worker = 0; worker < w->n_workers; worker++)
			judge_tick(w, worker);
	}
}

static void
restart(struct world *w)
{
	w->model.cookies_until_s = w->cookies_until_s[0] = 0;
	for (unsigned int i = 0; i < w->n_workers; i++)
		engine_restart(w, i);
	if (world_hands_off(w))
		return;
	/* What it knew of cookies that are spent is gone. */
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct history *h = &w->model.flows[i];

		memset(h->opened, 0, sizeof(h->opened));
		h->n_opened = 0;
		memset(h->excused, 1, sizeof(h->excused));
	}
}

static bool
is_mischief(struct step_taken step)
{
	if (step.kind == STEP_CLIENT)
		return !(CLIENT_PLAIN & BIT(step.arg & 15));
	return step.kind != STEP_DELIVER;
}

void
steps_take(struct world *w, struct step_taken step)
{
	struct seg seg;

	w->model.n_mischief += is_mischief(step);
	switch ((enum step_kind)step.kind) {
	case STEP_DELIVER:
	case STEP_COPY:
		seg = w->model.net[step.arg & 15];
		if (step.kind == STEP_DELIVER)
			world_unsend(w, step.arg & 15);
		deliver(w, step.arg >> 4, &seg);
		break;
	case STEP_LOSE:
		world_unsend(w, step.arg);
		break;
	case STEP_CLIENT:
		client_do(w, step.arg >> 4, (enum client_step)(step.arg & 15));
		break;
	case STEP_SERVER:
		server_repeat(w, step.arg);
		break;
	case STEP_SERVER_STOPS:
		w->model.server_down ^= 1;
		break;
	case STEP_SERVER_CALLS:
		server_call(w, 0);
		break;
	case STEP_FORGE:
		if (forgery_of(w, (enum forgery)(step.arg & 15), &seg))
			arrive(w, step.arg >> 4, &seg, true);
		break;
	case STEP_CLOCK:
		pass_time(w, clock_steps_s[step.arg]);
		break;
	case STEP_RESTART:
		restart(w);
		break;
	case STEP_RELOAD:
		w->model.policy ^= 1;
		for (unsigned int i = 0; i < w->n_workers; i++)
			engine_reload(w, i);
		break;
	}
}

void
steps_settle(struct world *w)
{
	struct model *m = &w->model;
	struct seg batch[NET_MAX];

	for (unsigned int i = 0; i < SETTLE_MAX && m->n_net > 0; i++) {
		unsigned int n = m->n_net;

		memcpy(batch, m->net, sizeof(batch));
		memset(m->net, 0, sizeof(m->net));
		m->n_net = 0;
		for (unsigned int k = 0; k < n; k++)
			deliver(w, world_owner(w, batch[k].flow), &batch[k]);
	}
}

/* ---- in words ------------------------------------------------------------ */

static void
print_flags(FILE *out, uint8_t flags)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH", "ACK" };
	const char *between = "";

	for (unsigned int i = 0; i < 5; i++) {
		unsigned int bit = i == 0 ? 1 : i == 1 ? 0 : i; /* SYN before FIN */

		if (flags & BIT(bit)) {
			fprintf(out, "%s%s", between, names[bit]);
			between = "-";
		}
	}
}

void
steps_print_seg(FILE *out, const struct seg *seg)
{
	static const char *const hops[] = { "client %c > engine: ", "server (%c) > engine: ",
		                            "engine > client %c: ", "engine > server (%c): " };

	/* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral) */
	fprintf(out, hops[seg->hop], "ABF"[seg->flow]);
	print_flags(out, seg->flags);
	fprintf(out, " seq %08x", seg->seq);
	if (seg->flags & TCP_ACK)
		fprintf(out, " ack %08x", seg->ack);
	if (seg->len != 0)
		fprintf(out, " len %u data %02x", seg->len, seg->data);
	if (seg->options & OPTION_MSS)
		fprintf(out, " mss %u", seg->mss);
	if (seg->options & OPTION_WSCALE)
		fprintf(out, " wscale %u", seg->wscale);
	if (seg->options & OPTION_SACK_PERMITTED)
		fprintf(out, " sack");
	if (seg->options & OPTION_TIMESTAMPS)
		fprintf(out, " ts %x %x", seg->tsval, seg->tsecr);
}

void
steps_print(FILE *out, const struct world *w, struct step_taken step)
{
	static const char *const client[] = { "opens",
		                              "sends its SYN again",
		                              "sends its SYN again, with an MSS alone",
		                              "sends a byte",
		                              "sends again",
		                              "closes",
		                              "crashes",
		                              "aborts",
		                              "sends a keep-alive",
		                              "sends a keep-alive with a byte" };
	struct seg seg;

	switch ((enum step_kind)step.kind) {
	case STEP_DELIVER:
	case STEP_COPY:
	case STEP_LOSE:
		fprintf(out, step.kind == STEP_DELIVER ? "arrives  "
		             : step.kind == STEP_COPY  ? "a copy of it arrives  "
		                                       : "is lost  ");
		steps_print_seg(out, &w->model.net[step.arg & 15]);
		if (w->n_workers > 1 && step.kind != STEP_LOSE)
			fprintf(out, " (worker %d)", step.arg >> 4);
		break;
	case STEP_CLIENT:
		fprintf(out, "client %c %s", 'A' + (step.arg >> 4), client[step.arg & 15]);
		break;
	case STEP_SERVER:
		fprintf(out, "the server sends again to %c", "ABF"[step.arg]);
		break;
	case STEP_SERVER_STOPS:
		fprintf(out, "the server %s", w->model.server_down ? "starts" : "stops");
		break;
	case STEP_SERVER_CALLS:
		fprintf(out, "the server's host connects to client A");
		break;
	case STEP_FORGE:
		forgery_of(w, (enum forgery)(step.arg & 15), &seg);
		fprintf(out, "forged   ");
		steps_print_seg(out, &seg);
		if (w->n_workers > 1)
			fprintf(out, " (worker %d)", step.arg >> 4);
		break;
	case STEP_CLOCK:
		fprintf(out, "%u s pass", clock_steps_s[step.arg]);
		break;
	case STEP_RESTART:
		fprintf(out, "the engine is started again");
		break;
	case STEP_RELOAD:
		fprintf(out, "reload: policy %d", w->model.policy ^ 1);
		break;
	}
}
