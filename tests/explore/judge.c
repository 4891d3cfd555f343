/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"

#include "account.h"
#include "cookie.h"
#include "ends.h"
#include "engine.h"
#include "judge_out.h"
#include "scenario.h"

#define DRAIN_STEP_MS 5000u
#define DRAIN_STEPS 60u

/* The sum of what frames have ended in is `n` more; entries and connections add up. */
static void
judge_account(const struct judged *j, unsigned int n)
{
	struct account_equation before[ACCOUNT_EQUATIONS], now[ACCOUNT_EQUATIONS];

	account_equations(&j->counters, 0, 0, 0, before);
	account_equations(core_counters(j->core), 0, core_usage(j->core).half_open,
	                  core_remaining(j->core), now);
	if (now[0].right != before[0].right + n)
		world_violate(j->w, RULE_outcome, "one frame, %d outcomes",
		              (int)(now[0].right - before[0].right));
	for (unsigned int i = 1; i < ACCOUNT_EQUATIONS; i++)
		if (now[i].left != now[i].right)
			world_violate(j->w, RULE_account, "%s: %llu and %llu", now[i].text,
			              (unsigned long long)now[i].left,
			              (unsigned long long)now[i].right);
}

/* A service comes to cookies where it has as many half-open as its high watermark says, and
 * leaves them as a second ends, with no more than its low one. */
static void
judge_mode(const struct judged *j)
{
	const struct service *service = &j->w->services[j->w->model.policy];
	struct service_view is = core_service_view(j->core, service->id);

	/* The rate of SYNs stands for half-open entries. */
	if (world_hands_off(j->w)) {
		bool is_syn = j->in != NULL && seg_is_syn(j->in);

		if (is.cookie_mode && !j->view.cookie_mode && !is_syn)
			world_violate(j->w, RULE_mode, "cookies begin without a SYN");
		if (!is.cookie_mode && j->view.cookie_mode && j->in != NULL)
			world_violate(j->w, RULE_mode, "cookies end within a second");
		return;
	}
	uint32_t high = (service->high + j->w->n_workers - 1) / j->w->n_workers;

	if (is.cookie_mode && !j->view.cookie_mode && (j->in == NULL || is.half_open < high))
		world_violate(j->w, RULE_mode, "cookies begin with %u half-open", is.half_open);
	if (!is.cookie_mode && j->view.cookie_mode &&
	    (j->in != NULL || j->view.half_open > service->low / j->w->n_workers))
		world_violate(j->w, RULE_mode, "cookies end with %u half-open", j->view.half_open);
}

static void
judge_stateless(const struct judged *j)
{
	struct core_usage is = core_usage(j->core);
	unsigned int n_syn_acks = 0, most = seg_is_syn(j->in) ? 1 : 0;

	for (unsigned int i = 0; i < j->w->n_out; i++)
		n_syn_acks += seg_is_syn_ack(&j->w->out[i].seg) &&
		              j->w->out[i].kind == ACTION_REPLY;
	if (n_syn_acks > most)
		world_violate(j->w, RULE_stateless, "%u SYN-ACKs", n_syn_acks);
	if (grew(j, COUNTER_answered_syn_cookie) == 0)
		return;
	if (j->w->n_out != 1 || n_syn_acks != 1)
		world_violate(j->w, RULE_stateless, "%u frames left", j->w->n_out);
	if (is.half_open > j->usage.half_open || is.connections > j->usage.connections ||
	    is.paths > j->usage.paths || is.held > j->usage.held || is.sources > j->usage.sources)
		world_violate(j->w, RULE_stateless, "it has left state");
}

