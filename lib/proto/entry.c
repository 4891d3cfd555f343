/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making and ending entries: the index, the tables, the path, and the counts
 * of service and source move together, here alone.
 */
#include "entry.h"

#include "act.h"
#include "admission.h"
#include "incarnation.h"
#include "unfinished.h"

#define EVICT_LOOK 64u /* connections looked at for a victim */

_Static_assert(SERVICES_MAX <= 1u << 12, "conn_side.service holds each");

struct conn *
conn_of(struct core *core, uint32_t entry)
{
	return &core->conns.conns[FLOW_NUMBER(entry)];
}

uint32_t
conn_number(const struct core *core, const struct conn *conn)
{
	return (uint32_t)(conn - core->conns.conns);
}

bool
entry_is(const struct core *core, uint32_t entry, const struct flow *flow, uint32_t tags)
{
	const struct flow *have;
	uint16_t path;

	if (entry & FLOW_HALF_OPEN) {
		const struct half_open *h = &core->half_open.entries[FLOW_NUMBER(entry)];
		have = &h->flow;
		path = h->path;
	} else {
		const struct conn *c = &core->conns.conns[entry];
		have = &c->flow;
		path = c->path;
	}
	return flow_equal(have, flow) && core->paths.paths[path].tags == tags;
}

uint32_t
entry_find(const struct core *core, const struct flow *flow, uint32_t tags, uint64_t hash,
           struct flow_slot *at)
{
	struct flow_walk walk = flow_walk_start(&core->index, hash);
	uint32_t entry;

	while ((entry = flow_walk_next(&walk)) != FLOW_NONE)
		if (entry_is(core, entry, flow, tags)) {
			*at = walk.at;
			return entry;
		}
	return FLOW_NONE;
}

/* Opened and not ended; a CLOSING one has nothing left to say. */
static bool
state_is_live(unsigned int state)
{
	return state == CONN_CONNECTING || state == CONN_SPLICED || state == CONN_RESPONDING;
}

bool
conn_is_live(const struct conn *conn)
{
	return state_is_live(conn->state);
}

bool
conn_remains(const struct conn *conn)
{
	return state_is_live(conn->state) || conn->state == CONN_CLOSING;
}

bool
conn_find_slot(const struct core *core, uint32_t number, struct flow_slot *at)
{
	const struct conn *conn = &core->conns.conns[number];
	uint32_t tags = core->paths.paths[conn->path].tags;

	return entry_find(core, &conn->flow, tags, flow_hash(&core->hash_key, &conn->flow, tags),
	                  at) == number;
}

uint32_t
server_of_any(struct core *core, const struct step *step)
{
	const struct flow *flow = &step->seg->flow;
	struct destination *place = destination_place(&core->destinations, flow);
	struct backend *b = backend_at(&core->backends, place->backend);

	if (b != NULL && backend_is(b, &flow->server, flow->server_port_be)) {
		b->seen_s = (uint16_t)core->sources.now_s;
	} else {
		uint32_t before = core->backends.n_forgotten;
		place->backend = backend_find(&core->backends, &flow->server, flow->server_port_be,
		                              true, core->sources.now_s);
		if (core->backends.n_forgotten != before)
			core_count(core, COUNTER_backend_forgotten);
	}
	core->server_last = place->backend;
	return place->backend;
}

static void
conn_uncount_source(struct core *core, struct conn *conn)
{
	if (!(conn->flags & CONN_COUNTED))
		return;
	struct source_pair pair = source_find(&core->sources, &conn->flow.client, false);
	if (pair.host != NULL && pair.host->n_conns > 0)
		pair.host->n_conns--;
	if (pair.net != NULL && pair.net->n_conns > 0)
		pair.net->n_conns--;
	source_settle(&core->sources, pair);
	conn->flags &= ~(unsigned int)CONN_COUNTED;
}

/*
 * Does it count against limits? One that both ends have closed does not: its clients have gone.
 * One that was reset does while it lingers, since the RST need not have reached its receiver: it
 * may be live again.
 */
static bool
state_is_counted(const struct conn *conn, unsigned int state)
{
	return state_is_live(state) || (state == CONN_CLOSING && !conn_is_closed(conn));
}

void
conn_set_state(struct core *core, struct conn *conn, enum conn_state state)
{
	bool was = state_is_live(conn->state), is = state_is_live(state);
	bool counted = state_is_counted(conn, conn->state), counts = state_is_counted(conn, state);
	struct conn_side *side = &core->conns.sides[conn_number(core, conn)];

	gauge_add(&core->n_closing,
	          (uint32_t)((state == CONN_CLOSING) - (conn->state == CONN_CLOSING)));
	if (was != is) {
		side->readmitted = 0; /* lies over ts_echo, which only a live one needs */
		gauge_add(&core->n_live, is ? 1u : ~0u);
	}
	if (counted != counts)
		gauge_add(&core->services[side->service].connections, counts ? 1u : ~0u);
	conn->state = state;
	if (!counts)
		conn_uncount_source(core, conn);
}

