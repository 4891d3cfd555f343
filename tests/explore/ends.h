/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ends: TCP as far as it matters here (RFC 9293, 3.10). A client asks with two
 * bytes, one at a time, and closes; the server answers the first one with one byte (one that greets
 * does not wait for it) and closes when its client has. No end has timers: that it sends again is a step that
 * may come at any time.
 *
 * What an end sends goes into the network; what it must not have been sent breaks a rule.
 */
#ifndef SYNFRONT_EXPLORE_ENDS_H
#define SYNFRONT_EXPLORE_ENDS_H

#include "scenario.h"

/* May it take this step now? */
bool client_may(const struct world *w, unsigned int client, enum client_step step);
void client_do(struct world *w, unsigned int client, enum client_step step);
void client_hear(struct world *w, unsigned int client, const struct seg *seg);

/* Is there anything that it would send again? */
bool server_may_repeat(const struct world *w, unsigned int flow);
void server_repeat(struct world *w, unsigned int flow);
/* Its host connects from the server's port to that of the client, and forgets at once. */
void server_call(struct world *w, unsigned int flow);
void server_hear(struct world *w, const struct seg *seg);
/* Half-open ones are given up after a while. */
void server_wait(struct world *w);

#endif
