/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYNs and their SYN-ACKs: LISTEN, SYN-RECEIVED and what follows a connection
 * on the same ports. Every ISS sent from here is a valid cookie, so an entry
 * can be lost at any time. What comes back is proof.c's.
 */
#include "handshake.h"

#include "act.h"
#include "admission.h"
#include "admit.h"
#include "entry.h"
#include "incarnation.h"
#include "pass.h"
#include "signed.h"
#include "syn_again.h"
#include "syn_plan.h"

/* Plan and ISS of a SYN that core_locate() did not make them for. */
static __attribute__((noinline)) void
plan_late(struct core *core, struct step *step)
{
	struct segment *seg = step->seg;
	struct syn_plan_memo memo = { .stamp = syn_plan_stamp(core, step->now),
		                      .burst = core->n_bursts,
		                      .next = &core->plans[CORE_BURST_MAX] };
	struct syn_planned *syn = &core->syns[step->number];
	const struct syn_plan *plan = syn_plan_make(core, seg, step->state, step->now, &memo, syn);
	struct cookie_job job = {
		.flow = &seg->flow,
		.irs = seg->seq,
		.profile = plan->profile,
		.parity = service_secrets(step->state, step->now)->epoch & 1,
		.is_v4 = seg->is_v4,
	};
	cookie_make(service_secrets(step->state, step->now), &job, 1);
	seg->found.cookie = job.iss;
	seg->found.profile = plan->profile;
	syn->net = core_net(core, &seg->flow);
}

static inline const struct syn_planned *
planned(struct core *core, struct step *step)
{
	if (__builtin_expect(step->seg->found.profile == PROFILE_UNMADE, 0))
		plan_late(core, step);
	return &core->syns[step->number];
}

/* The SYN-ACK that a SYN is planned to be answered with. */
static inline struct packet *
syn_ack(struct core *core, struct step *step, const struct syn_plan *plan, enum counter outcome)
{
	const struct segment *seg = step->seg;

	sum_add(&step->state->syn_ack, 1);
	core_count(core, COUNTER_syn_ack_sent);
	struct packet *p = act_reply_with(core, step, outcome, &plan->answer);
	p->seq = seg->found.cookie;
	p->ack = seg->seq + 1;
	p->tsecr = seg->tsval;
	return p;
}

static inline void
syn_by_cookie(struct core *core, struct step *step, const struct syn_plan *plan)
{
	admission_cookie_out(core, step);
	step->state->n_cookies++;
	/* Laid out afresh: what the straight lane is held against. */
	syn_ack(core, step, plan, COUNTER_answered_syn_cookie)->made = NULL;
}

void
handshake_syn_by_cookie(struct core *core, struct step *step)
{
	syn_by_cookie(core, step, planned(core, step)->plan);
}

void
handshake_syn_under_caps(struct core *core, struct step *step)
{
	const struct syn_planned *syn = planned(core, step);

	if (admission_reflect(core, syn->net, step->now))
		syn_by_cookie(core, step, syn->plan);
	else
		act_drop(core, step, COUNTER_drop_reflection);
}

/* What an entry knows of its SYN and of the SYN-ACK. */
static inline void
half_open_fill(struct half_open *h, struct half_open_side *side, const struct segment *seg,
               const struct syn_plan *plan)
{
	h->irs = seg->seq;
	h->iss = seg->found.cookie;
	h->tsval = seg->tsval;
	side->ts_sent = plan->answer.tsval;
	side->mss = plan->offer.mss;
	side->wscale = plan->offer.wscale;
	side->promised_wscale = plan->answer.wscale;
	side->promised_mss = plan->answer.mss;
	side->options = plan->answer.options;
	side->said = seg->options;
	side->said_wscale = seg->wscale;
}

/* Are sources limited in how many half-open entries they have? */
static inline bool
half_opens_are_counted(const struct core *core)
{
	const struct source_limits *limits = &core->policy->sources;

	return (limits->half_open_host | limits->half_open_net) != 0;
}

static void
half_open_count_source(struct core *core, const struct segment *seg, struct half_open_side *side)
{
	struct source_pair pair = source_find(&core->sources, &seg->flow.client, true);

	if (pair.host != NULL && pair.net != NULL) {
		pair.host->n_half_open++;
		pair.net->n_half_open++;
		side->counted = true;
	} else {
		core_count(core, COUNTER_source_full);
		source_settle(&core->sources, pair);
	}
}

