/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world around one small core: a few flows between two neighbours, a clock, a
 * policy that can be replaced. world_burst() and world_tick() carry out what
 * the core decides and hold it to the invariants after every step; a splice_model
 * stands beside every flow.
 */
#ifndef SYNFRONT_WORLD_H
#define SYNFRONT_WORLD_H

#include "core.h"
#include "cookie.h"
#include "frame.h"
#include "fuzz.h"
#include "splice_model.h"

#define WORLD_FLOWS 64u
#define WORLD_BURST 8u
#define WORLD_SERVICES 5u
#define WORLD_OPENED 8u
#define WORLD_KNOWN 16u
#define WORLD_POLICY_SIZE 6 /* bytes that say what a policy is */

/* What an end would say next, as far as it goes by the rules. */
struct world_end {
	uint32_t iss, nxt, prev; /* its own: first, next, and the one before that */
	uint32_t rcv, rcv_iss;   /* next expected from its peer, and its peer's SYN */
	uint32_t ts_recent;
	bool timestamps; /* agreed */
};

/* A cookie that has opened a connection. */
struct world_opened {
	uint32_t irs, iss;
	bool is_known;
};

struct world_flow {
	struct flow flow;
	uint32_t tags;
	bool is_v4;
	struct world_end ends[SIDE_COUNT];
	struct world_opened opened[WORLD_OPENED];
	unsigned int n_opened;
	struct splice_model model;
};

/* One frame that goes in. */
struct world_frame {
	uint8_t bytes[FRAME_SIZE];
	size_t len;
	enum side side;
};

struct world_policy {
	struct policy policy;
	struct service services[WORLD_SERVICES];
	struct port_range ports[WORLD_SERVICES];
	struct prefix addresses[2];
	struct prefix deny[2];
};

/* The last rewritten segment that left, to be quoted by an ICMP error. */
struct world_quote {
	uint8_t bytes[FRAME_SIZE];
	size_t len;
	enum side side;        /* it left by */
	struct segment before; /* as it came in; its frame is gone */
	uint32_t flow, number;
};

struct world {
	struct core *core;
	struct core_params params;
	struct world_policy *policy;
	struct secret_ring secrets;
	struct known known; /* of WORLD_KNOWN flows: some have no room */
	uint32_t known_words[WORLD_KNOWN] __attribute__((aligned(64)));
	uint64_t now_ms, wall_ms;
	struct actions actions;
	struct emit_memo memo;
	uint64_t n_received;
	bool trace;
	bool bytes_known; /* every payload so far was made of model_byte() */
	struct world_flow flows[WORLD_FLOWS];
	struct world_quote quote;
};

/* `how`: 4 bytes that choose sizes and switches. */
void world_init(struct world *w, const uint8_t how[4], const uint8_t policy[WORLD_POLICY_SIZE]);
void world_fini(struct world *w);

/* Replace the policy, as a reload does. */
void world_reload(struct world *w, const uint8_t policy[WORLD_POLICY_SIZE]);
/* The clock goes on; nothing else happens. */
void world_clock(struct world *w, uint64_t ms);
void world_tick(struct world *w, unsigned int budget);
void world_reset_remaining(struct world *w, unsigned int max);
/* Up to WORLD_BURST frames in one burst. */
void world_burst(struct world *w, const struct world_frame *frames, unsigned int n);
/* Nothing more happens: all that is remembered must end. */
void world_end(struct world *w);

/* The flow of a segment, WORLD_FLOWS if it is none of ours. */
unsigned int world_find(const struct world *w, const struct flow *flow, uint32_t tags);

/* A policy from a few bytes, on the heap. */
struct world_policy *world_policy_make(const uint8_t how[WORLD_POLICY_SIZE],
                                       const struct core_params *params);
void world_policy_free(struct world_policy *p);

#endif