static void
judge_opened(const struct judged *j)
{
	struct world *w = j->w;
	unsigned int flow = j->in->flow;
	struct history *h = &w->model.flows[flow];
	struct inside_entry entry = inside_find(j->core, flow);
	struct opened opened = { entry.irs, j->in->ack - 1 };
	unsigned int k = world_incarnation(w, flow, entry.irs);

	if (grew(j, COUNTER_opened) == 0)
		return;
	if (flow >= CLIENTS || k == INCARNATIONS || !h->established[k])
		world_violate(w, RULE_proven, "opened for a client that has seen no SYN-ACK");
	for (unsigned int i = 0; i < h->n_opened; i++)
		if (h->opened[i].irs == opened.irs && h->opened[i].iss == opened.iss)
			world_violate(w, RULE_once, "the same cookie once more");
	if (h->n_opened < OPENED_MAX)
		h->opened[h->n_opened++] = opened;
	if (!w->scenario->wait_for_data || flow >= CLIENTS)
		return;
	const struct client *c = &w->model.clients[flow];
	if (c->state == CLIENT_ESTABLISHED && c->iss == opened.irs && c->sent + c->fin == 0)
		world_violate(w, RULE_early, "opened by a client that has sent nothing yet");
}

/* A keep-alive of a client whose connection waits for its first byte (RFC 9293, 3.8.4). */
static void
judge_alive(const struct judged *j)
{
	struct world *w = j->w;
	const struct seg *in = j->in;
	struct instant now = world_instant(w, w->model.elapsed_ms);
	struct cookie_job job = {
		.flow = world_flow(in->flow), .irs = in->seq, .iss = in->ack - 1, .is_v4 = true
	};
	uint8_t proof;

	if (!w->scenario->wait_for_data || j->entry.kind != ENTRY_NONE || in->len > 1 ||
	    in->flags != TCP_ACK || w->model.policy != 0)
		return;
	cookie_check(now.secrets, &job, 1, &proof);
	if (proof != PROOF_EXACT)
		return;
	if (w->n_out != 1 || w->out[0].seg.hop != HOP_TO_CLIENT || w->out[0].seg.flags != TCP_ACK)
		world_violate(w, RULE_alive, "its keep-alive is not answered with an ACK");
}

/* RSTs that a client will believe, though a later segment of it would still open, or its server
 * has the connection. A limit answers what proves its cookie; an engine that was started again
 * remembers no half-open entries, and after observe only the very ACK that it has seen asked for. */
static void
judge_spared(const struct judged *j)
{
	struct world *w = j->w;
	const struct seg *in = j->in;

	if (in != NULL && in->hop == HOP_FROM_CLIENT &&
	    (w->scenario->connections | w->scenario->max_of_net) &&
	    world_proves(w, in->flow, in->seq - 1, in->ack - 1))
		return;

	for (unsigned int i = 0; i < w->n_out; i++) {
		const struct out *out = &w->out[i];
		const struct client *c = &w->model.clients[out->seg.flow % CLIENTS];

		if (out->seg.hop != HOP_TO_CLIENT || !(out->seg.flags & TCP_RST) ||
		    out->seg.flow >= CLIENTS || c->state != CLIENT_ESTABLISHED ||
		    out->seg.seq != c->rcv_nxt ||
		    w->model.flows[out->seg.flow].excused[c->n_opened - 1])
			continue;
		if (world_may_open(w, out->seg.flow))
			world_violate(w, RULE_spared, "client %c will believe it",
			              'A' + (int)out->seg.flow);
		else if (out->kind != ACTION_FORWARD && out->kind != ACTION_EDIT &&
		         world_is_direct(w, out->seg.flow) &&
		         (w->scenario->reload != RELOAD_OBSERVE ||
		          in->seq == w->model.servers[out->seg.flow].rcv_nxt))
			world_violate(w, RULE_spared,
			              "client %c will believe it, and its server is there",
			              'A' + (int)out->seg.flow);
	}
}

