/* SPDX-License-Identifier: BSD-3-Clause */
#include "event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	const char *subject; /* what its subject is called; NULL: it has none */
	bool is_number;      /* ... and is written as one */
} kinds[EVENT_KINDS] = {
	[EVENT_FLOOD] = { "flood", "service", false },
	[EVENT_BACKEND_DOWN] = { "backend_down", "backend", false },
	[EVENT_TABLE_FULL] = { "table_full", "table", false },
	[EVENT_CAP_HIT] = { "cap_hit", "cap", false },
	[EVENT_LINK_DOWN] = { "link_down", "port", false },
	[EVENT_PORT_LOST] = { "port_lost", "port", false },
	[EVENT_QUEUE_STUCK] = { "queue_stuck", "queue", false },
	[EVENT_PROMISCUOUS_OFF] = { "promiscuous_off", "port", false },
	[EVENT_WORKER_STALLED] = { "worker_stalled", "worker", true },
	[EVENT_RELOAD] = { "reload", NULL, false },
	[EVENT_DRAIN] = { "drain", NULL, false },
};

const char *
event_name(enum event_kind kind)
{
	return kinds[kind].name;
}

const char *
event_state_text(enum event_state state)
{
	static const char *const texts[] = {
		[EVENT_BEGIN] = "begin",
		[EVENT_END] = "end",
		[EVENT_ONCE] = "once",
	};

	return texts[state];
}

static struct event_field *
add_field(struct event *event, const char *name, bool is_text)
{
	static struct event_field spare;
	struct event_field *field = event->n_fields < EVENT_FIELDS_MAX
	                                    ? &event->fields[event->n_fields++]
	                                    : &spare;

	field->name = name;
	field->is_text = is_text;
	return field;
}

void
event_u64(struct event *event, const char *name, uint64_t number)
{
	add_field(event, name, false)->number = number;
}

void
event_text(struct event *event, const char *name, const char *text)
{
	snprintf(add_field(event, name, true)->text, EVENT_VALUE_SIZE, "%s", text);
}

/* Text being put together; what does not fit is left out, and the sizes are such that all fits. */
struct text {
	char *at, *end;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);
	va_end(args);
	if (n > 0)
		t->at += n < t->end - t->at ? n : t->end - t->at - 1;
}

/* Bytes of the character that begins at s, 0 if none does (RFC 3629, section 4). */
static unsigned int
utf8_size(const unsigned char *s)
{
	unsigned int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	/* A zero, which ends the text, is none of these. */
	for (unsigned int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* A string of JSON (RFC 8259, section 7); what is no UTF-8 becomes U+FFFD. */
static void
put_string(struct text *t, const char *text)
{
	put(t, "\"");
	for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
		unsigned int n = utf8_size(s);
		if (n == 0)
			put(t, "\\ufffd");
		else if (*s < ' ')
			put(t, "\\u%04x", *s);
		else if (*s == '"' || *s == '\\')
			put(t, "\\%c", *s);
		else
			put(t, "%.*s", (int)n, (const char *)s);
		s += n != 0 ? n : 1;
	}
	put(t, "\"");
}

static void
put_member(struct text *t, const char *name, const char *text)
{
	put(t, ",\"%s\":", name);
	put_string(t, text);
}

static void
put_time(struct text *t, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char text[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	put(t, "{\"time\":\"%s.%03uZ\"", text, (unsigned int)(wall_ms % 1000));
}

static void
put_prefixes(struct text *t, const struct event *event)
{
	if (event->n_prefixes == 0)
		return;
	put(t, ",\"prefixes\":[");
	for (unsigned int i = 0; i < event->n_prefixes; i++) {
		put(t, "%s{\"prefix\":", i > 0 ? "," : "");
		put_string(t, event->prefixes[i].text);
		put(t, ",\"percent\":%.1f}", event->prefixes[i].percent);
	}
	put(t, "]");
}

size_t
event_json(const struct event *event, const char *instance, uint64_t held_back,
           char json[EVENT_JSON_SIZE])
{
	struct text t = { json, json + EVENT_JSON_SIZE };

	put_time(&t, event->wall_ms);
	put(&t, ",\"number\":%" PRIu64, event->number);
	put_member(&t, "instance", instance);
	put_member(&t, "event", kinds[event->kind].name);
	put_member(&t, "state", event_state_text(event->state));
	if (kinds[event->kind].is_number)
		put(&t, ",\"%s\":%s", kinds[event->kind].subject, event->subject);
	else if (kinds[event->kind].subject != NULL)
		put_member(&t, kinds[event->kind].subject, event->subject);
	if (event->state == EVENT_END)
		put(&t, ",\"begin\":%" PRIu64 ",\"seconds\":%.1f", event->begin,
		    (double)event->lasted_ms / 1000);
	for (unsigned int i = 0; i < event->n_fields; i++) {
		const struct event_field *f = &event->fields[i];
		if (f->is_text)
			put_member(&t, f->name, f->text);
		else
			put(&t, ",\"%s\":%" PRIu64, f->name, f->number);
	}
	put_prefixes(&t, event);
	if (held_back != 0)
		put(&t, ",\"held_back\":%" PRIu64, held_back);
	put_member(&t, "text", event->text);
	put(&t, "}\n");
	return (size_t)(t.at - json);
}

/* Names of the journal's fields are in capitals; their values end with the line. */
static void
put_line(struct text *t, const char *name, const char *value)
{
	put(t, "SYNFRONT_");
	for (; *name != '\0'; name++)
		put(t, "%c", *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
	put(t, "=");
	for (; *value != '\0'; value++)
		put(t, "%c", (unsigned char)*value < ' ' ? ' ' : *value);
	put(t, "\n");
}

static void
put_number(struct text *t, const char *name, uint64_t number)
{
	char value[24];

	snprintf(value, sizeof(value), "%" PRIu64, number);
	put_line(t, name, value);
}

size_t
event_journal(const struct event *event, char fields[EVENT_FIELDS_SIZE])
{
	struct text t = { fields, fields + EVENT_FIELDS_SIZE };

	put_line(&t, "event", kinds[event->kind].name);
	put_line(&t, "state", event_state_text(event->state));
	put_number(&t, "number", event->number);
	if (kinds[event->kind].subject != NULL)
		put_line(&t, kinds[event->kind].subject, event->subject);
	if (event->state == EVENT_END) {
		put_number(&t, "begin", event->begin);
		put_number(&t, "seconds", event->lasted_ms / 1000);
	}
	for (unsigned int i = 0; i < event->n_fields; i++) {
		const struct event_field *f = &event->fields[i];
		if (f->is_text)
			put_line(&t, f->name, f->text);
		else
			put_number(&t, f->name, f->number);
	}
	for (unsigned int i = 0; i < event->n_prefixes; i++)
		put_line(&t, "prefix", event->prefixes[i].text);
	return (size_t)(t.at - fields);
}
