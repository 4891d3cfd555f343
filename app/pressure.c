/* SPDX-License-Identifier: BSD-3-Clause */
#include "pressure.h"

#include <inttypes.h>

#include "stats.h"

/* Of the connection table, in percent: from here on new clients cost old ones; and when that is
 * over. */
#define FULL_PERCENT 95u
#define FREE_PERCENT 90u
/* Without anybody turned away. */
#define QUIET_MS 10000u

/* Ids of tables begin after PRESSURE_CONNECTIONS. */
static const struct {
	enum counter counter;
	enum event_kind kind;
	unsigned int id;
	const char *name; /* the key that sizes the table, or sets the cap */
	const char *what; /* one of them: "SYNs ..." */
} meters[PRESSURE_METERS] = {
	{ COUNTER_half_open_full, EVENT_TABLE_FULL, 1, "memory.half_open",
	  "SYNs found no half-open entry" },
	{ COUNTER_pending_evicted, EVENT_TABLE_FULL, 2, "memory.held_connections",
	  "clients that waited for a silent server gave way" },
	{ COUNTER_path_full, EVENT_TABLE_FULL, 3, "memory.paths", "flows had no path" },
	{ COUNTER_source_full, EVENT_TABLE_FULL, 4, "memory.sources", "sources were not counted" },
	{ COUNTER_drop_reflection, EVENT_CAP_HIT, 0, "limits.reflection",
	  "SYNs were not answered" },
	{ COUNTER_drop_rst_cap, EVENT_CAP_HIT, 1, "limits.reflection.rst_per_s",
	  "segments got no RST" },
	{ COUNTER_drop_challenge_cap, EVENT_CAP_HIT, 2, "limits.reflection.challenge_per_s",
	  "segments got no challenge ACK" },
	{ COUNTER_limit_service_connections, EVENT_CAP_HIT, 3, "max_connections",
	  "proven clients were refused" },
	{ COUNTER_limit_service_new, EVENT_CAP_HIT, 4, "max_new_per_s",
	  "proven clients were refused" },
	{ COUNTER_limit_connecting, EVENT_CAP_HIT, 5, "max_connecting",
	  "proven clients were refused" },
	{ COUNTER_limit_source_connections, EVENT_CAP_HIT, 6, "limits.sources.connections",
	  "proven clients were refused" },
	{ COUNTER_limit_source_new, EVENT_CAP_HIT, 7, "limits.sources.new_per_s",
	  "proven clients were refused" },
	{ COUNTER_drop_unknown, EVENT_CAP_HIT, 8, "unknown_per_s",
	  "segments of unknown flows were dropped" },
};

static void
look_at_connections(const struct plane *plane, struct events *events)
{
	uint64_t used = stats_usage(plane).connections, room = plane->conf->memory.connections;
	bool was_full = events_is_so(events, EVENT_TABLE_FULL, PRESSURE_CONNECTIONS);
	bool is_full = used * 100 >= room * (was_full ? FREE_PERCENT : FULL_PERCENT);
	struct event *e = events_edge(events, EVENT_TABLE_FULL, PRESSURE_CONNECTIONS,
	                              "memory.connections", is_full);

	if (e == NULL)
		return;
	event_u64(e, "used", used);
	event_u64(e, "size", room);
	events_send(events, e, CONF_LOG_NOTICE,
	            "the connection table is %s: %" PRIu64 " of %" PRIu64,
	            is_full ? "full" : "no longer full", used, room);
}

static void
look_at_meter(struct pressure_meter *m, unsigned int i, uint64_t count, struct events *events,
              uint64_t now_ms)
{
	bool was_so = events_is_so(events, meters[i].kind, meters[i].id), moves = count != m->count;
	uint64_t before = m->count;

	if (moves)
		m->moved_ms = now_ms;
	m->count = count;
	bool is_so = moves || (was_so && now_ms - m->moved_ms < QUIET_MS);
	struct event *e = events_edge(events, meters[i].kind, meters[i].id, meters[i].name, is_so);
	if (e == NULL)
		return;
	const char *is = meters[i].kind == EVENT_TABLE_FULL ? "is full" : "is reached";
	event_text(e, "counter", counter_infos[meters[i].counter].name);
	if (is_so) {
		m->begun = before;
		events_send(events, e, CONF_LOG_NOTICE, "%s %s: %" PRIu64 " %s", meters[i].name, is,
		            count - before, meters[i].what);
		return;
	}
	event_u64(e, "count", count - m->begun);
	events_send(events, e, CONF_LOG_NOTICE, "%s %s no longer: %" PRIu64 " %s in %.0f s",
	            meters[i].name, is, count - m->begun, meters[i].what,
	            (double)e->lasted_ms / 1000);
}

void
pressure_look(struct pressure *pressure, const struct plane *plane, struct events *events,
              uint64_t now_ms)
{
	struct counters sum;

	stats_counters(plane, &sum);
	look_at_connections(plane, events);
	for (unsigned int i = 0; i < PRESSURE_METERS; i++)
		look_at_meter(&pressure->meters[i], i, sum.values[meters[i].counter], events,
		              now_ms);
}
