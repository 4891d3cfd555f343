/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world that is explored: one server behind one engine (of one or two workers), two
 * clients, somebody who forges, and a network that delays, reorders, loses and repeats.
 *
 * A state of it is `struct model` and the cores' memory. Everything that changes is in these
 * two; the rest of struct world is fixed or scratch. So a state is saved, restored
 * and compared as bytes.
 */
#ifndef SYNFRONT_EXPLORE_WORLD_H
#define SYNFRONT_EXPLORE_WORLD_H

#include <stdio.h>

#include "core.h"
#include "emit.h"
#include "seg.h"

#define CLIENTS 2u
#define FLOWS 3u /* the clients', and one of addresses that nobody has: the forger's */
#define FLOW_FORGED 2u
#define INCARNATIONS 2u /* connections that a client tries from the same ports */
#define WORKERS_MAX 2u
#define POLICIES 2u /* a reload changes from one to the other */
#define NET_MAX 8u  /* segments in flight; one more is lost */
#define OPENED_MAX 4u
#define SYNS_MAX 4u
#define OUT_MAX 16u
#define WORLD_HOLD_BYTES 16u /* early data held for a connection */
#define IMAGE_MAX 16384u     /* bytes of one core's memory that change */
#define ALL_OPTIONS (OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)
#define SERVER_MSS 1400u

enum rule {
#define RULE(name, text) RULE_##name,
#include "rules.def"
#undef RULE
	RULE_COUNT
};
extern const char *const rule_names[RULE_COUNT];
extern const char *const rule_texts[RULE_COUNT];

enum client_state {
	CLIENT_CLOSED,
	CLIENT_SYN_SENT,
	CLIENT_ESTABLISHED, /* until both FINs are acknowledged, or a RST */
};

struct client {
	uint32_t iss, irs;
	uint32_t rcv_nxt;
	uint32_t ts_recent;
	uint8_t state;       /* enum client_state */
	uint8_t n_opened;    /* the running incarnation is this one less 1 */
	uint8_t syn_options; /* of its last SYN */
	uint8_t options;     /* agreed */
	uint8_t sent;        /* bytes of its request; and FIN: */
	uint8_t fin;
	uint8_t una; /* of these, acknowledged */
	uint8_t got; /* of the answer, FIN included */
	uint8_t peer_fin;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct client) == 28, "no holes");

enum server_state {
	SERVER_LISTEN,
	SERVER_SYN_RECEIVED,
	SERVER_ESTABLISHED,
	SERVER_LAST_ACK,
};

/* The server's side of one flow. */
struct server {
	uint32_t irs, iss;
	uint32_t rcv_nxt;
	uint32_t ts_recent;
	uint8_t state;    /* enum server_state */
	uint8_t n_opened; /* each has an ISS of its own */
	uint8_t options;  /* agreed */
	uint8_t sent, fin, una;
	uint8_t zero[2];
};
_Static_assert(sizeof(struct server) == 24, "no holes");

/* A SYN that a worker has seen. */
struct syn_seen {
	uint32_t seq, tsval;
	uint16_t mss;
	uint8_t options, wscale;
};

struct opened {
	uint32_t irs, iss;
};

/* What has happened to a flow, as far as a rule needs it. */
struct history {
	struct opened opened[OPENED_MAX];
	struct syn_seen last_syn[WORKERS_MAX];
	uint32_t client_irs[INCARNATIONS]; /* of the SYN-ACK that the client has taken */
	uint32_t server_iss[INCARNATIONS]; /* of the server's last answer to this one */
	uint16_t mss[INCARNATIONS];        /* the largest named */
	uint8_t options[INCARNATIONS];     /* all that were ever offered */
	uint8_t established[INCARNATIONS]; /* the client has seen its SYN-ACK */
	uint8_t server_got[INCARNATIONS];  /* in order, FIN included */
	uint8_t client_got[INCARNATIONS];
	uint8_t delivered[INCARNATIONS]; /* how often the server has read the first byte */
	uint8_t excused[INCARNATIONS];   /* a restart has forgotten what it had opened */
	uint8_t n_opened;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct history) == 92, "no holes");

