/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A new connection, for a segment's flow: index, table, path and counts at once, written as a
 * whole. Compiled into whoever opens one, so that what is constant there is nothing to be asked.
 * Inside lib/proto only.
 */
#ifndef SYNFRONT_ENTRY_OPEN_H
#define SYNFRONT_ENTRY_OPEN_H

#include "act.h"
#include "entry.h"

/* A connection for this segment's flow, in the index in place of step's entry if it
 * has one, with a path; NULL (counted) if there is no room. state is set by the caller. */
struct conn *conn_open(struct core *core, struct step *step, uint32_t lifetime_s);

/* conn_open(), of a connection with all that conn.rest has but a path. */
static inline __attribute__((always_inline)) struct conn *
conn_open_as(struct core *core, struct step *step, uint32_t lifetime_s,
             unsigned int promised_wscale, uint64_t rest)
{
	const struct segment *seg = step->seg;
	struct conn_table *t = &core->conns;
	uint16_t now_s = core_clock_s(core, 0);
	uint32_t before = 0;

	if (__builtin_expect(step->entry != FLOW_NONE, 0))
		before = conn_replace(core, step);
	/* Nothing is evicted in vain: the path first. */
	uint16_t path = path_get(&core->paths, seg);
	if (__builtin_expect(path == 0, 0)) {
		core_count(core, COUNTER_path_full);
		step->reason = COUNTER_path_full;
		return NULL;
	}
	if (__builtin_expect(t->used == t->capacity, 0) &&
	    !conn_evict(core, step->now, step->out)) {
		core_count(core, COUNTER_table_full);
		step->reason = COUNTER_table_full;
		path_put(&core->paths, path);
		return NULL;
	}
	uint32_t number = conn_table_take(t);
	if (__builtin_expect(!flow_index_insert(&core->index, seg->found.hash, number,
	                                        (uint16_t)(now_s + lifetime_s), &step->at),
	                     0)) {
		core_count(core, COUNTER_index_full);
		step->reason = COUNTER_index_full;
		conn_table_give(t, number);
		path_put(&core->paths, path);
		return NULL;
	}
	core->mutations++;
	step->entry = number;
	struct conn *conn = &t->conns[number];
	conn->flow = seg->flow;
	conn->irs = conn->client_nxt = conn->server_nxt = 0;
	conn->seq_delta = conn->ts_delta = 0;
	conn->rest = rest | conn_rest_of(CONN_PATH, path);
	t->sides[number] = (struct conn_side){
		.service = seg->found.service & (SERVICES_MAX - 1),
		.promised_wscale = promised_wscale & 15,
		.born_s = now_s,
		.before = { (uint16_t)before, (uint16_t)(before >> 16) },
	};
	return conn;
}

/* An entry for a proven client, in a state that is live; NULL if there is no room: the client is
 * told then. */
static inline __attribute__((always_inline)) struct conn *
conn_open_proven(struct core *core, struct step *step, const struct proven *proven,
                 enum conn_state state)
{
	unsigned int promised = state == CONN_CONNECTING ? proven->promised_wscale : WSCALE_NONE;
	uint64_t rest = CONN_REST(.server_wscale = WSCALE_NONE) |
	                conn_rest_of(CONN_CLIENT_WSCALE, proven->offer.wscale) |
	                conn_rest_of(CONN_STATE, state) |
	                conn_rest_of(CONN_FLAGS, proven->offer.timestamps ? CONN_TIMESTAMPS : 0);
	struct conn *conn = conn_open_as(core, step, core->policy->timeouts.idle, promised, rest);

	if (__builtin_expect(conn == NULL, 0)) { /* counted there */
		sum_add(&step->state->refused, 1);
		act_reset(core, step);
		return NULL;
	}
	conn->irs = proven->irs;
	conn->client_nxt = proven->irs + 1;
	conn->server_nxt = proven->iss + 1;
	gauge_add(&core->n_live, 1);
	gauge_add(&step->state->connections, 1);
	return conn;
}

#endif
