/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this test knows of the inside of a core: which of its memory changes, what in it
 * can make no difference any more, and that its tables agree.
 */
#include "engine.h"

#include <stdio.h>

#include "core_state.h"
#include "decision.h"
#include "entry.h"
#include "observe.h"

/* Of a core with one service (number 0): its head, that service, and all tables from the
 * connections to the flows that are unfinished, which lie behind each other. Of the blocks that early data is
 * held in, their beginnings: more is never held. What it knows of rates stays as it was
 * (no limit is set that counts them), fragments too, and the scratch of a burst is not
 * looked at by the next one. */
#define REGIONS 4u

struct region {
	uint8_t *at;
	size_t size;
};

static void
regions_of(const struct core *core, struct region r[REGIONS])
{
	uint8_t *tables = (uint8_t *)core->conns.conns, *held = core->pending.data;
	uint8_t *behind = (uint8_t *)core->backends.backends;
	uint8_t *end = (uint8_t *)core->syn_rate.cells;

	r[0] = (struct region){ (uint8_t *)core, offsetof(struct core, services) };
	r[1] = (struct region){ (uint8_t *)&core->services[0], sizeof(core->services[0]) };
	r[2] = (struct region){ tables, (size_t)(held - tables) };
	r[3] = (struct region){ behind, (size_t)(end - behind) };
}

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

/* ---- what can make a difference --------------------------------------- */

/* A saved image, with its parts as they lie in it. */
struct image {
	const struct core *real;
	struct core *head; /* up to its services */
	struct service_state *service;
	uint8_t *tables, *behind, *held;
};

static struct image
image_of(const struct core *core, uint8_t *at)
{
	struct image image = { .real = core, .head = (struct core *)(void *)at };
	struct region r[REGIONS];

	regions_of(core, r);
	image.service = (void *)(at + r[0].size);
	image.tables = at + r[0].size + r[1].size;
	image.behind = image.tables + r[2].size;
	image.held = image.behind + r[3].size;
	return image;
}

/* Where something that lies in the tables of the core lies in the image. */
static void *
in_image(const struct image *image, const void *p)
{
	const uint8_t *tables = (const uint8_t *)image->real->conns.conns;
	const uint8_t *behind = (const uint8_t *)image->real->backends.backends;
	const uint8_t *at = p;

	return at < behind ? image->tables + (at - tables) : image->behind + (at - behind);
}

/* Tokens that a bucket holds now, whenever it was filled last. */
static void
level_bucket(struct bucket *bucket, uint32_t per_s, uint32_t now_ms)
{
	uint64_t burst = 1000ull * (per_s / 10 < 8 ? 8 : per_s / 10);
	uint64_t tokens = bucket->tokens + (uint64_t)(now_ms - bucket->refilled_ms) * per_s;

	*bucket = (struct bucket){ .tokens = (uint32_t)(tokens < burst ? tokens : burst) };
}

static void
level_head(const struct image *image, const struct instant *now)
{
	struct core *core = image->head;
	struct service_state *s = image->service;
	uint32_t now_s = (uint32_t)(now->now_ms / 1000);

	memset(&core->counters, 0, sizeof(core->counters));
	memset(core->talk_left, 0, sizeof(core->talk_left)); /* a sample decides on nothing */
	memset(&core->proven, 0, sizeof(core->proven));      /* no cap asks for it */
	level_bucket(&core->learn_bucket, LEARN_ALL_PER_S, (uint32_t)now->now_ms);
	level_bucket(&core->pass_bucket, PASSES_PER_S, (uint32_t)now->now_ms);
	core->mutations = 0;
	core->n_plans = 0; /* numbers to tell plans by */
	core->backends.n_forgotten = core->backends.n_placed = 0;
	core->sources.now_s = 0;
	core->ticked_s = core->ticked_s == now_s;
	core->futile_ms = core->futile_ms == now->now_ms;
	if (!core->params.cookie_gate || core->cookie_out_ms < now->now_ms)
		core->cookie_out_ms = 0;
	s->syn = s->syn_ack = s->opened = s->refused = 0;
	if (s->second != now_s)
		s->second = s->n_new = 0;
	if (s->cookies_until_ms <= now->now_ms)
		s->cookies_until_ms = 0;
}

/* The bytes of *p behind its last member have no meaning. */
#define LEVEL_END(p, member)                                                                 \
	memset((uint8_t *)(p) + offsetof(__typeof__(*(p)), member) + sizeof((p)->member), 0, \
	       sizeof(*(p)) - offsetof(__typeof__(*(p)), member) - sizeof((p)->member))

/* Entries that are free say nothing but which one is free next. */
static void
level_connections(const struct image *image)
{
	const struct conn_table *t = &image->head->conns;
	struct conn *conns = in_image(image, t->conns);
	struct conn_side *sides = in_image(image, t->sides);

	for (uint32_t i = 0; i < t->capacity; i++) {
		uint32_t next = i < t->fresh ? conns[i].next_free : 0;

		if (i < t->fresh && conns[i].state != CONN_FREE)
			continue;
		memset(&conns[i], 0, sizeof(conns[i]));
		memset(&sides[i], 0, sizeof(sides[i]));
		conns[i].next_free = next;
	}
}

