/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each source prefix holds: half-open entries, connections, new
 * connections per second. Exact, in fixed memory, keyed hash, sets of one
 * cache line. A record lives as long as it counts something. When a set is
 * full, a source is not counted, and the caller says so.
 *
 * Each client counts in two prefixes: host (IPv4 /32, IPv6 /64) and net (IPv4 /24, IPv6 /48).
 */
#ifndef SYNFRONT_SOURCE_H
#define SYNFRONT_SOURCE_H

#include "flow_hash.h"
#include "policy.h"
#include "rate.h"

struct source {
	uint64_t key;       /* top 64 bits of an IPv6 prefix, or 1 << 63.. form of an IPv4 one; 0: free */
	uint32_t n_conns;
	uint32_t n_half_open;
	uint32_t n_new;     /* proven in the running second */
	uint32_t second;    /* which one */
	uint8_t is_net;
};

struct source_table {
	struct source *sources; /* sets of 2 (64 bytes) */
	uint32_t mask;
	uint32_t used;
	const struct flow_hash_key *key;
};

struct source_pair {
	struct source *host, *net; /* NULL: not counted */
};

size_t source_table_size(uint32_t capacity);
void source_table_init(struct source_table *table, void *memory, uint32_t capacity,
                       const struct flow_hash_key *key);
/* The records of a client, made if `create`; either may be NULL. */
struct source_pair source_find(struct source_table *table, const struct ip_addr *client,
                               bool create);
/* Free those that count nothing. */
void source_settle(struct source_table *table, struct source_pair pair);
/* Hash of the client's net (/24, /48), for rate.h. */
uint64_t source_net_hash(const struct flow_hash_key *key, const struct ip_addr *client);
uint64_t source_host_hash(const struct flow_hash_key *key, const struct ip_addr *client);

#endif
