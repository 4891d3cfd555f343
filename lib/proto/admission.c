/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is let in, and how: watermarks, source budgets, reflection caps, limits
 * behind the handshake. Limits before the proof cost quality (a cookie instead
 * of state), never admission; only the reflection cap may.
 */
#include "admission.h"

/* What an Ethernet carries. */
#define MSS_ETHERNET_V4 1460u
#define MSS_ETHERNET_V6 1440u

struct promise
admission_promise(const struct service *service, const struct backend *backend, bool is_v4)
{
	if (service->mode == MODE_HANDOFF)
		return (struct promise){
			.mss = (uint16_t)(is_v4 ? service->promise.mss : service->promise.mss6),
			.wscale = service->promise.window_scaling ? (uint8_t)service->promise.wscale
			                                          : WSCALE_NONE,
			.sack = service->promise.sack,
			.timestamps = service->promise.timestamps,
		};
	if (service->mode == MODE_RESPOND)
		return (struct promise){ .mss = is_v4 ? MSS_ETHERNET_V4 : MSS_ETHERNET_V6,
			                 .wscale = PROMISE_WSCALE,
			                 .timestamps = true };
	/* What can be kept whatever the server turns out to do: scales are
	 * converted, SACK is stripped, timestamps could be neither. */
	struct promise promise = { .mss = mss_default(is_v4),
		                   .wscale = PROMISE_WSCALE,
		                   .sack = true };

	if (backend == NULL || !backend->known)
		return promise;
	promise.ttl = backend_ttl(backend);
	/* It may have answered nothing but bare SYNs: each option for itself. */
	if (backend->mss != 0)
		promise.mss = backend->mss;
	if (backend->settled & OPTION_WSCALE)
		promise.wscale = backend->wscale;
	if (backend->settled & OPTION_SACK_PERMITTED)
		promise.sack = backend->sack;
	promise.timestamps = backend->timestamps;
	return promise;
}

uint8_t
admission_ttl(const struct core *core, const struct flow *flow)
{
	uint32_t number = backend_look(&core->backends, &flow->server, flow->server_port_be);
	const struct backend *b = backend_at(&core->backends, number);

	return b != NULL ? backend_ttl(b) : 0;
}

struct tcp_offer
admission_offer(const struct segment *seg, const struct promise *promise)
{
	struct tcp_offer offer = {
		.mss = admission_mss(seg),
		.wscale = WSCALE_NONE,
	};

	if ((seg->options & OPTION_WSCALE) && promise->wscale != WSCALE_NONE)
		offer.wscale = seg->wscale;
	offer.sack = (seg->options & OPTION_SACK_PERMITTED) && promise->sack;
	offer.timestamps = (seg->options & OPTION_TIMESTAMPS) && promise->timestamps;
	return offer;
}

/* Over the SYN rate of its host or net? Counts this SYN in both. */
static bool
syn_rate_exceeded(struct core *core, const struct segment *seg, uint32_t now_ms)
{
	const struct source_limits *limits = &core->policy->sources;
	bool over = false;

	if (limits->syn_per_s_host != 0)
		over |= rate_hit(&core->syn_rate,
		                 source_host_hash(&core->hash_key, &seg->flow.client),
		                 now_ms) > limit_share(core, limits->syn_per_s_host);
	if (limits->syn_per_s_net != 0)
		over |= rate_hit(&core->syn_rate,
		                 source_net_hash(&core->hash_key, &seg->flow.client),
		                 now_ms) > limit_share(core, limits->syn_per_s_net);
	return over;
}

/* Is it to take the place of an entry that counts for the same source? */
static bool
takes_place(const struct core *core, const struct step *step)
{
	return step->entry != FLOW_NONE && (step->entry & FLOW_HALF_OPEN) &&
	       core->half_open.sides[FLOW_NUMBER(step->entry)].counted;
}

bool
admission_over_budget(struct core *core, struct step *step)
{
	const struct source_limits *limits = &core->policy->sources;
	const struct segment *seg = step->seg;

	if (syn_rate_exceeded(core, seg, (uint32_t)step->now->now_ms))
		return true;
	if ((limits->half_open_host | limits->half_open_net) == 0)
		return false;
	struct source_pair pair = source_find(&core->sources, &seg->flow.client, false);
	uint32_t own = takes_place(core, step);
	return (pair.host != NULL && limits->half_open_host != 0 &&
	        pair.host->n_half_open >= own + limit_share(core, limits->half_open_host)) ||
	       (pair.net != NULL && limits->half_open_net != 0 &&
	        pair.net->n_half_open >= own + limit_share(core, limits->half_open_net));
}