static void
level_half_open(const struct image *image)
{
	const struct half_open_table *t = &image->head->half_open;
	struct half_open *entries = in_image(image, t->entries);
	struct half_open_side *sides = in_image(image, t->sides);
	uint32_t next;

	for (uint32_t i = 0; i < t->fresh; i++)
		LEVEL_END(&sides[i], counted);
	for (uint32_t i = t->free; i != FLOW_NONE; i = next) {
		next = entries[i].next;
		memset(&entries[i], 0, sizeof(entries[i]));
		memset(&sides[i], 0, sizeof(sides[i]));
		entries[i].next = next;
	}
	for (uint32_t i = t->fresh; i < t->capacity; i++) {
		memset(&entries[i], 0, sizeof(entries[i]));
		memset(&sides[i], 0, sizeof(sides[i]));
	}
}

/* Of blocks too; what they hold counts as far as it is in use. */
static void
level_blocks(const struct image *image)
{
	const struct pending_table *t = &image->head->pending;
	struct pending_block *blocks = in_image(image, t->blocks);

	for (uint32_t i = t->free_block; i != FLOW_NONE; i = blocks[i].next)
		blocks[i].size = 0;
	for (uint32_t i = 0; i < t->n_blocks; i++) {
		uint32_t used = blocks[i].size < WORLD_HOLD_BYTES ? blocks[i].size
		                                                  : WORLD_HOLD_BYTES;
		memset(image->held + (size_t)i * WORLD_HOLD_BYTES + used, 0,
		       WORLD_HOLD_BYTES - used);
	}
}

static void
level_pending(const struct image *image)
{
	struct pending_table *t = &image->head->pending;
	struct pending *records = in_image(image, t->records);
	uint32_t next;

	for (uint32_t i = t->free; i != FLOW_NONE; i = next) {
		next = records[i].next;
		memset(&records[i], 0, sizeof(records[i]));
		records[i].next = next;
	}
	for (uint32_t i = 0; i < t->capacity; i++) {
		LEVEL_END(&records[i].offer, timestamps);
		LEVEL_END(&records[i].answer.offer, timestamps);
		LEVEL_END(&records[i], flags);
	}
	level_blocks(image);
}

static void
level_paths_and_index(const struct image *image)
{
	const struct path_table *t = &image->head->paths;
	const struct flow_index *index = &image->head->index;
	struct path *paths = in_image(image, t->paths);
	struct flow_bucket *buckets = in_image(image, index->buckets);

	for (uint32_t i = 1; i < t->capacity; i++) {
		uint32_t next = i < t->fresh ? paths[i].next : 0;

		if (i < t->fresh && paths[i].n_refs != 0)
			continue;
		memset(&paths[i], 0, sizeof(paths[i]));
		paths[i].next = next;
	}
	for (uint32_t i = 0; i <= index->mask; i++)
		for (unsigned int slot = 0; slot < FLOW_SLOTS; slot++)
			if (buckets[i].tag[slot] == 0) {
				buckets[i].entry[slot] = 0;
				buckets[i].deadline[slot] = 0;
				buckets[i].moved &= (uint16_t)~(1u << slot);
			}
}

static void
level_backends(const struct image *image, const struct instant *now)
{
	const struct backend_table *t = &image->head->backends;
	struct backend *backends = in_image(image, t->backends);

	for (uint32_t i = 0; i < t->capacity; i++) {
		struct backend *b = &backends[i];

		b->seen_s = 0; /* nobody wants its place */
		if (b->learn_s != (uint8_t)(now->now_ms / 1000))
			b->learn_s = b->n_learn = 0;
	}
}

static void
level_sources(const struct image *image, const struct instant *now)
{
	const struct source_table *t = &image->head->sources;
	struct source *sources = in_image(image, t->sources);

	for (uint32_t i = 0; i < 4 * (t->mask + 1); i++) {
		struct source *s = &sources[i];

		if (s->kind == SOURCE_FREE)
			memset(s, 0, sizeof(*s));
		LEVEL_END(s, kind);
		if (s->second != (uint32_t)(now->now_ms / 1000))
			s->second = s->n_new = 0;
	}
}

/* Nothing is in it any more, whatever was. */
static void
level_unfinished(const struct image *image, const struct instant *now)
{
	struct recent *recent = &image->head->unfinished;
	uint8_t *bits = in_image(image, recent->bits[0]);

	if (now->now_ms < image->head->unfinished_until_ms)
		return;
	memset(bits, 0,
	       (size_t)((const uint8_t *)image->real->syn_rate.cells -
	                (const uint8_t *)recent->bits[0]));
	image->head->unfinished_until_ms = 0;
	recent->cleared = recent->turned_ms = recent->turn = 0;
	recent->started = false;
}

static void
level_core(struct core *core, uint8_t *at, const struct instant *now)
{
	const struct image image = image_of(core, at);

	level_head(&image, now);
	level_connections(&image);
	level_half_open(&image);
	level_pending(&image);
	level_paths_and_index(&image);
	level_backends(&image, now);
	level_sources(&image, now);
	level_unfinished(&image, now);
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
	level_core(e->core, e->image, now);
	if (shadow != NULL) {
		uint8_t *at = e->image + size_of_core(e->core);
		uint32_t *words = (uint32_t *)(void *)(at + size_of_core(shadow));

		level_core(shadow, at, now);
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
