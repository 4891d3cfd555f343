/* SPDX-License-Identifier: BSD-3-Clause */
#include "events.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "event_ring.h"
#include "log.h"

/* Less than a supervisor waits for an end. */
#define FINISH_MS 5000u

/* Where the ids of each kind begin in `open`, and how many there are; kinds without an end have
 * none. */
static const struct {
	unsigned int first, n;
} places[EVENT_KINDS] = {
#define QUEUES_AT (SERVICES_MAX + EVENTS_BACKENDS + EVENTS_TABLES + EVENTS_CAPS + 2 * EVENTS_PORTS)
	[EVENT_FLOOD] = { 0, SERVICES_MAX },
	[EVENT_BACKEND_DOWN] = { SERVICES_MAX, EVENTS_BACKENDS },
	[EVENT_TABLE_FULL] = { SERVICES_MAX + EVENTS_BACKENDS, EVENTS_TABLES },
	[EVENT_CAP_HIT] = { SERVICES_MAX + EVENTS_BACKENDS + EVENTS_TABLES, EVENTS_CAPS },
	[EVENT_LINK_DOWN] = { QUEUES_AT - 2 * EVENTS_PORTS, EVENTS_PORTS },
	[EVENT_PROMISCUOUS_OFF] = { QUEUES_AT - EVENTS_PORTS, EVENTS_PORTS },
	[EVENT_QUEUE_STUCK] = { QUEUES_AT, EVENTS_QUEUES },
	[EVENT_WORKER_STALLED] = { QUEUES_AT + EVENTS_QUEUES, CONF_WORKERS_MAX },
	[EVENT_DRAIN] = { QUEUES_AT + EVENTS_QUEUES + CONF_WORKERS_MAX, 1 },
};

_Static_assert(QUEUES_AT + EVENTS_QUEUES + CONF_WORKERS_MAX + 1 <= EVENTS_OPEN, "a place for each");

/* As the parser words it: "FILE:LINE:COLUMN: KEY: found ...". */
static int
open_file(const struct events *e, const struct conf *conf, struct conf_error *err)
{
	char problem[SINK_PROBLEM_SIZE];
	uint32_t line, column;

	int fd = event_file_open(conf->events.file, e->uid, e->gid, problem);
	if (fd >= 0)
		return fd;
	conf_position(conf, "events.file", &line, &column);
	snprintf(err->text, sizeof(err->text),
	         "%.128s:%u:%u: events.file: found \"%.128s\": %.128s; expected a file that can be "
	         "written",
	         conf->source, line, column, conf->events.file, problem);
	return -1;
}

int
events_configure(struct events *e, const struct conf *conf, struct conf_error *err)
{
	const struct events_conf *c = &conf->events;
	int fd = c->file != NULL ? open_file(e, conf, err) : -1;

	if (c->file != NULL && fd < 0)
		return -1;
	if (hook_take(&e->hook, c->hook, c->n_hook, c->hook_timeout_s, c->hook_per_minute) != 0) {
		snprintf(err->text, sizeof(err->text), "events.hook: out of memory");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	event_file_take(&e->file, fd);
	event_socket_take(&e->socket, c->socket);
	return 0;
}

int
events_init(struct events *e, const struct conf *conf, const char *user, struct conf_error *err)
{
	const struct passwd *entry = user != NULL && geteuid() == 0 ? getpwnam(user) : NULL;

	memset(e, 0, sizeof(*e));
	e->instance = conf->instance;
	e->uid = entry != NULL ? entry->pw_uid : (uid_t)-1;
	e->gid = entry != NULL ? entry->pw_gid : (gid_t)-1;
	e->file.fd = e->socket.fd = -1;
	hook_init(&e->hook, conf->instance);
	return events_configure(e, conf, err);
}

void
events_reopen(struct events *e, const struct conf *conf)
{
	struct conf_error err;

	if (conf->events.file == NULL)
		return;
	int fd = open_file(e, conf, &err);
	if (fd >= 0)
		event_file_take(&e->file, fd);
	else
		log_warning("%s; events go on into the one that was open", err.text);
}

static struct event *
fresh(struct events *e, enum event_kind kind, const char *subject)
{
	e->event.kind = kind;
	e->event.state = EVENT_ONCE;
	e->event.number = ++e->n;
	e->event.begin = e->event.lasted_ms = 0;
	e->event.wall_ms = clock_ms(CLOCK_REALTIME);
	e->event.n_fields = e->event.n_prefixes = 0;
	snprintf(e->event.subject, sizeof(e->event.subject), "%s", subject);
	return &e->event;
}

struct event *
events_once(struct events *e, enum event_kind kind, const char *subject)
{
	return fresh(e, kind, subject);
}

struct event *
events_edge(struct events *e, enum event_kind kind, unsigned int id, const char *subject,
            bool is_so)
{
	if (id >= places[kind].n)
		return NULL;
	struct event_open *open = &e->open[places[kind].first + id];
	if ((open->number != 0) == is_so)
		return NULL;
	struct event *event = fresh(e, kind, is_so ? subject : open->subject);
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
	if (is_so) {
		event->state = EVENT_BEGIN;
		open->number = event->number;
		open->begun_ms = now_ms;
		snprintf(open->subject, sizeof(open->subject), "%s", subject);
	} else {
		event->state = EVENT_END;
		event->begin = open->number;
		event->lasted_ms = now_ms - open->begun_ms;
		open->number = 0;
	}
	return event;
}

bool
events_is_so(const struct events *e, enum event_kind kind, unsigned int id)
{
	return id < places[kind].n && e->open[places[kind].first + id].number != 0;
}

/* For whoever asks what there has been. */
static void
record(const struct event *event)
{
	struct event_record r = { .number = event->number,
		                  .wall_ms = event->wall_ms,
		                  .event = event_name(event->kind),
		                  .state = event_state_text(event->state) };

	snprintf(r.subject, sizeof(r.subject), "%.*s", (int)sizeof(r.subject) - 1, event->subject);
	snprintf(r.text, sizeof(r.text), "%.*s", (int)sizeof(r.text) - 1, event->text);
	event_ring_add(&r);
}

void
events_send(struct events *e, struct event *event, enum conf_log_level level, const char *format,
            ...)
{
	static char json[EVENT_JSON_SIZE], fields[EVENT_FIELDS_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(event->text, sizeof(event->text), format, args);
	va_end(args);
	log_fields(level, event->text, fields, event_journal(event, fields));
	record(event);
	size_t size = event_json(event, e->instance, 0, json);
	event_file_write(&e->file, json, size);
	event_socket_send(&e->socket, json, size - 1); /* a datagram needs no end of line */
	hook_add(&e->hook, event);
}

void
events_step(struct events *e, uint64_t now_ms)
{
	hook_step(&e->hook, now_ms);
}

void
events_end(struct events *e)
{
	for (unsigned int kind = 0; kind < EVENT_KINDS; kind++) {
		for (unsigned int id = 0; id < places[kind].n; id++) {
			struct event *event = events_edge(e, (enum event_kind)kind, id, "", false);
			if (event == NULL)
				continue;
			event_text(event, "why", "the engine ends");
			events_send(e, event, CONF_LOG_NOTICE, "%s%s%s: over, as the engine ends",
			            event_name(event->kind), *event->subject != '\0' ? " of " : "",
			            event->subject);
		}
	}
	hook_finish(&e->hook, FINISH_MS);
	event_file_take(&e->file, -1);
	event_socket_take(&e->socket, NULL);
}
