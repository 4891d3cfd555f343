/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of each server, and how it is learned. */
#include "backend.h"

#include <stddef.h>

#include "gauge.h"
#include "pow2.h"

#define SET_SIZE 4u

static uint32_t
n_backends_for(uint32_t capacity)
{
	return pow2_ceil(capacity < SET_SIZE ? SET_SIZE : capacity);
}

size_t
backend_table_size(uint32_t capacity)
{
	return (size_t)n_backends_for(capacity) * sizeof(struct backend);
}

void
backend_table_init(struct backend_table *table, void *memory, uint32_t capacity,
                   const struct flow_hash_key *key)
{
	uint32_t n = n_backends_for(capacity);

	memset(memory, 0, (size_t)n * sizeof(struct backend));
	*table = (struct backend_table){
		.backends = memory,
		.capacity = n,
		.mask = n / SET_SIZE - 1,
		.key = key,
	};
}

/* Is `b` given up sooner than `place`? One that has never answered is nothing but a
 * port that somebody named: else who names many, of a service on all ports, pushes
 * out what is known of real servers. */
static bool
gives_way(const struct backend *b, const struct backend *place, uint32_t now_s)
{
	if (place == NULL || b->known != place->known)
		return place == NULL || place->known;
	return (uint16_t)(now_s - b->seen_s) > (uint16_t)(now_s - place->seen_s);
}

/* The place for a new backend in a set: a free one, one that has never answered, or
 * the longest unused. */
static struct backend *
set_place(struct backend *set, uint32_t now_s)
{
	struct backend *place = NULL;

	for (unsigned int i = 0; i < SET_SIZE; i++) {
		struct backend *b = &set[i];
		if (b->port_be == 0)
			return b;
		if (b->n_connecting == 0 && !(b->known && b->down) && gives_way(b, place, now_s))
			place = b;
	}
	return place;
}

static struct backend *
set_of(const struct backend_table *table, const struct ip_addr *addr, uint16_t port_be)
{
	uint32_t number = (uint32_t)addr_hash(table->key, addr, port_be) & table->mask;

	return &table->backends[number * SET_SIZE];
}

static struct backend *
set_find(struct backend *set, const struct ip_addr *addr, uint16_t port_be)
{
	for (unsigned int i = 0; i < SET_SIZE; i++)
		if (backend_is(&set[i], addr, port_be))
			return &set[i];
	return NULL;
}

uint32_t
backend_find(struct backend_table *table, const struct ip_addr *addr, uint16_t port_be, bool create,
             uint32_t now_s)
{
	if (port_be == 0)
		return BACKEND_NONE;
	struct backend *set = set_of(table, addr, port_be);
	struct backend *b = set_find(set, addr, port_be);
	if (b == NULL) {
		b = create ? set_place(set, now_s) : NULL;
		if (b == NULL)
			return BACKEND_NONE;
		gauge_add(&table->used, b->port_be == 0);
		table->n_forgotten += b->port_be != 0 && b->known;
		table->n_placed++;
		*b = (struct backend){ .addr = *addr, .port_be = port_be, .wscale = WSCALE_NONE };
	}
	b->seen_s = (uint16_t)now_s;
	return (uint32_t)(b - table->backends) + 1;
}

uint32_t
backend_look(const struct backend_table *table, const struct ip_addr *addr, uint16_t port_be)
{
	if (port_be == 0)
		return BACKEND_NONE;
	const struct backend *b = set_find(set_of(table, addr, port_be), addr, port_be);

	return b != NULL ? (uint32_t)(b - table->backends) + 1 : BACKEND_NONE;
}

static bool
votes_have(const struct backend_votes *votes, uint32_t net)
{
	for (unsigned int i = 0; i < votes->n && i < BACKEND_VOTES_MAX - 1; i++)
		if (votes->nets[i] == (uint16_t)net)
			return true;
	return false;
}

/* Count a vote of `net`, unless it has voted; true when `enough` have. */
static bool
votes_add(struct backend_votes *votes, uint32_t net, unsigned int enough)
{
	if (votes_have(votes, net))
		return false;
	if (votes->n + 1u >= enough) {
		votes->n = 0;
		return true;
	}
	votes->nets[votes->n++] = (uint16_t)net;
	return false;
}

/* What an answer says of one option; returns whether the server has it. */
static bool
learn_option(struct backend *backend, enum segment_option option, struct backend_votes *votes,
             bool had, bool answered, uint32_t net, uint32_t now_s)
{
	if (answered) {
		votes->n = 0;
		backend->settled |= (uint8_t)option;
		backend->absent &= (uint8_t)~option;
		return true;
	}
	if (!votes_add(votes, net, BACKEND_ABSENT_VOTES))
		return had;
	backend->settled |= (uint8_t)option;
	backend->absent |= (uint8_t)option;
	if (!backend->down)
		backend->probe_s = (uint16_t)(now_s + BACKEND_ASK_AGAIN_S);
	return false;
}

