/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All that begins and ends, in one place: who looks says what is so now, again and again, and here
 * it is known what was so before. So each event is sent once at its beginning and once at its end:
 * one line in the log, and to the sinks that `events` of the configuration names.
 *
 *   struct event *e = events_edge(events, EVENT_WORKER_STALLED, id, "3", is_still);
 *   if (e != NULL) {                       // news
 *           event_u64(e, ...);             // fields
 *           events_send(events, e, CONF_LOG_WARNING, "worker 3 ...");
 *   }
 *
 * What is still so when the engine ends, ends with it (events_end()), so that nobody waits for
 * an end that never comes. Control's alone; the last events are in event_ring.h for others.
 */
#ifndef SYNFRONT_EVENTS_H
#define SYNFRONT_EVENTS_H

#include <sys/types.h>

#include "conf.h"
#include "event.h"
#include "event_sink.h"
#include "hook.h"

/* How many of each kind may be so at one time: ids below these. */
#define EVENTS_BACKENDS 64u
#define EVENTS_TABLES 8u
#define EVENTS_CAPS 16u
#define EVENTS_PORTS 2u
#define EVENTS_QUEUES (CONF_WORKERS_MAX * EVENTS_PORTS)
#define EVENTS_OPEN                                                                        \
	(SERVICES_MAX + EVENTS_BACKENDS + EVENTS_TABLES + EVENTS_CAPS + 3 * EVENTS_PORTS + \
	 EVENTS_QUEUES + CONF_WORKERS_MAX + 2)

struct events {
	const char *instance;
	uint64_t n; /* number of the last */
	struct event_open {
		uint64_t number; /* of its beginning; 0: it is not so */
		uint64_t begun_ms;
		char subject[EVENT_SUBJECT_SIZE];
	} open[EVENTS_OPEN]; /* by kind and id */
	struct event event;  /* that is being put together */

	uid_t uid; /* whose a new file is; -1: ours */
	gid_t gid;
	struct event_file file;
	struct event_socket socket;
	struct hook hook;
};

/*
 * Before privileges are given up, and with the name of who will be left. 0, or -1 and *err if the
 * file cannot be opened.
 */
int events_init(struct events *events, const struct conf *conf, const char *user,
                struct conf_error *err);

/* A reload: the sinks of `conf`, the file opened anew. 0, or -1 and *err, and nothing has
 * changed. Nothing of `conf` is referred to afterwards. */
int events_configure(struct events *events, const struct conf *conf, struct conf_error *err);
/* A reload that was refused: the file is opened anew all the same, since it may have been
 * rotated. */
void events_reopen(struct events *events, const struct conf *conf);

/* NULL: that is no news. `subject`: of what it is. */
struct event *events_edge(struct events *events, enum event_kind kind, unsigned int id,
                          const char *subject, bool is_so);
/* Of a kind that has no end. */
struct event *events_once(struct events *events, enum event_kind kind, const char *subject);
/* Tell everybody. */
void events_send(struct events *events, struct event *event, enum conf_log_level level,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

bool events_is_so(const struct events *events, enum event_kind kind, unsigned int id);

/* A few times a second. */
void events_step(struct events *events, uint64_t now_ms);
/* The engine ends: so does what is so, and the hook is waited for, a few seconds at most. */
void events_end(struct events *events);

#endif
