/* SPDX-License-Identifier: BSD-3-Clause */
#include "outage.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "stats.h"

static bool
is_same(const struct backend_view *a, const struct backend_view *b)
{
	return a->port_be == b->port_be && ip_addr_equal(&a->addr, &b->addr);
}

static bool
is_in(const struct backend_view *view, const struct backend_view *views, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (is_same(view, &views[i]))
			return true;
	return false;
}

static void
server_name(const struct backend_view *at, char text[EVENT_SUBJECT_SIZE])
{
	char address[INET6_ADDRSTRLEN];
	bool is_v4 = ip_addr_is_v4(&at->addr);

	inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? &at->addr.bytes[12] : at->addr.bytes, address,
	          sizeof(address));
	snprintf(text, EVENT_SUBJECT_SIZE, is_v4 ? "%s:%u" : "[%s]:%u", address,
	         ntohs(at->port_be));
}

static void
turn(struct outage *o, unsigned int id, bool is_down, struct events *events)
{
	char name[EVENT_SUBJECT_SIZE];

	o->servers[id].is_down = is_down;
	server_name(&o->servers[id].at, name);
	struct event *e = events_edge(events, EVENT_BACKEND_DOWN, id, name, is_down);
	if (e == NULL)
		return;
	if (is_down)
		events_send(events, e, CONF_LOG_NOTICE,
		            "server %s is down: it refuses, or is silent", name);
	else
		events_send(events, e, CONF_LOG_NOTICE, "server %s is up again, after %.0f s", name,
		            (double)e->lasted_ms / 1000);
}

static void
begin(struct outage *o, const struct backend_view *view, struct events *events)
{
	unsigned int place = EVENTS_BACKENDS;

	for (unsigned int i = 0; i < EVENTS_BACKENDS; i++) {
		if (o->servers[i].is_down && is_same(&o->servers[i].at, view))
			return;
		if (!o->servers[i].is_down && place == EVENTS_BACKENDS)
			place = i;
	}
	if (place == EVENTS_BACKENDS)
		return;
	o->servers[place].at = *view;
	turn(o, place, true, events);
}

/* All workers have said what they have to: what is new, and what is over. That cannot be told if
 * one of them has more than it could say. */
static void
judge(struct outage *o, unsigned int n_workers, struct events *events)
{
	bool is_cut = false;

	for (unsigned int w = 0; w < n_workers; w++)
		is_cut |= o->questions[w].n == EVENTS_BACKENDS;
	for (unsigned int i = 0; i < EVENTS_BACKENDS && !is_cut; i++) {
		bool is_down = false;
		for (unsigned int w = 0; w < n_workers && o->servers[i].is_down; w++)
			is_down |= is_in(&o->servers[i].at, o->questions[w].down,
			                 o->questions[w].n);
		if (o->servers[i].is_down && !is_down)
			turn(o, i, false, events);
	}
	for (unsigned int w = 0; w < n_workers; w++)
		for (unsigned int i = 0; i < o->questions[w].n; i++)
			begin(o, &o->questions[w].down[i], events);
}

/* One page of an answer. */
static void
take(struct outage_question *q)
{
	unsigned int room = EVENTS_BACKENDS - q->n, n = q->mail.n < room ? q->mail.n : room;

	memcpy(&q->down[q->n], q->views, n * sizeof(q->views[0]));
	q->n += n;
	q->is_asked = false;
	q->is_due = q->mail.next != 0 && q->n < EVENTS_BACKENDS;
	q->mail.start = q->mail.next;
}

/* One that stands still, or has a full box, is asked again at the next look. */
static void
ask(struct outage_question *q, struct worker *worker)
{
	q->mail.max = EVENTS_BACKENDS;
	q->mail.down = q->views;
	q->is_asked = mailbox_post(worker, &q->mail);
	q->is_due = !q->is_asked;
}

static bool
is_answered(struct outage *o, const struct plane *plane)
{
	bool all = true;

	for (unsigned int w = 0; w < plane->n_workers; w++) {
		struct outage_question *q = &o->questions[w];
		if (q->is_asked && mailbox_is_done(&q->mail))
			take(q);
		if (q->is_due)
			ask(q, plane->workers[w]);
		all &= !q->is_asked && !q->is_due;
	}
	return all;
}

void
outage_look(struct outage *o, const struct plane *plane, struct events *events)
{
	struct counters sum;

	if (o->n_asked != 0) {
		if (!is_answered(o, plane))
			return;
		o->n_asked = 0;
		judge(o, plane->n_workers, events);
	}
	stats_counters(plane, &sum);
	uint64_t counted = sum.values[COUNTER_backend_down] + sum.values[COUNTER_backend_up];
	if (counted == o->counted)
		return;
	o->counted = counted;
	o->n_asked = plane->n_workers;
	for (unsigned int w = 0; w < plane->n_workers; w++) {
		o->questions[w].n = 0;
		o->questions[w].mail.start = 0;
		ask(&o->questions[w], plane->workers[w]);
	}
}