void
admission_half_open(struct core *core, uint16_t id, int change)
{
	struct service_state *state = &core->services[id];
	const struct service *service = state->service;
	uint32_t count = state->half_open + (uint32_t)change;

	__atomic_store_n(&state->half_open, count, __ATOMIC_RELAXED);
	if (service == NULL || service->cookies != COOKIES_AUTO || state->cookie_mode ||
	    change < 0 || count < limit_share(core, service->high))
		return;
	__atomic_store_n(&state->cookie_mode, true, __ATOMIC_RELAXED);
	core_count(core, COUNTER_cookie_mode_entered);
}

void
admission_second(struct core *core, uint16_t id)
{
	struct service_state *state = &core->services[id];
	const struct service *service = state->service;
	uint32_t unanswered = state->half_open + state->n_cookies;

	state->n_cookies = 0;
	if (!state->cookie_mode)
		return;
	/* What would be half-open now if there were state for it. */
	if (service != NULL && service->cookies == COOKIES_AUTO &&
	    unanswered > service->low / core->params.n_workers)
		return;
	__atomic_store_n(&state->cookie_mode, false, __ATOMIC_RELAXED);
	core_count(core, COUNTER_cookie_mode_left);
}

uint64_t
core_net(const struct core *core, const struct flow *flow)
{
	return source_net_hash(&core->hash_key, &flow->client);
}

bool
admission_reflect_port(struct core *core, uint64_t net, uint32_t now_ms)
{
	uint32_t budget = core->policy->reflection.per_port_per_s;

	if (bucket_take(&core->port_bucket, budget - budget / 4, now_ms))
		return true;
	return recent_has(&core->proven, net) &&
	       bucket_take(&core->proven_bucket, budget / 4, now_ms);
}

static bool
source_over(struct core *core, struct source *source, uint32_t max_conns, uint32_t max_new,
            enum counter *why)
{
	if (source == NULL)
		return false;
	if (max_conns != 0 && source->n_conns >= limit_share(core, max_conns))
		*why = COUNTER_limit_source_connections;
	else if (max_new != 0 && source_new(&core->sources, source) >= limit_share(core, max_new))
		*why = COUNTER_limit_source_new;
	return *why != COUNTER_COUNT;
}

static enum counter
service_over(const struct core *core, const struct step *step, const struct backend *b)
{
	const struct service *service = step->service;
	const struct service_state *state = step->state;
	uint32_t n_new = state->second == core->sources.now_s ? state->n_new : 0;

	if (service->max_connections != 0 &&
	    state->connections >= limit_share(core, service->max_connections))
		return COUNTER_limit_service_connections;
	if (service->max_new_per_s != 0 && n_new >= limit_share(core, service->max_new_per_s))
		return COUNTER_limit_service_new;
	if (b != NULL && service->max_connecting != 0 &&
	    b->n_connecting >= limit_share(core, service->max_connecting))
		return COUNTER_limit_connecting;
	return COUNTER_COUNT;
}

enum counter
admission_over_any(struct core *core, const struct step *step, const struct backend *backend)
{
	const struct source_limits *limits = &core->policy->sources;
	enum counter why = service_over(core, step, backend);

	if (why != COUNTER_COUNT || !admission_counts_sources(core))
		return why;
	struct source_pair pair = source_find(&core->sources, &step->seg->flow.client, false);
	if (!source_over(core, pair.host, limits->connections_host, limits->new_per_s_host, &why))
		source_over(core, pair.net, limits->connections_net, limits->new_per_s_net, &why);
	return why;
}

void
admission_count_source(struct core *core, struct conn *conn)
{
	struct source_pair pair = source_find(&core->sources, &conn->flow.client, true);
	if (pair.host == NULL || pair.net == NULL) {
		core_count(core, COUNTER_source_full);
		source_settle(&core->sources, pair);
		return;
	}
	pair.host->n_conns++;
	pair.net->n_conns++;
	source_add_new(&core->sources, pair.host);
	source_add_new(&core->sources, pair.net);
	conn->flags |= CONN_COUNTED;
}
