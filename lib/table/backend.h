/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends: what is known of each server address and port. One bounded, keyed
 * table per worker, in sets of four. What the engine promises to clients comes
 * from each server's own SYN-ACKs, so nobody configures MSS or window scale by
 * hand.
 *
 * Options: the server has one from the first SYN-ACK on that carries it. One that was
 * offered and not answered counts as absent when that has happened BACKEND_ABSENT_VOTES
 * times in a row, towards clients of different prefixes. One that was not offered, by any
 * SYN that the server may have answered, says nothing: the bare SYN of an attacker teaches
 * nothing.
 *
 * MSS: one that is higher than known counts at once, a lower one by the same votes: a server
 * names a lower one to a single client when it has learned that the path to that client is
 * narrow (RFC 1191), and to all when its own link has changed. Since all clients may be of one
 * net (behind a balancer or a NAT64), BACKEND_MSS_ANSWERS lower ones in a row count too, if they
 * came over more than BACKEND_MSS_S; then the highest of them is taken. A client whose path is
 * narrow can bring that about where nobody else comes for so long, and the next answer to anybody
 * undoes it.
 */
#ifndef SYNFRONT_BACKEND_H
#define SYNFRONT_BACKEND_H

#include "flow_hash.h"
#include "tcp_options.h"

#define BACKEND_NONE 0u /* number of no backend; real ones start at 1 */
/* Answers without an option that was offered, in a row, to different prefixes,
 * until it counts as absent. */
#define BACKEND_ABSENT_VOTES 3u
/* Failures towards different prefixes, with no success between, until down. Of one that has
 * never answered anybody: towards any. */
#define BACKEND_DOWN_VOTES 3u
/* Clients, each of another prefix, that may try one that is down in each interval: whom it
 * does not answer, since it bans him or for what he sends, keeps nobody else from asking. */
#define BACKEND_PROBES 3u

/* How often a server is asked again for an option that counts as absent, seconds: it may
 * have been given it since. */
#define BACKEND_ASK_AGAIN_S 600u

/* Answers in a row with a lower MSS, be they to whom they may, and the seconds that pass over
 * them, until it counts. */
#define BACKEND_MSS_ANSWERS 16u
#define BACKEND_MSS_S 60u

#define BACKEND_VOTES_MAX 3u

/* What is learned by asking for it, enum segment_option. */
#define BACKEND_OPTIONS (OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)

_Static_assert(BACKEND_ABSENT_VOTES <= BACKEND_VOTES_MAX && BACKEND_ABSENT_VOTES > 0 &&
                       BACKEND_DOWN_VOTES <= BACKEND_VOTES_MAX && BACKEND_DOWN_VOTES > 0 &&
                       BACKEND_PROBES <= BACKEND_VOTES_MAX,
               "the voters are remembered but for the last one");

/* Votes of different nets in a row. Of a net's hash 16 bits are kept: two nets that
 * agree in them delay a decision, no more. */
struct backend_votes {
	uint16_t nets[BACKEND_VOTES_MAX - 1];
	uint8_t n;
} __attribute__((packed));

struct backend {
	struct ip_addr addr;
	uint16_t port_be; /* 0: free */
	uint16_t mss;     /* of its SYN-ACKs; 0: not learned */
	uint8_t wscale;   /* the last seen; WSCALE_NONE: does none, or not learned */
	/* Options, enum segment_option: seen or absent by votes; of these the absent ones. */
	uint8_t settled, absent;
	union {
		struct {
			bool known : 1; /* has answered: mss, wscale, sack, timestamps may be
			                 * promised */
			bool sack : 1;  /* seen, and not absent since */
			bool timestamps : 1;
			bool down : 1;
			uint8_t ttl_below : 4; /* 256 - TTL of its SYN-ACKs; 0: no neighbour's,
			                        * see segment_ttl() */
		};
		uint8_t shows; /* all of them, for who writes many at once */
	};
	struct backend_votes sack_votes, timestamps_votes, wscale_votes, mss_votes;
	struct backend_votes down_votes; /* down: who has tried it in this interval */
	uint8_t learn_s;                 /* a second, modulo 2^8 ... */
	uint8_t n_learn;       /* ... and the SYNs that passed in it to learn from; the caller's */
	uint8_t n_lower;       /* answers in a row with a lower MSS ... */
	uint16_t lower_mss;    /* ... the highest of these ... */
	uint16_t lower_s;      /* ... and when they began, seconds modulo 2^16 */
	uint32_t n_connecting; /* the caller's to count */
	/* Seconds modulo 2^16: */
	uint16_t probe_s; /* down: when clients may try it again; up: when to ask again */
	uint16_t seen_s;  /* last used, for replacement */
} __attribute__((aligned(64)));

/* backend.shows with these fields, of constants. */
#define BACKEND_SHOWS(...) (((struct backend){ __VA_ARGS__ }).shows)

_Static_assert(sizeof(struct backend) == 64, "a backend is one cache line");

struct backend_table {
	struct backend *backends;
	uint32_t capacity, mask; /* mask: sets - 1 */
	/* 16 bytes of which some change whenever, and only when, a backend comes to be here. */
	uint32_t used;
	uint32_t n_forgotten; /* known ones that gave way to others */
	uint64_t n_placed;    /* ever; while it stays, each pointer is to the same backend */
	const struct flow_hash_key *key;
};

