/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why is this client refused? What a core holds of one client, and what its next segments would
 * get, by the decision's own code and without a trace in the core.
 *
 *   core (its worker's) ---- explain_copy() ----> trial, a small core of its own
 *                                                   |   explain_ask(): core_locate(),
 *                                                   v   core_decide_noted()
 *                                                 outcome, row, reason
 *
 * A trial is a core with room for a few entries, under the same policy and the same keys. What
 * can weigh in the decision on one flow is copied to it: its entry, its service's counts, its
 * source's, the rates that it shares cells with, all budgets, what is known of its server, and
 * whether tables are full. Whatever the decision then changes, it changes there. A worker spends
 * a microsecond or two on the copy; the rest is the asker's.
 *
 * What differs: no eviction is tried where the connection table is full, since its victim would
 * have to be looked for among all; and data that is held for a server is not copied.
 */
#ifndef SYNFRONT_EXPLAIN_H
#define SYNFRONT_EXPLAIN_H

#include "core.h"

/* One count of a client's net and host, the engine's words in OPERATING.md. */
struct explain_source {
	uint32_t connections, half_open, new_per_s, syn_per_s;
};

struct explain_facts {
	uint16_t service;
	bool is_observed; /* then all that follows is what would be */
	bool is_admitted; /* by allow and deny */
	bool is_draining;
	bool cookie_mode; /* of the service */
	bool is_proven;   /* its net completed a connection within the last two minutes */
	bool is_known;    /* mode handoff: to the shield */
	bool is_full;     /* no half-open entry is left */
	bool has_entry, is_half_open;
	enum conn_state state; /* of the entry, if it is not half-open */
	uint8_t n_sent;        /* SYN-ACKs sent from a half-open entry, SYNs of a CONNECTING one */
	uint32_t held;         /* CONNECTING: bytes of early data */
	bool backend_known, backend_down;
	struct explain_source host, net;
	uint32_t answers_per_s; /* to its net: what the reflection cap counts */
};

/* What one segment would get. */
struct explain_verdict {
	bool is_asked; /* false: there is nothing to ask */
	uint8_t outcome;
	struct core_note note;
	bool has_syn_ack; /* the answer is a SYN-ACK ... */
	bool asks_server; /* ... or a SYN goes to the server */
};

struct explain_answer {
	struct explain_verdict syn;   /* a SYN */
	struct explain_verdict proof; /* the ACK of the SYN-ACK that it would get */
	struct explain_verdict ack;   /* an ACK as things stand: the next of its connection, or one
	                                * that proves nothing */
};

/* A core for trials of what a core with these parameters does; `known` as in core_params, of its
 * own. Bytes of memory, 64-byte aligned, and its making. */
size_t explain_size(const struct core_params *params);
struct core *explain_init(void *memory, const struct core_params *params,
                          const struct policy *policy, const struct known *known,
                          const struct instant *now);
/* On the thread of `core`: what it holds of the flow, and the copy of it to each of the trials.
 * The service of the flow must be one of the policy's. */
void explain_copy(const struct core *core, const struct flow *flow, uint32_t tags,
                  const struct instant *now, struct explain_facts *facts, struct core *trials[2]);
/* What the flow's next segments would get; both trials are spent then. */
void explain_ask(struct core *trials[2], const struct flow *flow, uint32_t tags,
                 const struct instant *now, struct explain_answer *answer);

/* Flows of a client, of any service. Looks at up to `look` entries from *at on, and moves it;
 * *at is 0 at the end. Returns how many it has found, at most `max`. */
struct explain_flow {
	struct flow flow;
	uint32_t tags;
	uint16_t service;
	bool is_half_open;
	enum conn_state state;
};
uint32_t explain_flows(const struct core *core, const struct ip_addr *client, uint64_t *at,
                       uint32_t look, struct explain_flow *flows, uint32_t max);

#endif
