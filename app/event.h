/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One event: what it is of, its fields, and its line in the log. As JSON it is one object,
 *
 *   {"time":"2026-11-26T19:41:17.250Z","number":7,"instance":"synfront","event":"flood",
 *    "state":"end","service":"web","begin":5,"seconds":61.3,"syns":912000,
 *    "text":"service web: left cookie mode after 61 s, 10 s ago"}
 *
 * `number` counts from 1 without gaps, so that a reader sees what it has missed. `begin` is the
 * number of the beginning that this is the end of. Members may be added; a reader passes over
 * those that it does not know.
 */
#ifndef SYNFRONT_EVENT_H
#define SYNFRONT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_FLOOD,
	EVENT_BACKEND_DOWN,
	EVENT_TABLE_FULL,
	EVENT_CAP_HIT,
	EVENT_LINK_DOWN,
	EVENT_PORT_LOST,
	EVENT_QUEUE_STUCK,
	EVENT_PROMISCUOUS_OFF,
	EVENT_WORKER_STALLED,
	EVENT_RELOAD,
	EVENT_DRAIN,
	EVENT_KINDS
};

/* "flood" */
const char *event_name(enum event_kind kind);

enum event_state {
	EVENT_BEGIN,
	EVENT_END,
	EVENT_ONCE, /* has no end: a reload, a port that is lost */
};

const char *event_state_text(enum event_state state);

#define EVENT_SUBJECT_SIZE 64
#define EVENT_TEXT_SIZE 640 /* more than a struct conf_error, and words around it */
#define EVENT_VALUE_SIZE 256
#define EVENT_FIELDS_MAX 8u
#define EVENT_PREFIXES_MAX 8u
#define EVENT_PREFIX_SIZE 64

/* Whatever the texts are made of, at most six bytes for each of theirs. */
#define EVENT_JSON_SIZE 20480u
/* Of the journal's fields. */
#define EVENT_FIELDS_SIZE 4096u

struct event_prefix {
	char text[EVENT_PREFIX_SIZE]; /* "192.0.2.0/24" */
	double percent;               /* of what is asked about */
};

struct event {
	enum event_kind kind;
	enum event_state state;
	unsigned int id;
	uint64_t number, begin;           /* begin: of an end, else 0 */
	uint64_t wall_ms, lasted_ms;      /* lasted_ms: of an end */
	char subject[EVENT_SUBJECT_SIZE]; /* "": it is of the engine as a whole */
	char text[EVENT_TEXT_SIZE];
	unsigned int n_fields;
	struct event_field {
		const char *name; /* static; small letters and underscores */
		bool is_text;
		uint64_t number;
		char text[EVENT_VALUE_SIZE];
	} fields[EVENT_FIELDS_MAX];
	unsigned int n_prefixes; /* 0: they are not known */
	struct event_prefix prefixes[EVENT_PREFIXES_MAX];
};

/* One field more; too many are left out. A text that is too long is cut. */
void event_u64(struct event *event, const char *name, uint64_t number);
void event_text(struct event *event, const char *name, const char *text);

/* One line of JSON with its newline and a zero; its size without that. `held_back`: how many events
 * the reader was not told of, a member only if there are any. */
size_t event_json(const struct event *event, const char *instance, uint64_t held_back,
                  char json[EVENT_JSON_SIZE]);

/* The fields as lines for the journal, SYNFRONT_EVENT=flood and so on. The size. */
size_t event_journal(const struct event *event, char fields[EVENT_FIELDS_SIZE]);

#endif