/* It is in the index and has its path: what says it, and its SYN-ACK, which leaves. */
static inline void
half_open_begin(struct core *core, struct step *step, uint32_t number, const struct syn_plan *plan)
{
	const struct segment *seg = step->seg;
	struct half_open_side *side = &core->half_open.sides[number];

	half_open_fill(&core->half_open.entries[number], side, seg, plan);
	if (half_opens_are_counted(core) && !side->counted)
		half_open_count_source(core, seg, side);
	half_open_wait(&core->half_open, number, 0, (uint32_t)step->now->now_ms + RETRY_MS);
	core_count(core, COUNTER_half_open_made);
	core->cookie_out_ms = step->now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	syn_ack(core, step, plan, COUNTER_answered_syn_state);
}

/* An entry for this SYN; false if there is no room. */
static __attribute__((noinline)) bool
syn_by_state(struct core *core, struct step *step, const struct syn_plan *plan)
{
	const struct segment *seg = step->seg;
	uint32_t number = half_open_take(&core->half_open);

	if (number == FLOW_NONE) {
		core_count(core, COUNTER_half_open_full);
		step->reason = COUNTER_half_open_full;
		return false;
	}
	uint16_t path = path_get(&core->paths, seg);
	if (path == 0 || !flow_index_insert(&core->index, seg->found.hash, FLOW_HALF_OPEN | number,
	                                    0, &step->at)) {
		core_count(core, path == 0 ? COUNTER_path_full : COUNTER_index_full);
		if (path != 0)
			path_put(&core->paths, path);
		half_open_give(&core->half_open, number);
		return false;
	}
	core->mutations++;
	struct half_open *h = &core->half_open.entries[number];
	h->flow = seg->flow;
	h->path = path;
	h->service = seg->found.service;
	half_open_begin(core, step, number, plan);
	admission_half_open(core, seg->found.service, 1);
	return true;
}

static __attribute__((noinline)) void
refuse(struct core *core, struct step *step, enum refusal how, enum counter dropped)
{
	sum_add(&step->state->refused, 1);
	step->reason = (uint8_t)dropped;
	if (how == REFUSE_RESET)
		act_reset(core, step);
	/* Followed, so that the answer is let through. */
	else if (how == REFUSE_PASS &&
	         bucket_take(&core->pass_bucket, PASSES_PER_S, (uint32_t)step->now->now_ms) &&
	         pass_begin(core, step, false))
		act_forward(core, step, COUNTER_passed_closed);
	else
		act_drop(core, step, dropped);
}

/* The server of a SYN, if it is known. */
static inline struct backend *
server_planned(struct core *core, struct step *step)
{
	const struct flow *flow = &step->seg->flow;
	struct backend *b = planned(core, step)->backend;

	return b != NULL && backend_is(b, &flow->server, flow->server_port_be) ? b : NULL;
}

/*
 * True if the SYN has been dealt with on the way to or on behalf of its server. To one that is
 * down none passes: who sends a SYN that its server does not answer (from a forged address, with
 * a source route or a short life) would take the turn of who would get an answer. It is answered
 * here while a client of its net may try the server, and the one who proves itself does. Where
 * nobody has ever answered, most likely no server is: there such a SYN passes, so that its sender
 * is told by whoever is there that the port is closed.
 */
static __attribute__((noinline)) bool
syn_to_server(struct core *core, struct step *step)
{
	uint32_t now_s = instant_s(step->now);
	struct backend *b = server_planned(core, step);

	if (b != NULL && b->down && !core->draining) {
		uint32_t net = (uint32_t)planned(core, step)->net,
			 every_s = core->policy->timeouts.probe;

		if (!backend_may_probe(b, net, now_s, every_s)) {
			refuse(core, step, core->policy->closed_port, COUNTER_drop_backend_down);
			return true;
		}
		if (b->known)
			return false;
		backend_probe(b, net, now_s, every_s);
	}
	if (!syn_passes(core, step, b))
		return false;
	act_forward(core, step, COUNTER_passed_syn);
	return true;
}

