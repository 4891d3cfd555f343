/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each source prefix holds: half-open entries, connections, new
 * connections per second. Exact, in fixed memory, under a keyed hash. A record
 * lives as long as it counts something and never moves, so pointers to it hold
 * as long.
 *
 * Four records (two lines) are a set; each prefix may be in either of two sets,
 * and is put where there is more room: up to half full none is refused, as good as
 * ever. When both sets are full, the prefix is not counted, and the caller says so.
 *
 * Each client counts in two prefixes: host (IPv4 /32, IPv6 /64) and net (IPv4 /24, IPv6 /48).
 */
#ifndef SYNFRONT_SOURCE_H
#define SYNFRONT_SOURCE_H

#include "flow_hash.h"
#include "policy.h"
#include "rate.h"

/* What `key` is a prefix of: the same 64 bits mean another one in each kind. */
enum source_kind {
	SOURCE_FREE, /* no record */
	SOURCE_V4_HOST,
	SOURCE_V4_NET,
	SOURCE_V6_HOST,
	SOURCE_V6_NET,
};

struct source {
	uint64_t key; /* IPv4 prefix, or the first 8 bytes of an IPv6 one; zero after it */
	uint32_t n_conns;
	uint32_t n_half_open;
	uint32_t n_new;  /* proven in `second` */
	uint32_t second; /* which one */
	uint8_t kind;    /* enum source_kind */
};

_Static_assert(sizeof(struct source) == 32, "a set of four is two cache lines");

struct source_table {
	struct source *sources;
	uint32_t mask;  /* sets - 1 */
	uint32_t used;  /* records, those of a past second included */
	uint32_t now_s; /* the running second of n_new: the owner keeps it up to date */
	const struct flow_hash_key *key;
};

struct source_pair {
	struct source *host, *net; /* NULL: not counted */
};

/* Room for `capacity` prefixes at half of the slots. */
size_t source_table_size(uint32_t capacity);
/* `memory`: source_table_size(capacity) bytes, 64-byte aligned; zeroed here. */
void source_table_init(struct source_table *table, void *memory, uint32_t capacity,
                       const struct flow_hash_key *key);
/* The records of a client, made if `create`; either may be NULL. */
struct source_pair source_find(struct source_table *table, const struct ip_addr *client,
                               bool create);
/* Free those that hold nothing and have proven nothing in the running second. (What
 * is left over from a past one is replaced when its place is needed.) */
void source_settle(struct source_table *table, struct source_pair pair);

/* Clients of this record proven in the running second. */
static inline uint32_t
source_new(const struct source_table *table, const struct source *source)
{
	return source->second == table->now_s ? source->n_new : 0;
}

/* One more. */
static inline void
source_add_new(const struct source_table *table, struct source *source)
{
	source->n_new = source_new(table, source) + 1;
	source->second = table->now_s;
}

/* Hash of the client's net (/24, /48) and host (/32, /64), also for rate.h. */
uint64_t source_net_hash(const struct flow_hash_key *key, const struct ip_addr *client);
/* The same for whom the family is known. */
uint64_t source_net_hash_of(const struct flow_hash_key *key, const struct ip_addr *client,
                            bool is_v4);
uint64_t source_host_hash(const struct flow_hash_key *key, const struct ip_addr *client);

#endif
