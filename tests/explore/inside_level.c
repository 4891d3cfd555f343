/* SPDX-License-Identifier: BSD-3-Clause */
/* What in an image of a core can make no difference any more. */
#include "inside.h"

#include "world.h"

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
	core->backends.n_forgotten = 0;
	core->backends.n_placed = 0;
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

void
inside_level(const struct core *core, uint8_t *at, const struct instant *now)
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