/* Take what ends out of all counts; what was live or closing is SPENT from now on. */
static void
conn_settle(struct core *core, struct conn *conn)
{
	const struct conn_side *side = &core->conns.sides[conn_number(core, conn)];

	if (conn_is_half_open(conn))
		admission_half_open(core, side->service, -1);
	if (conn->state == CONN_TRACKED && (conn->flags & CONN_OUTBOUND))
		core->n_outbound--;
	if (conn->state == CONN_CLOSING) {
		core_count(core, conn->flags & CONN_RESET ? COUNTER_reset : COUNTER_completed);
	}
	if (conn->state == CONN_TRACKED) {
		if (conn->flags & CONN_CONFIRMED)
			core_count(core, COUNTER_tracked_ended);
		core->n_adopting -= !!(conn->flags & CONN_ADOPTING);
	}
	if (conn->state == CONN_CLOSING || state_is_live(conn->state))
		conn_set_state(core, conn, CONN_SPENT);
	conn_uncount_source(core, conn);
}

/* Take an entry out of everything. */
static void
conn_free(struct core *core, uint32_t number, struct flow_slot at)
{
	struct conn *conn = &core->conns.conns[number];

	conn_settle(core, conn);
	path_put(&core->paths, conn->path);
	flow_index_remove(&core->index, at);
	core->mutations++;
	conn_table_give(&core->conns, number);
}

static void
connect_abandon(struct core *core, struct conn *conn)
{
	connecting_uncount(backend_of_pending(core, pending_of(core, conn)));
	pending_give(&core->pending, conn->pending);
}

bool
conn_cookie_lives(const struct core *core, uint32_t number, const struct instant *now)
{
	uint16_t age = (uint16_t)(clock_s(now, 0) - core->conns.sides[number].born_s);

	return core->conns.conns[number].state != CONN_TRACKED && age <= COOKIE_LIFE_MAX_S;
}

void
conn_finish(struct core *core, uint32_t number, struct flow_slot at, const struct instant *now)
{
	struct conn *conn = &core->conns.conns[number];
	uint16_t born_s = core->conns.sides[number].born_s;

	if (conn->state == CONN_CONNECTING)
		connect_abandon(core, conn);
	/* Only what a cookie has opened can be opened by it again. */
	if (conn->state == CONN_SPENT || !conn_cookie_lives(core, number, now)) {
		conn_free(core, number, at);
		return;
	}
	conn_settle(core, conn);
	conn->state = CONN_SPENT;
	flow_index_touch(&core->index, at, (uint16_t)(born_s + COOKIE_LIFE_MAX_S + 1u));
}

void
conn_reset_ends(struct core *core, const struct conn *conn, struct actions *out)
{
	struct packet *p = act_send(core, out, &conn->flow, conn->path, NULL, SIDE_OUTSIDE,
	                            TCP_RST | TCP_ACK);
	if (p != NULL) {
		p->seq = conn->server_nxt;
		p->ack = conn->state == CONN_CONNECTING ? conn->irs + 1 : conn->client_nxt;
		core_count(core, COUNTER_rst_sent);
	}
	if (conn->state == CONN_RESPONDING || conn->state == CONN_CONNECTING)
		return;
	p = act_send(core, out, &conn->flow, conn->path, NULL, SIDE_INSIDE, TCP_RST | TCP_ACK);
	if (p != NULL) {
		p->seq = conn->client_nxt;
		p->ack = conn->server_nxt - conn->seq_delta;
		core_count(core, COUNTER_rst_sent);
	}
}

/* Nothing can come any more that matters: reset, or both FINs acknowledged. */
static bool
closing_over(const struct conn *conn)
{
	return (conn->flags & CONN_RESET) || (conn->client_lag | conn->server_lag) == 0;
}

uint32_t
splice_lifetime(const struct core *core, const struct conn *conn)
{
	const struct timeouts *t = &core->policy->timeouts;

	if (conn_is_closed(conn))
		return t->closing;
	return conn_fins(conn) != 0 ? t->half_closed : t->idle;
}

/* What its deadline was put ahead by when it was last touched. */
static uint32_t
conn_lifetime(const struct core *core, const struct conn *conn)
{
	const struct timeouts *t = &core->policy->timeouts;

	if (conn->state == CONN_SPENT)
		return COOKIE_LIFE_MAX_S;
	if (conn->flags & CONN_RESET)
		return t->reset_linger;
	if (conn->state == CONN_TRACKED && !(conn->flags & CONN_CONFIRMED))
		return UNCONFIRMED_S;
	return splice_lifetime(core, conn);
}

