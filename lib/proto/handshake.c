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
#include "syn_plan.h"
#include "unfinished.h"

_Static_assert(HALF_OPEN_STAGES == SYN_ACK_RETRIES_MAX + 1, "a stage for each SYN-ACK");
_Static_assert(RETRY_MS * ((1u << SYN_ACK_RETRIES_MAX) - 1) < COOKIE_LIFE_MIN_S * 1000u,
               "the last SYN-ACK of an entry still carries a good cookie");

/* What a SYN-ACK says, from a fresh SYN or from its half-open entry. */
struct answer {
	uint32_t iss, irs;
	uint32_t tsval;   /* the client's */
	uint32_t ts_sent; /* ours */
	uint16_t mss;
	uint8_t options;
	uint8_t wscale;
};

static void
syn_ack_fill(const struct core *core, struct packet *p, const struct answer *a, uint8_t mode)
{
	p->seq = a->iss;
	p->ack = a->irs + 1;
	p->tsval = a->ts_sent;
	p->tsecr = a->tsval;
	p->window = syn_ack_window(core, mode);
	p->mss = a->mss;
	p->options = a->options;
	p->wscale = a->wscale;
}

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

static inline struct answer
answer_of(const struct segment *seg, const struct syn_plan *plan)
{
	return (struct answer){
		.iss = seg->found.cookie,
		.irs = seg->seq,
		.tsval = seg->tsval,
		.ts_sent = plan->answer.tsval,
		.mss = plan->answer.mss,
		.options = plan->answer.options,
		.wscale = plan->answer.wscale,
	};
}