/* Mode handoff. */
static void
judge_untouched(const struct judged *j)
{
	struct world *w = j->w;
	struct core_usage is = core_usage(j->core);
	const struct out *out = &w->out[0];
	struct seg as_it_was = *j->in;

	if (is.connections + is.half_open + is.paths + is.held + is.backends != 0)
		world_violate(w, RULE_untouched, "it keeps something");
	as_it_was.hop = j->in->hop == HOP_FROM_CLIENT ? HOP_TO_SERVER : HOP_TO_CLIENT;
	if (w->n_out == 1 && out->kind == ACTION_FORWARD &&
	    memcmp(&out->seg, &as_it_was, sizeof(as_it_was)) == 0)
		return;
	if (seg_is_syn(j->in) && j->in->hop == HOP_FROM_CLIENT && w->n_out == 1 &&
	    out->kind == ACTION_REPLY && seg_is_syn_ack(&out->seg))
		return;
	world_violate(w, RULE_untouched, "%u frames left, the first by action %u", w->n_out,
	              w->n_out != 0 ? out->kind : 0u);
}

/* Under observe; what was split before goes on like that, and is none of it. */
static void
judge_observed(const struct judged *j)
{
	const struct core *shadow = inside_shadow(j->core);
	const struct counters *c = core_counters(j->core);
	struct account_equation row = account_observed(c, core_would(j->core));
	const struct out *out = &j->w->out[0];
	struct seg as_it_was = *j->in;

	if (row.left != row.right)
		world_violate(j->w, RULE_observed, "%s: %u and %u", row.text,
		              (unsigned int)row.left, (unsigned int)row.right);
	if (shadow == NULL || counter_read(c, COUNTER_passed_observed) ==
	                              counter_read(&j->counters, COUNTER_passed_observed)) {
		if (j->entry.kind == ENTRY_NONE)
			world_violate(j->w, RULE_observed, "it is not under observe");
		return;
	}
	as_it_was.hop = j->in->hop == HOP_FROM_CLIENT ? HOP_TO_SERVER : HOP_TO_CLIENT;
	if (j->w->n_out != 1 || out->kind != ACTION_FORWARD ||
	    memcmp(&out->seg, &as_it_was, sizeof(as_it_was)) != 0)
		world_violate(j->w, RULE_observed, "%u frames left, the first by action %u",
		              j->w->n_out, j->w->n_out != 0 ? out->kind : 0u);
}

/* A worker that does not own the flow. */
static void
judge_stranger(const struct judged *j)
{
	struct core_usage is = core_usage(j->core);

	if (is.connections > j->usage.connections || is.half_open > j->usage.half_open ||
	    is.paths > j->usage.paths)
		world_violate(j->w, RULE_owner, "worker %u keeps an entry of worker %u's flow",
		              j->worker, world_owner(j->w, j->in->flow));
	for (unsigned int i = 0; i < j->w->n_out; i++)
		if (j->w->out[i].seg.hop == HOP_TO_SERVER)
			world_violate(j->w, RULE_owner, "worker %u passes worker %u's SYN on",
			              j->worker, world_owner(j->w, j->in->flow));
}

static bool
is_live(const struct inside_entry *entry)
{
	return entry->kind == ENTRY_CONNECTION && !entry->client_gone &&
	       (entry->state == CONN_CONNECTING || entry->state == CONN_SPLICED ||
	        entry->state == CONN_RESPONDING);
}

static void
judge_forger(const struct judged *j)
{
	unsigned int flow = j->in->flow;
	struct inside_entry is = inside_find(j->core, flow);
	const struct client *c = &j->w->model.clients[flow % CLIENTS];

	if (is_live(&j->entry) && (!is_live(&is) || is.irs != j->entry.irs))
		world_violate(j->w, RULE_forger, "it has ended a connection in the engine");
	if (j->entry.kind == ENTRY_HALF_OPEN && (j->in->flags & TCP_RST) && is.kind == ENTRY_NONE)
		world_violate(j->w, RULE_forger, "it has ended a half-open entry");
	for (unsigned int i = 0; i < j->w->n_out; i++) {
		const struct seg *out = &j->w->out[i].seg;

		if (out->hop == HOP_TO_CLIENT && (out->flags & TCP_RST) && flow < CLIENTS &&
		    c->state == CLIENT_ESTABLISHED && out->seq == c->rcv_nxt)
			world_violate(j->w, RULE_forger, "the client will believe this RST");
	}
}

