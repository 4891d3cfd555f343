/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is let in, and how: watermarks, source budgets, reflection caps, limits behind the
 * handshake. Inside lib/proto only.
 */
#ifndef SYNFRONT_ADMISSION_H
#define SYNFRONT_ADMISSION_H

#include "core_state.h"

struct promise {
	uint16_t mss;
	uint8_t wscale; /* WSCALE_NONE: does none */
	bool sack, timestamps;
	uint8_t ttl; /* as of the server's own SYN-ACKs, see struct packet */
};

/* What may be promised for the destination of a SYN. */
struct promise admission_promise(const struct service *service, const struct backend *backend,
                                 bool is_v4);
/* The TTL of a SYN-ACK that is sent once more, as in a promise. */
uint8_t admission_ttl(const struct core *core, const struct flow *flow);
/* The options that a SYN or SYN-ACK carries; mss 0 if it names none. */
static inline struct tcp_offer
admission_offered(const struct segment *seg)
{
	return (struct tcp_offer){
		.mss = seg->mss,
		.wscale = seg->options & OPTION_WSCALE ? seg->wscale : WSCALE_NONE,
		.sack = seg->options & OPTION_SACK_PERMITTED,
		.timestamps = seg->options & OPTION_TIMESTAMPS,
	};
}

/* The MSS that a SYN stands for (RFC 9293, MUST-15). */
static inline uint16_t
admission_mss(const struct segment *seg)
{
	uint16_t mss = seg->mss != 0 ? seg->mss : mss_default(seg->is_v4);

	return mss > COOKIE_MSS_LEAST ? mss : COOKIE_MSS_LEAST;
}

/* The client's offer, cut to what is promised. */
struct tcp_offer admission_offer(const struct segment *seg, const struct promise *promise);
/* Whether its source is over the budgets that a SYN may be answered with state
 * within. Counts it in the SYN rates. */
bool admission_over_budget(struct core *core, struct step *step);
/* Whether this SYN must be answered without state. */
static inline bool
admission_wants_cookie(struct core *core, struct step *step)
{
	/* In cookie mode no budget can change the answer. */
	if (step->state->cookies == COOKIES_ALWAYS || step->state->cookie_mode)
		return true;
	return step->state->cookies != COOKIES_NEVER && admission_over_budget(core, step);
}
/*
 * The watermarks, looked at in these two places alone. Entering: when half-open
 * entries reach the high one. Leaving: once a second, when half-open entries and
 * that second's unanswered cookies together are no more than the low one, so
 * that a flood that goes on keeps the mode on, though its entries have expired.
 */
void admission_half_open(struct core *core, uint16_t service, int change);
void admission_second(struct core *core, uint16_t service);
/* Whether the port's budget has room; a quarter of it is kept for nets that lately
 * completed a connection. */
bool admission_reflect_port(struct core *core, uint64_t net, uint32_t now_ms);
/* A generated answer to an unproven source of this net (source_net_hash()): false if
 * over the cap. */
static inline bool
admission_reflect(struct core *core, uint64_t net, const struct instant *now)
{
	uint32_t now_ms = (uint32_t)now->now_ms, cap = core->reflect_cap;

	/* Only what is answered counts. So the cap holds from the first second on (answers
	 * drawn by lot exceed it until the flood's rate is known, and each pause makes it
	 * unknown again), and room for another opens all the time, for a retry to find. */
	if (cap != 0 && rate_hit_up_to(&core->reflection, net, now_ms, cap) > cap)
		return false;
	return core->policy->reflection.per_port_per_s == 0 ||
	       admission_reflect_port(core, net, now_ms);
}
/* A SYN-ACK leaves of which nothing is kept: until when its cookie counts. */
static inline void
admission_cookie_out(struct core *core, struct step *step)
{
	uint64_t dies_ms = step->now->now_ms + COOKIE_LIFE_MAX_S * 1000u;

	core->cookie_out_ms = dies_ms;
	step->state->cookies_until_ms = dies_ms;
	if (core->params.cookies_until_s != NULL) {
		uint32_t *until_s = &core->params.cookies_until_s[step->seg->found.service];
		uint32_t dies_s = (uint32_t)(dies_ms / 1000) + 1;
		/* Once a second. */
		if (__atomic_load_n(until_s, __ATOMIC_RELAXED) < dies_s)
			__atomic_store_n(until_s, dies_s, __ATOMIC_RELAXED);
	}
}
uint64_t core_net(const struct core *core, const struct flow *flow);
static inline bool
admission_counts_sources(const struct core *core)
{
	const struct source_limits *limits = &core->policy->sources;

	return (limits->connections_host | limits->connections_net | limits->new_per_s_host |
	        limits->new_per_s_net) != 0;
}

/* Has a service limits of its own behind the handshake? */
static inline bool
admission_limits(const struct service *service)
{
	return (service->max_connections | service->max_new_per_s | service->max_connecting) != 0;
}

enum counter admission_over_any(struct core *core, const struct step *step,
                                const struct backend *backend);
/* Limits after the handshake: COUNTER_COUNT, or the counter of what is exceeded. */
static inline enum counter
admission_over(struct core *core, const struct step *step, const struct backend *backend)
{
	if (!step->state->is_limited)
		return COUNTER_COUNT;
	return admission_over_any(core, step, backend);
}

/* Count a connection in its source prefixes. */
void admission_count_source(struct core *core, struct conn *conn);

/* ... and in its service. */
static inline void
admission_count(struct core *core, const struct step *step, struct conn *conn)
{
	struct service_state *state = step->state;
	uint32_t second = core->sources.now_s;

	if (state->second != second) {
		state->second = second;
		state->n_new = 0;
	}
	state->n_new++;
	sum_add(&state->opened, 1);
	if (state->is_limited && admission_counts_sources(core))
		admission_count_source(core, conn);
}

#endif
