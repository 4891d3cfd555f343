/* SPDX-License-Identifier: BSD-3-Clause */
#include "recover.h"

#include "ends.h"
#include "engine.h"
#include "steps.h"

/* Longer than a flow is remembered whose cookie may be out: as long what proves nothing may be
 * dropped without a word. */
#define ROUNDS 130u
#define ROUNDS_TOLD 2u
#define MARGIN_MS 5000u /* for what is lost to come again */

static bool
is_content(const struct client *c)
{
	return c->state == CLIENT_CLOSED ||
	       (c->state == CLIENT_ESTABLISHED && c->fin && c->una == c->sent + 1u);
}

/*
 * What is known to be left alone. While cookies are used, data that proves nothing is dropped
 * without a word, since what proves something may still come: `always` means for ever. And a
 * copy of an older incarnation's first data, come late, has opened that one's connection:
 * nothing ends one that is live. And of a service that a reload has taken away the ends
 * speak to each other directly, in whatever numbers they have.
 */
static bool
is_excused(struct world *w, unsigned int client)
{
	const struct client *c = &w->model.clients[client];
	struct inside_entry entry = inside_find(w->engines[world_owner(w, client)].core, client);

	if (entry.kind == ENTRY_CONNECTION && entry.state != CONN_SPENT)
		return entry.irs != c->iss;
	return w->services[w->model.policy].cookies == COOKIES_ALWAYS ||
	       w->policies[w->model.policy].n_services == 0;
}

/*
 * Mode handoff: can the server still be reached? It has the connection, or will take it over. Else
 * it is silent, since what proves nothing may be a later segment of somebody's.
 */
static bool
is_reachable(struct world *w, unsigned int client)
{
	const struct client *c = &w->model.clients[client];
	const struct server *s = &w->model.servers[client];
	const struct history *h = &w->model.flows[client];

	if (c->state != CLIENT_ESTABLISHED)
		return true;
	if (s->state != SERVER_LISTEN && s->irs == c->iss && s->iss == c->irs)
		return true;
	for (unsigned int i = 0; i < h->n_opened; i++)
		if (h->opened[i].irs == c->iss && h->opened[i].iss == c->irs)
			return false;
	return c->una == 0 && world_proves(w, client, c->iss, c->irs);
}

/*
 * Is nothing needed but that what it has sent comes, while its cookie lives? A limit may still
 * refuse it, and so may a server that has stopped.
 */
static bool
must_open(struct world *w, unsigned int client)
{
	const struct scenario *sc = w->scenario;
	struct inside_entry entry = inside_find(w->engines[world_owner(w, client)].core, client);

	if (sc->connections | sc->max_of_net | sc->held || sc->mode != MODE_PROXY ||
	    w->model.server_down || w->policies[w->model.policy].n_services == 0 ||
	    entry.kind == ENTRY_CONNECTION || w->model.clients[client].n_opened == 0)
		return false;
	w->model.elapsed_ms += MARGIN_MS;
	bool may = world_may_open(w, client);
	w->model.elapsed_ms -= MARGIN_MS;
	return may;
}

static bool
has_opened(const struct world *w, unsigned int client)
{
	const struct history *h = &w->model.flows[client];

	return h->server_got[w->model.clients[client].n_opened - 1] > 0;
}

/* What an end does that has waited for a while. */
static void
wait_is_over(struct world *w)
{
	for (unsigned int client = 0; client < CLIENTS; client++) {
		const struct client *c = &w->model.clients[client];

		if (client_may(w, client, CLIENT_FIN))
			client_do(w, client, CLIENT_FIN);
		else if (client_may(w, client, CLIENT_SYN_AGAIN))
			client_do(w, client, CLIENT_SYN_AGAIN);
		else if (!is_content(c))
			client_do(w, client, CLIENT_AGAIN);
	}
	for (unsigned int flow = 0; flow < FLOWS; flow++)
		if (server_may_repeat(w, flow))
			server_repeat(w, flow);
}

void
recover_all(struct world *w)
{
	const struct step_taken second = { STEP_CLOCK, 0 };
	bool content = false, excused[CLIENTS] = { false }, opens[CLIENTS] = { false };

	for (unsigned int client = 0; client < CLIENTS; client++)
		opens[client] = must_open(w, client);

	w->judges = false;
	for (unsigned int i = 0; i < ROUNDS && !content; i++) {
		if (i == ROUNDS_TOLD)
			w->trace = NULL;
		steps_settle(w);
		for (unsigned int client = 0; i == 0 && client < CLIENTS; client++)
			excused[client] = world_hands_off(w) && !is_reachable(w, client);
		wait_is_over(w);
		steps_settle(w);
		steps_take(w, second);
		content = true;
		for (unsigned int client = 0; client < CLIENTS; client++)
			content &= is_content(&w->model.clients[client]);
	}
	w->judges = true;
	for (unsigned int client = 0; client < CLIENTS; client++)
		if (opens[client] && !has_opened(w, client))
			world_violate(w, RULE_stuck,
			              "client %c has a good cookie, and is not let in",
			              'A' + (int)client);
	for (unsigned int client = 0; client < CLIENTS; client++)
		if (!is_content(&w->model.clients[client]) && !excused[client] &&
		    (world_hands_off(w) || !is_excused(w, client)))
			world_violate(w, RULE_stuck, "client %c sends again and again, for nothing",
			              'A' + (int)client);
}