/* How willingly a connection is given up: 0 never, higher sooner. */
static unsigned int
evict_rank(const struct core *core, const struct conn *conn, uint16_t idle_s)
{
	switch ((enum conn_state)conn->state) {
	case CONN_CLOSING:
		return closing_over(conn) || idle_s >= core->policy->timeouts.protect ? 5 : 0;
	case CONN_SPENT:
		/* A young one before a live client is refused: all that it keeps is the owner
		 * of an address from opening once more by the same cookie. */
		return idle_s >= core->policy->timeouts.protect ? 4 : 1;
	case CONN_SPLICED:
	case CONN_RESPONDING:
		return !(conn->flags & CONN_CLIENT_DATA) && idle_s >= core->policy->timeouts.protect
		               ? 3
		               : 0;
	case CONN_TRACKED:
		return !(conn->flags & CONN_CONFIRMED) && idle_s >= UNCONFIRMED_S / 2 ? 2 : 0;
	default:
		return 0;
	}
}

/* The best victim among the next EVICT_LOOK. */
bool
conn_evict(struct core *core, const struct instant *now, struct actions *out)
{
	struct conn_table *t = &core->conns;
	uint32_t best = FLOW_NONE;
	struct flow_slot best_at = { 0 };
	unsigned int best_rank = 0;
	uint16_t best_idle = 0;

	/* A table full of connections that must stay is not searched for each
	 * packet of a flood. */
	if (core->futile_ms == now->now_ms)
		return false;
	for (unsigned int i = 0; i < EVICT_LOOK && i < t->capacity; i++) {
		uint32_t number = t->hand;
		struct conn *c = &t->conns[number];
		struct flow_slot at;

		t->hand = t->hand + 1 < t->capacity ? t->hand + 1 : 0;
		if (c->state == CONN_FREE || c->state == CONN_CONNECTING)
			continue;
		if (!conn_find_slot(core, number, &at))
			continue;
		int16_t left = (int16_t)(core->index.buckets[at.bucket].deadline[at.slot] -
		                         clock_s(now, 0));
		int32_t idle = (int32_t)conn_lifetime(core, c) - left;
		uint16_t idle_s = idle > 0 ? (uint16_t)idle : 0;
		unsigned int rank = evict_rank(core, c, idle_s);
		if (rank > best_rank || (rank == best_rank && rank > 0 && idle_s > best_idle)) {
			best = number;
			best_at = at;
			best_rank = rank;
			best_idle = idle_s;
		}
	}
	if (best == FLOW_NONE) {
		core->futile_ms = now->now_ms;
		return false;
	}
	struct conn *victim = &t->conns[best];
	if (conn_is_half_open(victim))
		unfinished_note(core, &victim->flow, victim->path, true, now);
	if (victim->state != CONN_TRACKED && victim->state != CONN_SPENT)
		conn_reset_ends(core, victim, out);
	if (victim->state == CONN_SPLICED || victim->state == CONN_RESPONDING)
		core_count(core, COUNTER_evicted);
	conn_free(core, best, best_at);
	return true;
}

void
entry_clear(struct core *core, struct step *step)
{
	if (step->entry & FLOW_HALF_OPEN) {
		half_open_drop(core, FLOW_NUMBER(step->entry), step->at);
	} else {
		const struct conn *conn = &core->conns.conns[step->entry];

		/* A CLOSING one is counted as completed or reset by conn_free(). */
		if (conn_remains(conn) && conn->state != CONN_CLOSING)
			core_count(core, COUNTER_reset);
		conn_free(core, step->entry, step->at);
	}
	step->entry = FLOW_NONE;
}

__attribute__((noinline)) uint32_t
conn_replace(struct core *core, struct step *step)
{
	struct conn_side side = { 0 };
	uint32_t entry = step->entry, before;

	if (entry & FLOW_HALF_OPEN) {
		core_count(core, COUNTER_half_open_replaced);
	} else {
		core_count(core, COUNTER_reused);
		if (conn_cookie_lives(core, entry, step->now))
			incarnation_follow(conn_of(core, entry), &core->conns.sides[entry],
			                   step->seg->seq, &side);
	}
	entry_clear(core, step);
	memcpy(&before, side.before, sizeof(before));
	return before;
}

/* Not counted in its source any more. */
static void
half_open_uncount(struct core *core, uint32_t number)
{
	struct half_open_side *side = &core->half_open.sides[number];

	if (!side->counted)
		return;
	struct source_pair pair = source_find(&core->sources,
	                                      &core->half_open.entries[number].flow.client, false);
	if (pair.host != NULL && pair.host->n_half_open > 0)
		pair.host->n_half_open--;
	if (pair.net != NULL && pair.net->n_half_open > 0)
		pair.net->n_half_open--;
	source_settle(&core->sources, pair);
	side->counted = false;
}

void
half_open_drop(struct core *core, uint32_t number, struct flow_slot at)
{
	struct half_open *h = &core->half_open.entries[number];

	half_open_uncount(core, number);
	path_put(&core->paths, h->path);
	flow_index_remove(&core->index, at);
	core->mutations++;
	uint16_t service = h->service;
	half_open_give(&core->half_open, number);
	admission_half_open(core, service, -1);
}
