/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the tables of a core agree with each other. */
#include "engine.h"

#include "core_state.h"
#include "cookie.h"
#include "entry.h"

/* What the entries of a core add up to. */
struct sums {
	uint32_t half_open, connections;
	uint32_t live, closing, lingering, outbound, adopting, connecting;
	uint32_t half_open_tracked;
	uint32_t counted_conns, counted_half_open;
	uint32_t paths[64];
	uint32_t backends[64];
};

#define TABLE(w, cond) \
	((cond) ? (void)0 : world_violate(w, RULE_tables, "inside the core: %s", #cond))

static void
add_connection(struct world *w, const struct core *core, uint32_t number, struct sums *sums)
{
	const struct conn *c = &core->conns.conns[number];

	TABLE(w, number < core->conns.fresh && c->state != CONN_FREE);
	sums->connections++;
	sums->paths[c->path]++;
	sums->live += c->state == CONN_CONNECTING || c->state == CONN_SPLICED ||
	              c->state == CONN_RESPONDING;
	sums->closing += c->state == CONN_CLOSING;
	/* One that was reset counts while it lingers. */
	sums->lingering += c->state == CONN_CLOSING && !conn_is_closed(c);
	sums->outbound += c->state == CONN_TRACKED && (c->flags & CONN_OUTBOUND);
	sums->adopting += c->state == CONN_TRACKED && (c->flags & CONN_ADOPTING);
	sums->half_open_tracked += c->state == CONN_TRACKED &&
	                           !(c->flags & (CONN_CONFIRMED | CONN_OUTBOUND | CONN_ADOPTING));
	sums->counted_conns += (c->flags & CONN_COUNTED) != 0;
	if (c->state != CONN_CONNECTING)
		return;
	sums->connecting++;
	TABLE(w, c->pending < core->pending.capacity);
	TABLE(w, core->pending.records[c->pending].conn == number);
	sums->backends[core->pending.records[c->pending].backend]++;
}

static void
add_half_open(struct world *w, const struct core *core, uint32_t number, const struct instant *now,
              struct sums *sums)
{
	const struct half_open *h = &core->half_open.entries[number];
	struct cookie_job job = { .flow = &h->flow, .irs = h->irs, .iss = h->iss, .is_v4 = true };
	uint8_t proof;

	TABLE(w, number < core->half_open.fresh);
	sums->half_open++;
	sums->paths[h->path]++;
	sums->counted_half_open += core->half_open.sides[number].counted;
	cookie_check(now->secrets, &job, 1, &proof);
	if (proof != PROOF_EXACT)
		world_violate(w, RULE_cookie, "the ISS of a half-open entry proves nothing");
}

static void
add_index(struct world *w, const struct core *core, const struct instant *now, struct sums *sums)
{
	const struct flow_index *index = &core->index;

	for (uint32_t bucket = 0; bucket <= index->mask; bucket++)
		for (uint32_t slot = 0; slot < FLOW_SLOTS; slot++) {
			const struct flow_bucket *b = &index->buckets[bucket];
			uint32_t entry = b->entry[slot];
			const struct flow *flow;
			struct flow_slot at = { 0 };

			if (b->tag[slot] == 0)
				continue;
			if (entry & FLOW_HALF_OPEN) {
				add_half_open(w, core, FLOW_NUMBER(entry), now, sums);
				flow = &core->half_open.entries[FLOW_NUMBER(entry)].flow;
			} else {
				add_connection(w, core, entry, sums);
				flow = &core->conns.conns[entry].flow;
			}
			/* Found where it stands, so there is no other one of this flow. */
			TABLE(w, entry_find(core, flow, 0, flow_hash(&core->hash_key, flow, 0),
			                    &at) == entry);
			TABLE(w, at.bucket == bucket && at.slot == slot);
		}
	TABLE(w, index->used == sums->connections + sums->half_open);
	TABLE(w, core->conns.used == sums->connections);
	TABLE(w, core->half_open.used == sums->half_open);
}

static void
check_paths(struct world *w, const struct core *core, const struct sums *sums)
{
	const struct path_table *t = &core->paths;
	uint32_t used = 0, free = 0;

	for (uint32_t i = 0; i <= t->mask; i++)
		for (uint32_t p = t->heads[i]; p != 0; p = t->paths[p].next) {
			used++;
			TABLE(w, t->paths[p].n_refs == sums->paths[p] && sums->paths[p] > 0);
		}
	for (uint32_t p = t->free; p != 0; p = t->paths[p].next)
		free++;
	TABLE(w, sums->paths[0] == 0);
	TABLE(w, t->used == used && used + free == t->fresh - 1);
}

static void
check_half_open_lists(struct world *w, const struct core *core)
{
	const struct half_open_table *t = &core->half_open;
	uint32_t n = 0, n_free = 0;

	for (unsigned int stage = 0; stage < HALF_OPEN_STAGES; stage++) {
		uint32_t prev = FLOW_NONE;

		for (uint32_t i = t->head[stage]; i != FLOW_NONE && n <= t->used;
		     prev = i, i = t->entries[i].next, n++) {
			TABLE(w, t->entries[i].prev == prev && t->sides[i].stage == stage);
			TABLE(w, prev == FLOW_NONE || seq_before_eq(t->entries[prev].deadline_ms,
			                                            t->entries[i].deadline_ms));
		}
		TABLE(w, t->tail[stage] == prev);
	}
	for (uint32_t i = t->free; i != FLOW_NONE && n_free <= t->capacity; i = t->entries[i].next)
		n_free++;
	TABLE(w, n == t->used && n + n_free == t->fresh);
}

static void
check_pending_lists(struct world *w, const struct core *core, const struct sums *sums)
{
	const struct pending_table *t = &core->pending;
	uint32_t n = 0, n_free = 0;

	for (unsigned int k = 0; k < 2 * PENDING_STAGES; k++) {
		bool doubtful = k >= PENDING_STAGES;
		unsigned int stage = k % PENDING_STAGES;
		const struct pending_list *list = &t->lists[doubtful][stage];
		uint32_t prev = FLOW_NONE;

		for (uint32_t i = list->head; i != FLOW_NONE && n <= t->used;
		     prev = i, i = t->records[i].next, n++) {
			TABLE(w, t->records[i].prev == prev && t->records[i].stage == stage);
			TABLE(w, t->records[i].held_size <= core->params.hold_bytes);
			TABLE(w, prev == FLOW_NONE ||
			                 t->records[prev].deadline_ms <= t->records[i].deadline_ms);
		}
		TABLE(w, list->tail == prev);
	}
	for (uint32_t i = t->free; i != FLOW_NONE && n_free <= t->capacity; i = t->records[i].next)
		n_free++;
	for (uint32_t i = t->resting; i != FLOW_NONE && n_free <= t->capacity;
	     i = t->records[i].next)
		n_free++;
	TABLE(w, n == t->used && n == sums->connecting && n + n_free == t->capacity);
}

/* Each block is free or some record's; each record that holds anything has its first. */
static void
check_blocks(struct world *w, const struct core *core)
{
	const struct pending_table *t = &core->pending;
	uint32_t n_free = 0, n_held = 0, n_started = 0;

	for (uint32_t i = t->free_block; i != FLOW_NONE && n_free <= t->n_blocks;
	     i = t->blocks[i].next)
		n_free++;
	for (unsigned int k = 0; k < 2 * PENDING_STAGES; k++)
		for (uint32_t i = t->lists[k / PENDING_STAGES][k % PENDING_STAGES].head;
		     i != FLOW_NONE; i = t->records[i].next) {
			uint32_t size = 0;

			n_started += t->records[i].first_block != FLOW_NONE;
			for (uint32_t b = t->records[i].first_block;
			     b != FLOW_NONE && n_held <= t->n_blocks; b = t->blocks[b].next) {
				n_held++;
				size += t->blocks[b].size;
			}
			TABLE(w, size == t->records[i].held_size);
		}
	TABLE(w, n_free == t->n_free_blocks && n_started == t->n_started);
	TABLE(w, n_free + n_held == t->n_blocks);
}

static void
check_counts(struct world *w, const struct core *core, const struct sums *sums)
{
	const struct service_state *s = &core->services[0];
	uint32_t conns = 0, half_open = 0, n_free = 0;

	TABLE(w, core->n_live == sums->live && core->n_closing == sums->closing);
	TABLE(w, core->n_outbound == sums->outbound && core->n_adopting == sums->adopting);
	TABLE(w, s->connections == sums->live + sums->lingering);
	TABLE(w, s->half_open == sums->half_open + sums->half_open_tracked);
	for (uint32_t i = 0; i < core->backends.capacity; i++)
		TABLE(w, core->backends.backends[i].n_connecting == sums->backends[i + 1]);
	/* Each client counts in its host and its net. */
	for (uint32_t i = 0; i < 4 * (core->sources.mask + 1); i++) {
		conns += core->sources.sources[i].n_conns;
		half_open += core->sources.sources[i].n_half_open;
	}
	TABLE(w, conns == 2 * sums->counted_conns && half_open == 2 * sums->counted_half_open);
	for (uint32_t i = core->conns.free; i != FLOW_NONE && n_free <= core->conns.capacity;
	     i = core->conns.conns[i].next_free)
		n_free++;
	TABLE(w, core->conns.used + n_free == core->conns.fresh);
}

/* Did somebody vote who has seen no answer? */
static bool
is_forged(const struct core *core, const struct backend_votes *votes)
{
	const struct flow *forged = world_flow(FLOW_FORGED);
	uint16_t net = (uint16_t)source_net_hash(&core->hash_key, &forged->client);

	for (unsigned int i = 0; i < votes->n; i++)
		if (votes->nets[i] == net)
			return true;
	return false;
}

/* An option that the server has: it has answered each of its offers, so there is nothing to
 * hold against it. */
static void
check_had(struct world *w, const struct core *core, const struct backend_votes *votes,
          bool is_absent, const char *name)
{
	if (is_absent || is_forged(core, votes))
		world_violate(w, RULE_absent, "of the server's %s: it has answered it each time",
		              name);
	else if (votes->n > 0)
		world_violate(w, RULE_late, "of the server's %s: it has answered it each time",
		              name);
}

static void
check_learned(struct world *w, const struct core *core, uint8_t server_options)
{
	for (uint32_t i = 0; i < core->backends.capacity; i++) {
		const struct backend *b = &core->backends.backends[i];
		const struct {
			uint8_t option;
			bool had;
			const struct backend_votes *votes;
			const char *name;
		} rows[] = {
			{ OPTION_WSCALE, b->wscale != WSCALE_NONE, &b->wscale_votes,
			  "window scale" },
			{ OPTION_SACK_PERMITTED, b->sack, &b->sack_votes, "SACK" },
			{ OPTION_TIMESTAMPS, b->timestamps, &b->timestamps_votes, "timestamps" },
		};

		if (b->port_be == 0)
			continue;
		for (unsigned int k = 0; k < 3; k++) {
			bool settled = b->settled & rows[k].option;

			if (server_options & rows[k].option)
				check_had(w, core, rows[k].votes, settled && !rows[k].had,
				          rows[k].name);
			else if (rows[k].had)
				world_violate(w, RULE_absent, "the server has no %s", rows[k].name);
		}
		if (b->mss_votes.n > 0 || (b->mss != 0 && b->mss != SERVER_MSS))
			world_violate(w, RULE_absent, "an MSS that the server has never named");
	}
}

void
inside_check_tables(struct world *w, unsigned int worker, uint8_t server_options)
{
	const struct core *core = w->engines[worker].core;
	struct instant now = world_instant(w, w->model.elapsed_ms);
	struct sums sums = { 0 };

	add_index(w, core, &now, &sums);
	check_paths(w, core, &sums);
	check_half_open_lists(w, core);
	check_pending_lists(w, core, &sums);
	check_blocks(w, core);
	check_counts(w, core, &sums);
	check_learned(w, core, server_options);
}
