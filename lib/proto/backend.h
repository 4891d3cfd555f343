/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends: what is known of each server address and port. One bounded, keyed
 * table per worker. What the engine promises to clients comes from each
 * server's own SYN-ACKs, so nobody configures MSS or window scale by hand.
 */
#ifndef SYNFRONT_BACKEND_H
#define SYNFRONT_BACKEND_H

#include "cookie.h"
#include "flow_hash.h"

#define BACKEND_NONE 0u /* number of no backend; real ones start at 1 */
/* SYNs that offered an option, from different prefixes, answered without it in a row, until it counts as absent. */
#define BACKEND_ABSENT_VOTES 3u
/* Failures from distinct source prefixes, with no success between, until down. */
#define BACKEND_DOWN_VOTES 3u

struct backend {
	struct ip_addr addr;
	uint16_t port_be;
	uint16_t mss;             /* of its SYN-ACKs, the least seen lately; 0: not learned */
	uint8_t wscale;           /* WSCALE_NONE: does none */
	bool known;               /* has answered: the fields below hold */
	bool sack, timestamps;
	bool down;
	uint8_t sack_votes, timestamps_votes, wscale_votes, down_votes;
	uint32_t vote_net[2];     /* hash of the last net that voted absent; down */
	uint32_t n_connecting;
	uint32_t probe_s;         /* down: when to try one client next */
	uint32_t seen_s;          /* last used, for replacement */
};

struct backend_table {
	struct backend *backends;
	uint32_t capacity, mask, used;
	const struct flow_hash_key *key;
};

size_t backend_table_size(uint32_t capacity);
void backend_table_init(struct backend_table *table, void *memory, uint32_t capacity,
                        const struct flow_hash_key *key);
/* Number of the backend, or BACKEND_NONE. With `create`, one not in use
 * (n_connecting 0, not down, oldest) is replaced if its set is full. */
uint32_t backend_find(struct backend_table *table, const struct ip_addr *addr, uint16_t port_be,
                      bool create, uint32_t now_s);
static inline struct backend *
backend_at(const struct backend_table *table, uint32_t number)
{
	return number == BACKEND_NONE ? NULL : &table->backends[number - 1];
}

/* A SYN-ACK of the server to a SYN that offered `offered`: learn from it.
 * `net`: hash of the client's prefix. */
void backend_learn(struct backend *backend, const struct tcp_offer *offered,
                   const struct tcp_offer *answered, uint32_t net);
/* The server answered: it is up. */
void backend_succeed(struct backend *backend);
/* It refused or kept silent towards a client of `net`. True if that took it down. */
bool backend_fail(struct backend *backend, uint32_t net, uint32_t now_s, uint32_t probe_every_s);
/* Whether a client may be tried on a server that is down now: once a probe interval. */
bool backend_probe(struct backend *backend, uint32_t now_s, uint32_t probe_every_s);
/* A promise was broken: know nothing of it. */
void backend_forget(struct backend *backend);

#endif