static inline void
syn_by_cookie(struct core *core, struct step *step, const struct syn_plan *plan)
{
	const struct segment *seg = step->seg;

	admission_cookie_out(core, step);
	step->state->n_cookies++;
	sum_add(&step->state->syn_ack, 1);
	core_count(core, COUNTER_syn_ack_sent);
	struct packet *p = act_reply_with(core, step, COUNTER_answered_syn_cookie, &plan->answer);
	p->seq = seg->found.cookie;
	p->ack = seg->seq + 1;
	p->tsecr = seg->tsval;
	p->made = NULL; /* laid out afresh: what the straight lane is held against */
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
static void
half_open_fill(struct half_open *h, struct half_open_side *side, const struct segment *seg,
               const struct answer *a, const struct tcp_offer *offer)
{
	h->irs = a->irs;
	h->iss = a->iss;
	h->tsval = a->tsval;
	side->ts_sent = a->ts_sent;
	side->mss = offer->mss;
	side->wscale = offer->wscale;
	side->promised_wscale = a->wscale;
	side->promised_mss = a->mss;
	side->options = a->options;
	side->said = seg->options;
	side->said_wscale = seg->wscale;
}

/* An entry for this SYN; FLOW_NONE if there is no room. */
static uint32_t
half_open_make(struct core *core, struct step *step, const struct answer *a,
               const struct tcp_offer *offer)
{
	const struct segment *seg = step->seg;
	uint32_t number = half_open_take(&core->half_open);

	if (number == FLOW_NONE) {
		core_count(core, COUNTER_half_open_full);
		step->reason = COUNTER_half_open_full;
		return FLOW_NONE;
	}
	uint16_t path = path_get(&core->paths, seg);
	if (path == 0 || !flow_index_insert(&core->index, seg->found.hash, FLOW_HALF_OPEN | number,
	                                    0, &step->at)) {
		core_count(core, path == 0 ? COUNTER_path_full : COUNTER_index_full);
		if (path != 0)
			path_put(&core->paths, path);
		half_open_give(&core->half_open, number);
		return FLOW_NONE;
	}
	core->mutations++;
	struct half_open *h = &core->half_open.entries[number];
	h->flow = seg->flow;
	h->path = path;
	h->service = seg->found.service;
	half_open_fill(h, &core->half_open.sides[number], seg, a, offer);
	const struct source_limits *limits = &core->policy->sources;
	if (limits->half_open_host | limits->half_open_net) {
		struct source_pair pair = source_find(&core->sources, &seg->flow.client, true);
		if (pair.host != NULL && pair.net != NULL) {
			pair.host->n_half_open++;
			pair.net->n_half_open++;
			core->half_open.sides[number].counted = true;
		} else {
			core_count(core, COUNTER_source_full);
			source_settle(&core->sources, pair);
		}
	}
	half_open_wait(&core->half_open, number, 0, (uint32_t)step->now->now_ms + RETRY_MS);
	core_count(core, COUNTER_half_open_made);
	admission_half_open(core, seg->found.service, 1);
	return number;
}

static __attribute__((noinline)) bool
syn_by_state(struct core *core, struct step *step, const struct syn_plan *plan)
{
	struct answer a = answer_of(step->seg, plan);

	if (half_open_make(core, step, &a, &plan->offer) == FLOW_NONE)
		return false;
	core->cookie_out_ms = step->now->now_ms + COOKIE_LIFE_MAX_S * 1000u;
	sum_add(&step->state->syn_ack, 1);
	core_count(core, COUNTER_syn_ack_sent);
	struct packet *p = act_reply(core, step, COUNTER_answered_syn_state, TCP_SYN | TCP_ACK);
	p->ttl = plan->answer.ttl;
	syn_ack_fill(core, p, &a, step->service->mode);
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
	const struct flow *flow = &step->seg->flow;
	struct backend *b = planned(core, step)->backend;

	if (b != NULL && !backend_is(b, &flow->server, flow->server_port_be))
		b = NULL;
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

/* The SYN-ACK of an entry, once more. */
static struct answer
answer_again(const struct half_open *h, const struct half_open_side *side,
             const struct instant *now)
{
	return (struct answer){
		.iss = h->iss,
		.irs = h->irs,
		.tsval = h->tsval,
		.ts_sent = cookie_ts_again(side->ts_sent, now->wall_ms),
		.mss = side->promised_mss,
		.options = side->options,
		.wscale = side->promised_wscale,
	};
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
cannot_tell(const struct answer *a, const struct half_open_side *side)
{
	if ((a->options ^ side->options) & OPTION_TIMESTAMPS)
		return false;
	return !(a->options & OPTION_TIMESTAMPS) ||
	       ((a->ts_sent ^ side->ts_sent) & COOKIE_TS_MASK) == 0;
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
	struct tcp_offer offer = plan->offer;
	struct answer a = answer_of(step->seg, plan);

	if (a.iss == h->iss && cannot_tell(&a, side)) {
		if (side->mss < offer.mss)
			offer.mss = side->mss;
		if (side->wscale < offer.wscale)
			offer.wscale = side->wscale;
	}
	admission_cookie_out(core, step);
	half_open_fill(h, side, step->seg, &a, &offer);
}

void
received_syn(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	uint32_t number = FLOW_NUMBER(step->entry);
	struct half_open *h = &core->half_open.entries[number];
	struct half_open_side *side = &core->half_open.sides[number];

	if (h->irs != seg->seq) {
		/* Its cookie still counts, and data may come before what proves it. */
		admission_cookie_out(core, step);
		core_count(core, COUNTER_half_open_replaced);
		half_open_drop(core, number, step->at);
		step->entry = FLOW_NONE;
		listen_syn(core, step);
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
	struct answer a = answer_again(h, side, step->now);
	sum_add(&step->state->syn_ack, 1);
	core_count(core, COUNTER_syn_ack_sent);
	struct packet *p = act_reply(core, step, COUNTER_answered_syn_state, TCP_SYN | TCP_ACK);
	p->ttl = admission_ttl(core, &seg->flow);
	syn_ack_fill(core, p, &a, step->service->mode);
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

/* SYN-ACK again after 1, 2, 4 ... s while neither cookie mode nor a cap forbids, then expire. */
void
handshake_timers(struct core *core, const struct instant *now, struct actions *out)
{
	uint32_t now_ms = (uint32_t)now->now_ms, number, left = TIMERS_PER_TICK;

	while (left-- > 0 && out->n + CORE_BURST_MAX < out->max &&
	       (number = half_open_due(&core->half_open, now_ms)) != FLOW_NONE) {
		struct half_open *h = &core->half_open.entries[number];
		struct half_open_side *side = &core->half_open.sides[number];
		const struct service *service = core->services[h->service].service;
		unsigned int sent = side->stage + 1u;

		if (service == NULL || sent > core->policy->syn_ack_retries) {
			struct flow_slot at;
			uint32_t tags = core->paths.paths[h->path].tags;
			core_count(core, COUNTER_half_open_expired);
			unfinished_note(core, &h->flow, h->path, false, now);
			if (entry_find(core, &h->flow, tags,
			               flow_hash(&core->hash_key, &h->flow, tags),
			               &at) == (FLOW_HALF_OPEN | number))
				half_open_drop(core, number, at);
			continue;
		}
		half_open_wait(&core->half_open, number, sent, now_ms + (RETRY_MS << sent));
		if (core->services[h->service].cookie_mode ||
		    !admission_reflect(core, core_net(core, &h->flow), now)) {
			core_count(core, COUNTER_syn_ack_capped);
			continue;
		}
		struct packet *p = act_send(core, out, &h->flow, h->path, NULL, SIDE_OUTSIDE,
		                            TCP_SYN | TCP_ACK);
		if (p == NULL)
			continue;
		struct answer a = answer_again(h, side, now);
		core_count(core, COUNTER_syn_ack_sent);
		core_count(core, COUNTER_syn_ack_again);
		p->ttl = admission_ttl(core, &h->flow);
		syn_ack_fill(core, p, &a, service->mode);
	}
}