/* Denied to its source, or with a signature: true if that has settled it. */
static __attribute__((noinline)) bool
syn_is_special(struct core *core, struct step *step)
{
	const struct service *service = step->service;

	if (!admits(core, service, &step->seg->flow.client)) {
		refuse(core, step, service->denied, COUNTER_drop_denied);
		return true;
	}
	if (step->seg->options & (OPTION_MD5 | OPTION_AO)) {
		signed_syn(core, step);
		return true;
	}
	return false;
}

/* May such a one be refused in a way that lets it pass? */
static bool
special_may_pass(const struct core *core, const struct service_state *state,
                 const struct segment *seg)
{
	const struct service *service = state->service;

	if (state->is_listed && !admits(core, service, &seg->flow.client))
		return service->denied == REFUSE_PASS;
	return (seg->options & (OPTION_MD5 | OPTION_AO)) && service->signed_syn == REFUSE_PASS;
}

bool
handshake_answers_anywhere(struct core *core, const struct service_state *state,
                           const struct segment *seg, const struct instant *now)
{
	struct backend *b;

	/* With state, or to the server: where the rest of the connection will be looked for. */
	if ((!state->cookie_mode && state->cookies != COOKIES_ALWAYS) || core->draining ||
	    special_may_pass(core, state, seg))
		return false;
	if (state->mode != MODE_PROXY)
		return state->mode == MODE_RESPOND;
	b = backend_at(&core->backends,
	               backend_find(&core->backends, &seg->flow.server, seg->flow.server_port_be,
	                            false, instant_s(now)));
	return !syn_may_pass(core, state, b, seg, now);
}

/* With state; without, if there is no room and the service allows it. */
static __attribute__((noinline)) void
syn_admit(struct core *core, struct step *step, const struct syn_plan *plan)
{
	if (syn_by_state(core, step, plan))
		return;
	if (step->service->cookies == COOKIES_NEVER)
		refuse(core, step, step->service->overload, COUNTER_drop_overload);
	else
		syn_by_cookie(core, step, plan);
}

void
listen_syn(struct core *core, struct step *step)
{
	core_count(core, COUNTER_syn_received);
	sum_add(&step->state->syn, 1);
	if (__builtin_expect(
		    step->state->is_listed || (step->seg->options & (OPTION_MD5 | OPTION_AO)), 0) &&
	    syn_is_special(core, step))
		return;
	if (step->state->mode == MODE_PROXY && syn_to_server(core, step))
		return;
	const struct syn_planned *syn = planned(core, step);
	if (!admission_reflect(core, syn->net, step->now))
		act_drop(core, step, COUNTER_drop_reflection);
	/* One for each flow: what is TRACKED there may be a handshake under way (track.c). */
	else if (step->entry != FLOW_NONE || admission_wants_cookie(core, step))
		syn_by_cookie(core, step, syn->plan);
	else
		syn_admit(core, step, syn->plan);
}

/* Does this SYN, of the entry's ISS, offer what the one before it did? */
static inline bool
says_the_same(const struct segment *seg, const struct half_open_side *side)
{
	return seg->options == side->said && seg->wscale == side->said_wscale &&
	       admission_mss(seg) == side->mss;
}

/* Would the ACK of this SYN-ACK look like that of the entry's, if they have one ISS? */
static bool
cannot_tell(const struct packet *answer, const struct half_open_side *side)
{
	if ((answer->options ^ side->options) & OPTION_TIMESTAMPS)
		return false;
	return !(answer->options & OPTION_TIMESTAMPS) ||
	       ((answer->tsval ^ side->ts_sent) & COOKIE_TS_MASK) == 0;
}

/*
 * A client that offers less when nothing has come back means it, and its last SYN is what it
 * goes by. Its SYN-ACKs differ in their ISS if they differ in what the cookie holds, and the
 * client may still acknowledge an earlier one, or anybody may have forged the SYN: then the
 * cookie of the one that is acknowledged says what was agreed. Where two share an ISS, and
 * no TSval tells them apart, no more is kept than both offers cover.
 */
static __attribute__((noinline)) void
half_open_plan_again(struct core *core, struct step *step, struct half_open *h,
                     struct half_open_side *side)
{
	const struct syn_plan *plan = planned(core, step)->plan;
	uint16_t mss = UINT16_MAX;
	uint8_t wscale = WSCALE_NONE;

