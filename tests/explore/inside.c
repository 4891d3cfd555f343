/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this test knows of the inside of a core: images of its memory, and looking up in it. What
 * in an image can make no difference is inside_level.c's, and that its tables agree
 * inside_check.c's.
 */
#include "engine.h"

#include <stdio.h>

#include "decision.h"
#include "entry.h"
#include "inside.h"
#include "observe.h"

/* Where the beginning of a block of held data is kept: behind the regions. */
static size_t
regions_size(const struct region r[REGIONS])
{
	return r[0].size + r[1].size + r[2].size + r[3].size;
}

struct core *
inside_shadow(const struct core *core)
{
	return core->observer != NULL ? core->observer->shadow : NULL;
}

/* In an image, where the next part begins as aligned as a core is. */
static size_t
size_of_core(const struct core *core)
{
	struct region r[REGIONS];

	regions_of(core, r);
	size_t size = regions_size(r) + (size_t)core->pending.n_blocks * WORLD_HOLD_BYTES;
	return (size + _Alignof(struct core) - 1) & ~(_Alignof(struct core) - 1);
}

/* What an observer remembers, the last part of an image. */
static size_t
seen_size(const struct core *core)
{
	return core->observer != NULL ? known_size(core->params.seen) : 0;
}

size_t
inside_size(const struct core *core)
{
	const struct core *shadow = inside_shadow(core);

	return size_of_core(core) + (shadow != NULL ? size_of_core(shadow) : 0) + seen_size(core);
}

/* Returns where the next part of the image begins. */
static uint8_t *
save_core(const struct core *core, uint8_t *at)
{
	const struct pending_table *pending = &core->pending;
	uint8_t *end = at + size_of_core(core);
	struct region r[REGIONS];

	regions_of(core, r);
	for (unsigned int i = 0; i < REGIONS; at += r[i].size, i++)
		memcpy(at, r[i].at, r[i].size);
	for (uint32_t i = 0; i < pending->n_blocks; i++, at += WORLD_HOLD_BYTES)
		memcpy(at, pending->data + (size_t)i * PENDING_BLOCK_SIZE, WORLD_HOLD_BYTES);
	memset(at, 0, (size_t)(end - at));
	return end;
}

void
inside_save(const struct engine *e, void *image)
{
	const struct core *core = e->core, *shadow = inside_shadow(core);
	uint8_t *at = save_core(core, image);

	if (shadow == NULL)
		return;
	at = save_core(shadow, at);
	memcpy(at, core->observer->seen.words, seen_size(core));
}

static const uint8_t *
load_core(struct core *core, const uint8_t *at)
{
	const uint8_t *end = at + size_of_core(core);
	const struct policy *policy = core->policy;
	struct region r[REGIONS];

	regions_of(core, r);
	for (unsigned int i = 0; i < REGIONS; at += r[i].size, i++)
		memcpy(r[i].at, at, r[i].size);
	/* What is remembered is no part of an image. */
	if (core->policy != policy)
		core_forget(core);
	/* Kinds of SYNs name servers and plans of another history: they are found out anew. */
	core->kinds_turn.stamp = UINT64_MAX;
	const struct pending_table *pending = &core->pending;
	for (uint32_t i = 0; i < pending->n_blocks; i++, at += WORLD_HOLD_BYTES)
		memcpy(pending->data + (size_t)i * PENDING_BLOCK_SIZE, at, WORLD_HOLD_BYTES);
	return end;
}

void
inside_load(struct engine *e, const void *image)
{
	const uint8_t *at = load_core(e->core, image);

	if (inside_shadow(e->core) == NULL)
		return;
	at = load_core(inside_shadow(e->core), at);
	memcpy(e->core->observer->seen.words, at, seen_size(e->core));
}

bool
inside_is_clean(const struct engine *e, const struct core_params *params)
{
	const struct core *core = e->core;
	const uint8_t *memory = e->memory, *was = e->pristine;
	size_t services = offsetof(struct core, services) + sizeof(core->services[0]);
	size_t scratch = offsetof(struct core, syns);
	size_t rates = (size_t)((uint8_t *)core->syn_rate.cells - memory);
	size_t recent = (size_t)((uint8_t *)core->proven.bits[0] - memory);

	return recent < core_size(params) &&
	       memcmp(memory + services, was + services, scratch - services) == 0 &&
	       memcmp(memory + rates, was + rates, recent - rates) == 0;
}