struct model {
	uint32_t elapsed_ms;
	uint32_t cookies_until_s; /* what workers tell each other */
	struct client clients[CLIENTS];
	struct server servers[FLOWS];
	struct history flows[FLOWS];
	uint8_t policy;
	uint8_t server_down;
	uint8_t n_segments; /* that the engine has received */
	uint8_t n_mischief; /* that has been done */
	uint8_t n_net;
	uint8_t zero[3];
	struct seg net[NET_MAX]; /* in flight, in order of their bytes; then zeros */
};

struct scenario;

/* One core and what is needed to run it. */
struct engine {
	void *memory;
	struct core *core;
	void *pristine; /* a copy of its memory as it was when the scenario began */
	bool is_dirty;  /* changed since it was last loaded */
	uint8_t image[IMAGE_MAX] __attribute__((aligned(64))); /* scratch */
	struct core_params params;
};

/* One frame that left. */
struct out {
	struct seg seg;
	uint8_t kind; /* enum action_kind */
};

struct violation {
	bool is_set;
	enum rule rule;
	char text[200];
};

struct world {
	const struct scenario *scenario;
	uint64_t base_ms, wall_base_ms; /* at elapsed 0 */
	uint32_t seed;
	struct model model;
	struct engine engines[WORKERS_MAX];
	uint32_t n_workers;
	size_t image_size; /* of one core */
	uint32_t *cookies_until_s;

	struct policy policies[POLICIES];
	struct service services[POLICIES];
	struct prefix address;
	struct port_range port;
	struct secrets_cache *secrets;
	struct restart_cache *restarts;

	struct actions actions;
	struct emit_memo memo;
	struct out out[OUT_MAX]; /* of the last call of an engine */
	unsigned int n_out;
	struct violation violation;
	bool judges; /* assert the rules; off while a path is gone once more */
	FILE *trace; /* what is sent is told here, or NULL */
};

/* `seed` chooses keys, sequence numbers and the phase of the clock. */
void world_init(struct world *w, const struct scenario *scenario, uint32_t seed);
void world_fini(struct world *w);

/* Bytes of a saved state. */
size_t world_size(const struct world *w);
void world_save(const struct world *w, void *state);
/* `all` false: only what has changed since the same state was loaded last. */
void world_load(struct world *w, const void *state, bool all);

struct instant world_instant(struct world *w, uint32_t elapsed_ms);
const struct flow *world_flow(unsigned int flow);
/* Is this a good cookie now, for a client of this ISS? */
bool world_proves(struct world *w, unsigned int flow, uint32_t irs, uint32_t iss);
/* Has a client taken a SYN-ACK whose cookie is good now and has opened nothing? Then the first
 * segment that it has sent, or sends again, opens its connection. */
bool world_may_open(struct world *w, unsigned int flow);
/* Has a client taken the server's own SYN-ACK, which that waits to see acknowledged? */
bool world_is_direct(const struct world *w, unsigned int flow);
/* Does everything cross as it is now? */
bool world_observes(const struct world *w);
/* Does nobody keep anything of it? Then any worker may have any segment. */
bool world_hands_off(const struct world *w);
/* The worker that has a flow. */
static inline unsigned int
world_owner(const struct world *w, unsigned int flow)
{
	return flow % w->n_workers;
}

/* ISS of the forger's own SYNs, and of a client's incarnation. */
uint32_t world_iss(const struct world *w, unsigned int flow, unsigned int incarnation);
/* Which incarnation a sequence number is of; INCARNATIONS: none. */
unsigned int world_incarnation(const struct world *w, unsigned int flow, uint32_t seq);
uint32_t world_tsval(const struct world *w, bool server);
/* The time at which the end's clock began. */
uint32_t world_ts_base(bool server);

/* Into the network; lost if it is full. */
void world_send(struct world *w, const struct seg *seg);
void world_unsend(struct world *w, unsigned int number);

/* A rule is broken. The first one counts. */
__attribute__((format(printf, 3, 4))) void world_violate(struct world *w, enum rule rule,
                                                         const char *format, ...);

#endif
