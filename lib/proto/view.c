/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at a core from outside. */
#include "core.h"

#include "connect.h"
#include "entry.h"
#include "observe.h"
#include "talkers.h"

const struct counters *
core_counters(const struct core *core)
{
	return &core->counters;
}

const struct counters *
core_would(const struct core *core)
{
	return core->observer != NULL ? &core->observer->shadow->counters : NULL;
}

struct counters *
core_counters_own(struct core *core)
{
	return &core->counters;
}

const struct core_params *
core_params(const struct core *core)
{
	return &core->params;
}

const struct policy *
core_policy(const struct core *core)
{
	return core->policy;
}

#define READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

struct core_usage
core_usage(const struct core *core)
{
	return (struct core_usage){
		.connections = READ(core->conns.used),
		.half_open = READ(core->half_open.used),
		.backends = READ(core->backends.used),
		.paths = READ(core->paths.used),
		.sources = READ(core->sources.used),
		.held = READ(core->pending.used),
	};
}

struct service_view
core_service_view(const struct core *core, uint16_t service)
{
	const struct service_state *s = &core->services[service];
	struct service_view view = {
		.cookie_mode = READ(s->cookie_mode),
		.half_open = READ(s->half_open),
		.connections = READ(s->connections),
		.syn = READ(s->syn),
		.syn_ack = READ(s->syn_ack),
		.opened = READ(s->opened),
		.refused = READ(s->refused),
		.is_observed = READ(s->mode) == MODE_OBSERVED,
	};

	if (core->observer == NULL)
		return view;
	const struct service_view would = core_service_view(core->observer->shadow, service);
	view.syn += would.syn;
	view.would_syn_ack = would.syn_ack;
	view.would_opened = would.opened;
	view.would_refused = would.refused;
	if (view.is_observed) {
		view.cookie_mode = would.cookie_mode;
		view.half_open = would.half_open;
		view.connections = would.connections;
	}
	return view;
}

uint32_t
core_connection_bound(const struct core *core)
{
	return core->conns.fresh;
}

/* Seconds from `ms` to `end_ms`, begun ones too. */
static uint64_t
seconds_left(uint64_t end_ms, uint64_t ms)
{
	return end_ms > ms ? (end_ms - ms + 999) / 1000 : 0;
}

/* When the state of a connection ends by itself, in seconds from now. */
static uint16_t
connection_expires_s(const struct core *core, uint32_t number, const struct instant *now)
{
	const struct conn *conn = &core->conns.conns[number];
	struct flow_slot at;

	/* Its record's clock ends it: the index only remembers that it is there. */
	if (conn->state == CONN_CONNECTING)
		return (uint16_t)seconds_left(connect_end_ms(core, conn), now->now_ms);
	if (!conn_find_slot(core, number, &at))
		return 0;
	int16_t left = (int16_t)(core->index.buckets[at.bucket].deadline[at.slot] -
	                         clock_s(now, 0));
	return left > 0 ? (uint16_t)left : 0;
}

bool
core_connection_view(const struct core *core, uint32_t number, const struct instant *now,
                     struct connection_view *view)
{
	if (number >= core->conns.fresh)
		return false;
	const struct conn *conn = &core->conns.conns[number];

	memset(view, 0, sizeof(*view));
	view->state = conn->state;
	if (conn->state == CONN_FREE)
		return true;
	view->flow = conn->flow;
	view->service = core->conns.sides[number].service;
	view->expires_s = connection_expires_s(core, number, now);
	return true;
}

uint32_t
core_backend_bound(const struct core *core)
{
	return core->backends.capacity;
}

bool
core_down_backend(const struct core *core, uint32_t number, struct backend_view *view)
{
	const struct backend *b = &core->backends.backends[number];

	/* Of the others many are ports on which nothing ever listened, and that somebody scans. */
	if (b->port_be == 0 || !b->down || !b->known)
		return false;
	*view = (struct backend_view){ .addr = b->addr, .port_be = b->port_be };
	return true;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
core_next_ms(const struct core *core, const struct instant *now)
{
	uint64_t second = now->now_ms / 1000, next = now->now_ms + CORE_QUIET_MAX_MS;
	uint32_t index_s = flow_index_left(&core->index, clock_s(now, 0));
	uint32_t half_open_ms = half_open_left(&core->half_open, (uint32_t)now->now_ms);

	for (uint32_t i = 0; i < core->policy->n_services; i++) {
		const struct service_state *s = &core->services[core->policy->services[i].id];
		if (s->cookie_mode || s->n_cookies != 0 || s->n_calm != 0)
			next = earlier(next, (second + 1) * 1000);
	}
	if (index_s != UINT32_MAX)
		next = earlier(next, (second + index_s) * 1000);
	if (half_open_ms != UINT32_MAX)
		next = earlier(next, now->now_ms + half_open_ms);
	next = earlier(next, pending_next_ms(&core->pending));
	if (core->observer != NULL)
		next = earlier(next, core_next_ms(core->observer->shadow, now));
	return next > now->now_ms ? next : now->now_ms;
}

bool
core_talk(const struct core *core, uint32_t number, bool would, struct core_talk *talk)
{
	if (would && core->observer == NULL)
		return false;
	if (would)
		core = core->observer->shadow;
	return talkers_copy(&core->talkers->talks[number], talk);
}