struct hash
inside_hash(struct engine *e, size_t size, const struct instant *now)
{
	struct core *shadow = inside_shadow(e->core);

	/* What rests is free before anything else happens. */
	pending_settle(&e->core->pending);
	if (shadow != NULL)
		pending_settle(&shadow->pending);
	inside_save(e, e->image);
	inside_level(e->core, e->image, now);
	if (shadow != NULL) {
		uint8_t *at = e->image + size_of_core(e->core);
		uint32_t *words = (uint32_t *)(void *)(at + size_of_core(shadow));

		inside_level(shadow, at, now);
		/* Nothing ever has to give way. */
		for (size_t i = 0; i < seen_size(e->core) / sizeof(words[0]); i++)
			words[i] &= ~KNOWN_TIME_MASK;
	}
	return hash_of(e->image, size, now->now_ms);
}

/* ---- looking up ------------------------------------------------------- */

struct inside_entry
inside_find(struct core *core, unsigned int flow)
{
	const struct flow *f = world_flow(flow);
	struct flow_slot at;
	uint32_t entry = entry_find(core, f, 0, flow_hash(&core->hash_key, f, 0), &at);

	if (entry == FLOW_NONE)
		return (struct inside_entry){ .kind = ENTRY_NONE };
	if (entry & FLOW_HALF_OPEN)
		return (struct inside_entry){
			.kind = ENTRY_HALF_OPEN,
			.irs = core->half_open.entries[FLOW_NUMBER(entry)].irs,
		};
	const struct conn *conn = conn_of(core, entry);
	return (struct inside_entry){
		.kind = ENTRY_CONNECTION,
		.state = conn->state,
		.irs = conn->irs,
		.client_gone = conn->state == CONN_CONNECTING &&
		               (core->pending.records[conn->pending].flags & PENDING_CLIENT_GONE),
	};
}

bool
inside_is_taught(const struct core *core)
{
	const uint8_t options = OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS;

	for (uint32_t i = 0; i < core->backends.capacity; i++)
		if (core->backends.backends[i].port_be != 0)
			return (core->backends.backends[i].settled & options) == options;
	return false;
}

bool
inside_is_idle(const struct core *core)
{
	for (uint32_t i = 0; i < 4 * (core->sources.mask + 1); i++)
		if (core->sources.sources[i].n_conns | core->sources.sources[i].n_half_open)
			return false;
	for (uint32_t i = 0; i < core->backends.capacity; i++)
		if (core->backends.backends[i].n_connecting != 0)
			return false;
	return core->n_outbound == 0 && core->n_adopting == 0;
}

static bool rows_taken[STATE_COUNT][SIDE_COUNT][EVENT_COUNT];

void
inside_note_row(struct core *core, const struct segment *seg, unsigned int flow)
{
	static const uint8_t states[] = {
		[CONN_FREE] = STATE_LISTEN,     [CONN_CONNECTING] = STATE_CONNECTING,
		[CONN_TRACKED] = STATE_TRACKED, [CONN_SPLICED] = STATE_SPLICED,
		[CONN_CLOSING] = STATE_CLOSING, [CONN_RESPONDING] = STATE_RESPONDING,
		[CONN_SPENT] = STATE_SPENT,
	};
	struct inside_entry entry = inside_find(core, flow);
	bool hands_off = core->services[0].mode == MODE_HANDOFF;
	enum state state = hands_off                       ? STATE_HANDOFF
	                   : entry.kind == ENTRY_NONE      ? STATE_LISTEN
	                   : entry.kind == ENTRY_HALF_OPEN ? STATE_SYN_RECEIVED
	                                                   : (enum state)states[entry.state];

	rows_taken[state][seg->side][decision_event(seg)] = true;
}

unsigned int
inside_rows(unsigned int *n_all, bool names_missing)
{
	unsigned int n = 0;

	*n_all = 0;
	for (unsigned int i = 0; i < STATE_COUNT * SIDE_COUNT * EVENT_COUNT; i++) {
		const struct decision_row *row = &decision_table[0][0][0] + i;

		if (row->name == NULL || row->handler == NULL)
			continue;
		++*n_all;
		n += (&rows_taken[0][0][0])[i];
		if (names_missing && !(&rows_taken[0][0][0])[i])
			printf("  not taken: %s\n", row->name);
	}
	return n;
}