/* An answer with a lower MSS than is known: does it count by now? */
static bool
lower_counts(struct backend *backend, uint16_t mss, uint32_t net, uint32_t now_s)
{
	if (backend->n_lower == 0) {
		backend->lower_s = (uint16_t)now_s;
		backend->lower_mss = mss;
	}
	if (backend->n_lower < BACKEND_MSS_ANSWERS)
		backend->n_lower++;
	if (mss > backend->lower_mss)
		backend->lower_mss = mss;
	return votes_add(&backend->mss_votes, net, BACKEND_ABSENT_VOTES) ||
	       (backend->n_lower == BACKEND_MSS_ANSWERS &&
	        (uint16_t)(now_s - backend->lower_s) > BACKEND_MSS_S);
}

static void
learn_mss(struct backend *backend, uint16_t mss, uint32_t net, uint32_t now_s)
{
	if (mss < backend->mss) {
		if (!lower_counts(backend, mss, net, now_s))
			return;
		mss = backend->lower_mss;
	}
	backend->mss = mss;
	backend->mss_votes.n = 0;
	backend->n_lower = 0;
}

void
backend_learn(struct backend *backend, const struct tcp_offer *offered,
              const struct tcp_offer *answered, uint32_t net, uint32_t now_s)
{
	bool scales = backend->wscale != WSCALE_NONE;

	backend->known = true;
	if (answered->mss != 0)
		learn_mss(backend, answered->mss, net, now_s);
	if (offered->sack)
		backend->sack = learn_option(backend, OPTION_SACK_PERMITTED, &backend->sack_votes,
		                             backend->sack, answered->sack, net, now_s);
	if (offered->timestamps)
		backend->timestamps = learn_option(backend, OPTION_TIMESTAMPS,
		                                   &backend->timestamps_votes, backend->timestamps,
		                                   answered->timestamps, net, now_s);
	if (offered->wscale == WSCALE_NONE)
		return;
	if (!learn_option(backend, OPTION_WSCALE, &backend->wscale_votes, scales,
	                  answered->wscale != WSCALE_NONE, net, now_s))
		backend->wscale = WSCALE_NONE;
	else if (answered->wscale != WSCALE_NONE)
		backend->wscale = answered->wscale;
}

/* Is it `at_s`, or later? A time to come is at most one interval ahead; what looks further
 * ahead is long past. */
static bool
turn_has_come(uint16_t at_s, uint32_t now_s, uint32_t every_s)
{
	uint16_t left_s = (uint16_t)(at_s - (uint16_t)now_s);

	return left_s == 0 || left_s > every_s;
}

/* The same; then the next time is put `every_s` ahead. */
static bool
turn_comes(uint16_t *at_s, uint32_t now_s, uint32_t every_s)
{
	if (!turn_has_come(*at_s, now_s, every_s))
		return false;
	*at_s = (uint16_t)(now_s + every_s);
	return true;
}

bool
backend_asks_again(const struct backend *backend, uint8_t offered, uint32_t now_s)
{
	return (offered & backend->absent) != 0 && !backend->down &&
	       turn_has_come(backend->probe_s, now_s, BACKEND_ASK_AGAIN_S);
}

bool
backend_ask_again(struct backend *backend, uint8_t offered, uint32_t now_s)
{
	if (!backend_asks_again(backend, offered, now_s))
		return false;
	backend->probe_s = (uint16_t)(now_s + BACKEND_ASK_AGAIN_S);
	return true;
}

void
backend_succeed(struct backend *backend)
{
	backend->down = false;
	backend->down_votes.n = 0;
}

bool
backend_fail(struct backend *backend, uint32_t net, uint32_t now_s, uint32_t probe_every_s)
{
	if (backend->down)
		return false;
	/* One that has never answered is nothing but an address and a port that somebody named,
	 * and its only clients may be of one net: each failure is another's. */
	if (!backend->known)
		net = backend->down_votes.n;
	if (!votes_add(&backend->down_votes, net, BACKEND_DOWN_VOTES))
		return false;
	backend->down = true;
	backend->probe_s = (uint16_t)(now_s + probe_every_s);
	backend->down_votes.n = BACKEND_PROBES;
	return true;
}

bool
backend_may_probe(const struct backend *backend, uint32_t net, uint32_t now_s,
                  uint32_t probe_every_s)
{
	return turn_has_come(backend->probe_s, now_s, probe_every_s) ||
	       (backend->down_votes.n < BACKEND_PROBES && !votes_have(&backend->down_votes, net));
}

bool
backend_probe(struct backend *backend, uint32_t net, uint32_t now_s, uint32_t probe_every_s)
{
	struct backend_votes *tried = &backend->down_votes;

	if (!backend_may_probe(backend, net, now_s, probe_every_s))
		return false;
	if (turn_comes(&backend->probe_s, now_s, probe_every_s))
		tried->n = 0;
	if (tried->n < BACKEND_VOTES_MAX - 1)
		tried->nets[tried->n] = (uint16_t)net;
	tried->n++;
	return true;
}

void
backend_forget(struct backend *backend)
{
	backend->known = backend->sack = backend->timestamps = false;
	backend->mss = 0;
	backend->wscale = WSCALE_NONE;
	backend->settled = 0;
	backend->sack_votes.n = backend->timestamps_votes.n = backend->wscale_votes.n = 0;
	backend->mss_votes.n = backend->n_lower = 0;
}