/* What the flow's worker has been told, before it answers. */
static void
note_syn(struct world *w, unsigned int worker, const struct seg *seg)
{
	struct history *h = &w->model.flows[seg->flow];
	unsigned int k = world_incarnation(w, seg->flow, seg->seq);

	if (!seg_is_syn(seg) || seg->hop != HOP_FROM_CLIENT)
		return;
	h->last_syn[worker] = (struct syn_seen){ .seq = seg->seq,
		                                 .tsval = seg->tsval,
		                                 .mss = seg->mss,
		                                 .options = seg->options,
		                                 .wscale = seg->wscale };
	if (k == INCARNATIONS)
		return;
	h->options[k] |= seg->options;
	if (seg->mss > h->mss[k])
		h->mss[k] = seg->mss;
}

static void
send_out(struct world *w)
{
	for (unsigned int i = 0; i < w->n_out; i++)
		world_send(w, &w->out[i].seg);
	w->n_out = 0;
}

void
judge_receive(struct world *w, unsigned int worker, const struct seg *seg, bool forged)
{
	struct judged j = { .w = w, .worker = worker, .in = seg, .core = w->engines[worker].core };

	note_syn(w, worker, seg);
	w->model.n_segments++;
	if (!w->judges) {
		struct counters was = *core_counters(j.core);

		engine_receive(w, worker, seg);
		j.counters = was;
		judge_opened(&j);
		send_out(w);
		return;
	}
	j.counters = *core_counters(j.core);
	j.usage = core_usage(j.core);
	j.view = core_service_view(j.core, 0);
	j.entry = inside_find(j.core, seg->flow);
	engine_receive(w, worker, seg);
	judge_mode(&j);
	judge_account(&j, 1);
	judge_stateless(&j);
	judge_opened(&j);
	judge_alive(&j);
	judge_spared(&j);
	judge_out(&j);
	if (world_observes(w))
		judge_observed(&j);
	else if (world_hands_off(w))
		judge_untouched(&j);
	else if (worker != world_owner(w, seg->flow))
		judge_stranger(&j);
	if (forged)
		judge_forger(&j);
	send_out(w);
}

void
judge_tick(struct world *w, unsigned int worker)
{
	struct judged j = { .w = w, .worker = worker, .core = w->engines[worker].core };

	if (!w->judges) {
		engine_tick(w, worker, w->model.elapsed_ms);
		send_out(w);
		return;
	}
	j.counters = *core_counters(j.core);
	j.view = core_service_view(j.core, 0);
	engine_tick(w, worker, w->model.elapsed_ms);
	judge_mode(&j);
	judge_account(&j, 0);
	judge_spared(&j);
	judge_out(&j);
	send_out(w);
}

void
judge_core(struct world *w, unsigned int worker)
{
	struct core *core = w->engines[worker].core;
	const struct core *shadow = inside_shadow(core);
	struct core_usage use = core_usage(core);
	uint32_t elapsed_ms = w->model.elapsed_ms, n_left = 1;

	inside_check_tables(w, worker, w->scenario->server_options);
	if (w->violation.is_set)
		return;
	for (unsigned int i = 0; i < DRAIN_STEPS; i++) {
		n_left = use.connections + use.half_open + use.held + use.paths;
		if (shadow != NULL) {
			struct core_usage would = core_usage(shadow);
			n_left += would.connections + would.half_open + would.held + would.paths;
		}
		if (n_left == 0)
			break;
		elapsed_ms += DRAIN_STEP_MS;
		engine_tick(w, worker, elapsed_ms);
		use = core_usage(core);
	}
	w->n_out = 0;
	struct service_view view = core_service_view(core, 0);
	if (n_left != 0)
		world_violate(w, RULE_leak, "left: %u connections, %u half-open, %u held, %u paths",
		              use.connections, use.half_open, use.held, use.paths);
	else if (core_remaining(core) != 0 || core_live(core) != 0 || view.half_open != 0 ||
	         view.connections != 0 || !inside_is_idle(core))
		world_violate(w, RULE_leak, "left in a count, a source or a server");
}
