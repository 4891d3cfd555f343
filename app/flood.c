/* SPDX-License-Identifier: BSD-3-Clause */
#include "flood.h"

#include <string.h>

#include "prefix_text.h"
#include "stats.h"
#include "talkers_top.h"

/* A rate over less than this would be chance. */
#define RATE_MS 200u

unsigned int
flood_prefixes(const struct plane *plane, const struct service *service,
               struct event_prefix *prefixes)
{
	static struct talker list[EVENT_PREFIXES_MAX];
	unsigned int n = talkers_of_service(plane, service->id, list, EVENT_PREFIXES_MAX);

	for (unsigned int i = 0; i < n; i++) {
		conf_format_prefix(&list[i].prefix, prefixes[i].text);
		prefixes[i].percent = list[i].share * 100;
	}
	return n;
}

/* What came since the rates were last worked out, per second. */
static uint32_t
rate_of(const struct flood_service *f, uint64_t syns, uint64_t gone_ms)
{
	return (uint32_t)((syns - f->syns) * 1000 / gone_ms);
}

/* In cookie mode, at `now_ms`; a flood begins if none is under way. */
static void
see(struct flood_service *f, const struct service_view *view, bool is_calm, uint64_t now_ms)
{
	if (is_calm && !f->is_owed) {
		f->begun_ms = now_ms;
		f->syns_begin = view->syn;
		f->is_owed = true;
	}
	f->seen_ms = now_ms;
	f->syns_seen = view->syn;
	f->is_seen = true;
}

/* No longer, for now. What the talkers know of it is forgotten before it is known to be over. */
static void
lapse(struct flood_service *f, const struct plane *plane, const struct service *s)
{
	f->n_prefixes = flood_prefixes(plane, s, f->prefixes);
	f->is_seen = false;
}

static void
begin(struct event *e, const struct service *s, const struct service_view *view,
      struct flood_service *f, struct events *events)
{
	f->rate_max = f->rate;
	event_u64(e, "syn_per_s", f->rate);
	event_u64(e, "observe", view->is_observed);
	if (view->is_observed) {
		events_send(events, e, CONF_LOG_NOTICE,
		            "service %s: would enter cookie mode (observe), %u SYN/s", s->name,
		            f->rate);
	} else if (s->mode == MODE_HANDOFF) {
		events_send(events, e, CONF_LOG_NOTICE, "service %s: enters cookie mode, %u SYN/s",
		            s->name, f->rate);
	} else {
		event_u64(e, "half_open", view->half_open);
		events_send(events, e, CONF_LOG_NOTICE,
		            "service %s: enters cookie mode, %u half-open entries, %u SYN/s",
		            s->name, view->half_open, f->rate);
	}
}

/* It lasted until cookie mode was last seen, and what came later is no part of it. */
static void
end(struct event *e, const struct service *s, const struct service_view *view,
    const struct flood_service *f, struct events *events, uint64_t now_ms)
{
	uint64_t calm_ms = now_ms - f->seen_ms;

	e->lasted_ms = f->seen_ms - f->begun_ms;
	event_u64(e, "syns", f->syns_seen - f->syns_begin);
	event_u64(e, "syn_per_s_max", f->rate_max);
	event_u64(e, "calm_ms", calm_ms);
	event_u64(e, "observe", view->is_observed);
	events_send(events, e, CONF_LOG_NOTICE,
	            "service %s: %s cookie mode%s after %.0f s, %.0f s ago", s->name,
	            view->is_observed ? "would have left" : "left",
	            view->is_observed ? " (observe)" : "", (double)e->lasted_ms / 1000,
	            (double)calm_ms / 1000);
}

static void
tell(const struct service *s, const struct service_view *view, struct flood_service *f,
     const struct plane *plane, struct events *events, bool has_rate, uint64_t now_ms)
{
	bool is_so = events_is_so(events, EVENT_FLOOD, s->id)
	                     ? view->cookie_mode || now_ms - f->seen_ms < FLOOD_CALM_MS
	                     : f->is_owed && has_rate;
	struct event *e = events_edge(events, EVENT_FLOOD, s->id, s->name, is_so);

	if (e == NULL)
		return;
	if (is_so) {
		f->is_owed = false;
		e->n_prefixes = flood_prefixes(plane, s, e->prefixes);
		begin(e, s, view, f, events);
	} else {
		e->n_prefixes = f->n_prefixes;
		memcpy(e->prefixes, f->prefixes, sizeof(e->prefixes));
		end(e, s, view, f, events, now_ms);
	}
}

void
flood_begin(struct flood *flood, uint64_t now_ms)
{
	memset(flood, 0, sizeof(*flood));
	flood->looked_ms = now_ms;
}

void
flood_look(struct flood *flood, const struct plane *plane, const struct policy *policy,
           struct events *events, uint64_t now_ms)
{
	uint64_t gone_ms = now_ms - flood->looked_ms;
	bool is_due = gone_ms >= RATE_MS;

	for (uint32_t i = 0; i < policy->n_services; i++) {
		const struct service *s = &policy->services[i];
		struct flood_service *f = &flood->services[s->id];
		struct service_view view = stats_service(plane, s->id);

		if (is_due) {
			f->rate = rate_of(f, view.syn, gone_ms);
			f->syns = view.syn;
		}
		f->rate_max = f->rate > f->rate_max ? f->rate : f->rate_max;
		if (view.cookie_mode)
			see(f, &view, !events_is_so(events, EVENT_FLOOD, s->id), now_ms);
		else if (f->is_seen)
			lapse(f, plane, s);
		tell(s, &view, f, plane, events, is_due, now_ms);
	}
	if (is_due)
		flood->looked_ms = now_ms;
}

static bool
has(const struct policy *policy, uint16_t id)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (policy->services[i].id == id)
			return true;
	return false;
}

void
flood_forget(const struct policy *old, const struct policy *fresh, struct events *events)
{
	for (uint32_t i = 0; i < old->n_services; i++) {
		const struct service *s = &old->services[i];
		if (!events_is_so(events, EVENT_FLOOD, s->id) || has(fresh, s->id))
			continue;
		struct event *e = events_edge(events, EVENT_FLOOD, s->id, s->name, false);
		event_text(e, "why", "the service is gone");
		events_send(events, e, CONF_LOG_NOTICE,
		            "service %s: is gone, and its cookie mode with it", s->name);
	}
}