/* `capacity` is rounded up to a power of two, at least 4. */
size_t backend_table_size(uint32_t capacity);
/* `memory`: backend_table_size(capacity) bytes, 64-byte aligned; zeroed here. */
void backend_table_init(struct backend_table *table, void *memory, uint32_t capacity,
                        const struct flow_hash_key *key);
/* Number of the backend, or BACKEND_NONE. With `create`, one not in use
 * (n_connecting 0) is replaced if its set is full: one that has never answered if
 * there is any, else one that is not down; of these the longest unused. */
uint32_t backend_find(struct backend_table *table, const struct ip_addr *addr, uint16_t port_be,
                      bool create, uint32_t now_s);
/* The same for whom looks from outside: its use is not noted. */
uint32_t backend_look(const struct backend_table *table, const struct ip_addr *addr,
                      uint16_t port_be);
static inline bool
backend_is(const struct backend *backend, const struct ip_addr *addr, uint16_t port_be)
{
	return backend->port_be == port_be && ip_addr_equal(&backend->addr, addr);
}

static inline struct backend *
backend_at(const struct backend_table *table, uint32_t number)
{
	return number == BACKEND_NONE ? NULL : &table->backends[number - 1];
}

/* A SYN-ACK of the server to a SYN that offered `offered`: learn from it.
 * `net`: hash of the client's prefix. `answered->mss` 0: it named none. */
void backend_learn(struct backend *backend, const struct tcp_offer *offered,
                   const struct tcp_offer *answered, uint32_t net, uint32_t now_s);
/* The server answered: it is up. */
void backend_succeed(struct backend *backend);
/* The TTL of such a SYN-ACK: near 255 it is the mark of a neighbour (RFC 5082), and what is sent in
 * the server's name has it too. */
static inline unsigned int
backend_ttl_below(uint8_t ttl)
{
	return ttl > 256 - 16 ? 256u - ttl : 0;
}

static inline void
backend_learn_ttl(struct backend *backend, uint8_t ttl)
{
	backend->ttl_below = backend_ttl_below(ttl) & 15;
}

/* ... and as struct packet has it. */
static inline uint8_t
backend_ttl(const struct backend *backend)
{
	return (uint8_t)-backend->ttl_below;
}

/*
 * A server's SYN-ACK to a SYN that it was asked by: it is up, and what it has is learned, as by
 * backend_succeed(), backend_learn() and backend_learn_ttl(). Mostly nothing is missing that was
 * offered, and the MSS is as it was: no votes are to be taken then.
 */
static inline void
backend_answers(struct backend *b, const struct tcp_offer *offered,
                const struct tcp_offer *answered, uint8_t ttl, uint32_t net, uint32_t now_s)
{
	bool is_lacking = offered->sack != answered->sack ||
	                  offered->timestamps != answered->timestamps ||
	                  offered->wscale == WSCALE_NONE || answered->wscale == WSCALE_NONE;

	if (is_lacking || answered->mss < b->mss || answered->mss == 0) {
		backend_succeed(b);
		backend_learn(b, offered, answered, net, now_s);
		backend_learn_ttl(b, ttl);
		return;
	}
	uint8_t options = (uint8_t)(OPTION_WSCALE | answered->sack * OPTION_SACK_PERMITTED |
	                            answered->timestamps * OPTION_TIMESTAMPS);
	b->wscale_votes.n = b->mss_votes.n = b->down_votes.n = b->n_lower = 0;
	if (answered->sack)
		b->sack_votes.n = 0;
	if (answered->timestamps)
		b->timestamps_votes.n = 0;
	b->mss = answered->mss;
	b->wscale = answered->wscale;
	b->settled |= options;
	b->absent &= (uint8_t)~options;
	uint8_t stays = b->shows &
	                (BACKEND_SHOWS(.sack = true) | BACKEND_SHOWS(.timestamps = true));
	b->shows = (uint8_t)(stays | BACKEND_SHOWS(.known = true) |
	                     answered->sack * BACKEND_SHOWS(.sack = true) |
	                     answered->timestamps * BACKEND_SHOWS(.timestamps = true) |
	                     backend_ttl_below(ttl) * BACKEND_SHOWS(.ttl_below = 1));
}

/* Whether the answer to a SYN with these options (enum segment_option) would decide what is
 * still open. (A server that was only ever asked by bare SYNs is known, and nothing of it is
 * settled.) */
static inline bool
backend_curious(const struct backend *backend, uint8_t offered)
{
	return !backend->known || (offered & BACKEND_OPTIONS & ~backend->settled) != 0;
}

/* Whether one of these options counts as absent and it is time to ask again. */
bool backend_asks_again(const struct backend *backend, uint8_t offered, uint32_t now_s);
/* The same, and it is asked now: true once in BACKEND_ASK_AGAIN_S. */
bool backend_ask_again(struct backend *backend, uint8_t offered, uint32_t now_s);
/* It refused or kept silent towards a client of `net`. True if that took it down. */
bool backend_fail(struct backend *backend, uint32_t net, uint32_t now_s, uint32_t probe_every_s);
/* Whether a client of `net` may try a server that is down: BACKEND_PROBES of different nets
 * in an interval, which begins with the first of them. */
bool backend_may_probe(const struct backend *backend, uint32_t net, uint32_t now_s,
                       uint32_t probe_every_s);
/* The same, and it tries. */
bool backend_probe(struct backend *backend, uint32_t net, uint32_t now_s, uint32_t probe_every_s);
/* A promise was broken: know nothing of its options. */
void backend_forget(struct backend *backend);

#endif