	if (step->seg->found.cookie == h->iss && cannot_tell(&plan->answer, side)) {
		mss = side->mss;
		wscale = side->wscale;
	}
	admission_cookie_out(core, step);
	half_open_fill(h, side, step->seg, plan);
	if (mss < side->mss)
		side->mss = mss;
	if (wscale < side->wscale)
		side->wscale = wscale;
}

/*
 * Is what becomes of a SYN of another ISS nothing but another entry in the place of this one, if no
 * cap or budget is against it? Anybody can forge such SYNs: of a flood of them none shall cost what
 * taking the entry out of everything and making it again does.
 */
static inline bool
half_open_may_stay(struct core *core, struct step *step, const struct half_open *h,
                   const struct half_open_side *side)
{
	const struct service_state *state = step->state;
	const struct segment *seg = step->seg;

	return !state->is_listed && !(seg->options & (OPTION_MD5 | OPTION_AO)) &&
	       h->service == seg->found.service &&
	       (!side->counted || half_opens_are_counted(core)) &&
	       path_is(&core->paths.paths[h->path], emit_envelope(seg, true)) &&
	       (state->mode != MODE_PROXY ||
	        !syn_may_pass(core, state, server_planned(core, step), seg, step->now));
}

/* A SYN of another ISS than its entry's. */
static __attribute__((noinline)) void
received_restart(struct core *core, struct step *step, struct half_open *h,
                 struct half_open_side *side)
{
	uint32_t number = FLOW_NUMBER(step->entry);
	bool stays = half_open_may_stay(core, step, h, side);

	/* Its cookie still counts, and data may come before what proves it. */
	admission_cookie_out(core, step);
	core_count(core, COUNTER_half_open_replaced);
	if (!stays) {
		half_open_drop(core, number, step->at);
		step->entry = FLOW_NONE;
		listen_syn(core, step);
		return;
	}
	core_count(core, COUNTER_syn_received);
	sum_add(&step->state->syn, 1);
	const struct syn_planned *syn = planned(core, step);
	bool is_capped = !admission_reflect(core, syn->net, step->now);
	if (!is_capped && !admission_wants_cookie(core, step)) {
		half_open_begin(core, step, number, syn->plan);
		admission_half_open(core, h->service, 0);
		return;
	}
	half_open_drop(core, number, step->at);
	step->entry = FLOW_NONE;
	if (is_capped)
		act_drop(core, step, COUNTER_drop_reflection);
	else
		syn_by_cookie(core, step, syn->plan);
}

void
received_syn(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	uint32_t number = FLOW_NUMBER(step->entry);
	struct half_open *h = &core->half_open.entries[number];
	struct half_open_side *side = &core->half_open.sides[number];

	if (h->irs != seg->seq) {
		received_restart(core, step, h, side);
		return;
	}
	core_count(core, COUNTER_syn_received);
	sum_add(&step->state->syn, 1);
	if (!admission_reflect(core, core_net(core, &seg->flow), step->now)) {
		act_drop(core, step, COUNTER_drop_reflection);
		return;
	}
	if (__builtin_expect(says_the_same(seg, side), 1))
		h->tsval = seg->tsval;
	else
		half_open_plan_again(core, step, h, side);
	sum_add(&step->state->syn_ack, 1);
	core_count(core, COUNTER_syn_ack_sent);
	struct packet *p = act_reply(core, step, COUNTER_answered_syn_state, TCP_SYN | TCP_ACK);
	syn_again_fill(core, p, h, side, step->now, step->service->mode);
}

void
spent_syn(struct core *core, struct step *step)
{
	/* A client whose ISS does not grow gets its turn all the same. Of a closing one nothing
	 * else may change, since anybody can forge the SYN. */
	incarnation_syn(conn_of(core, step->entry), &core->conns.sides[step->entry],
	                step->seg->seq);
	core_count(core, COUNTER_syn_received);
	sum_add(&step->state->syn, 1);
	if (step->service->mode == MODE_PROXY && core->draining)
		act_reset(core, step);
	else if (!admission_reflect(core, core_net(core, &step->seg->flow), step->now))
		act_drop(core, step, COUNTER_drop_reflection);
	else
		handshake_syn_by_cookie(core, step);
}
