/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Servers that are down. Each worker judges for itself, and tells by counters that something has
 * changed; then it is asked which servers it takes for down. A server is down from the first worker
 * that says so to the last that does not. Those that have never answered are left out, and so are
 * those for which there is no room any more.
 */
#ifndef SYNFRONT_OUTAGE_H
#define SYNFRONT_OUTAGE_H

#include "events.h"
#include "mailbox.h"
#include "plane_state.h"

struct outage {
	uint64_t counted; /* the counters' sum when workers were asked last */
	unsigned int n_asked;
	struct outage_question {
		bool is_asked; /* `mail` is the worker's */
		bool is_due;   /* a question is wanted */
		struct mail mail;
		struct backend_view views[EVENTS_BACKENDS];
		/* What it has said; complete when no question is out. */
		unsigned int n;
		struct backend_view down[EVENTS_BACKENDS];
	} questions[CONF_WORKERS_MAX];
	struct outage_server {
		bool is_down;
		struct backend_view at;
	} servers[EVENTS_BACKENDS]; /* by the id of their event */
};

/* A few times a second; never waits for a worker. */
void outage_look(struct outage *outage, const struct plane *plane, struct events *events);

#endif
