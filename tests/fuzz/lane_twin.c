/* SPDX-License-Identifier: BSD-3-Clause */
#include "lane_twin.h"

#include "carry_out.h"
#include "observe.h"
#include "plain_lane.h"
#include "syn_lane.h"

struct twin *
twin_make(unsigned int number, const struct policy *policy, bool may_observe,
          const struct instant *now, size_t *memory)
{
	static struct twin *blocks[2][2];
	struct core_params params = { .connections = 32,
		                      .half_open = 8,
		                      .backends = 8,
		                      .paths = 8,
		                      .sources = 32,
		                      .held = 8,
		                      .hold_bytes = 2048,
		                      .n_workers = 1,
		                      .seen = may_observe ? 64 : 0,
		                      .seed = { 5, 6, 7 },
		                      .has_inside = true };

	*memory = core_size(&params);
	struct twin **block = &blocks[may_observe][number];
	if (*block == NULL)
		*block = aligned_alloc(64, sizeof(**block) + *memory);
	struct twin *twin = *block;
	if (twin == NULL)
		abort();
	/* What is not touched stays the same. */
	memset(twin + 1, 0, *memory);
	known_init(&twin->known, twin->known_words, KNOWN, params.seed);
	params.known = &twin->known;
	twin->core = core_init(twin + 1, &params, policy, now);
	twin->burst.n = 0;
	return twin;
}

void
twins_take(struct twin *a, struct twin *b, size_t len, enum side side)
{
	unsigned int n = a->burst.n++;

	memcpy(b->burst.frames[n], a->burst.frames[n], FRAME_SIZE);
	b->burst.n++;
	segment_parse(&a->burst.seg[n], a->burst.frames[n], (uint32_t)len, (uint32_t)len, side);
	segment_parse(&b->burst.seg[n], b->burst.frames[n], (uint32_t)len, (uint32_t)len, side);
}

/* What a function finds of those before it on the stack. */
static __attribute__((noinline)) void
litter(uint8_t with)
{
	volatile uint8_t bytes[8192];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = with;
}

void
twin_decide(struct twin *twin, const struct instant *now, bool lane, bool captures,
            twin_listen_fn *listen)
{
	struct lane_burst *burst = &twin->burst;
	struct core_note notes[BURST_MAX];
	struct outcome *out = &twin->out;
	struct emit_memo memo = EMIT_MEMO_NEW;

	/* Nothing of it may come to be remembered. */
	litter(lane ? 0x5a : 0xa5);
	/* What is remembered from burst to burst is what would be found out again. */
	if (!lane) {
		core_forget(twin->core);
		if (twin->core->observer != NULL)
			core_forget(twin->core->observer->shadow);
	}
	core_locate(twin->core, burst->seg, burst->n, now);
	out->actions = (struct actions){ out->list, 0, sizeof(out->list) / sizeof(out->list[0]) };
	for (unsigned int i = 0; i < burst->n && !lane; i++) {
		burst->seg[i].found.lane = SYN_LANE_NEVER;
		burst->seg[i].found.plain = PLAIN_NEVER;
	}
	if (lane && captures)
		core_decide_noted(twin->core, burst->seg, burst->n, now, &out->actions, notes);
	else
		core_decide(twin->core, burst->seg, burst->n, now, &out->actions);
	for (unsigned int i = 0; i < out->actions.n; i++) {
		const struct action *a = &out->list[i];
		bool is_new = a->kind == ACTION_SEND;
		uint8_t *bytes = is_new ? out->bytes[i] : burst->frames[a->seg];
		const struct segment *seg = is_new ? NULL : &burst->seg[a->seg];

		out->len[i] = 0;
		if (a->kind != ACTION_DROP)
			out->len[i] = carry_out(bytes, seg, a, EMIT_CHECKSUM_SOFTWARE, &memo);
		if (a->kind != ACTION_DROP && !is_new)
			memcpy(out->bytes[i], bytes, ROOM);
		if (listen != NULL)
			listen(seg, a);
	}
}

static void
check_outcome(const struct outcome *a, const struct outcome *b)
{
	FUZZ_CHECK(a->actions.n == b->actions.n);
	for (unsigned int i = 0; i < a->actions.n; i++) {
		const struct action *x = &a->list[i], *y = &b->list[i];

		FUZZ_CHECK(x->kind == y->kind && x->out == y->out && x->seg == y->seg);
		FUZZ_CHECK(x->kind == ACTION_SEND || x->outcome == y->outcome);
		FUZZ_CHECK(a->len[i] == b->len[i]);
		FUZZ_CHECK(x->kind == ACTION_DROP ||
		           memcmp(a->bytes[i], b->bytes[i],
		                  x->kind == ACTION_SEND ? a->len[i] : ROOM) == 0);
	}
}

/* The same, or pointing to the same. */
static void
check_memory(const void *a, const void *b, size_t size, uint64_t apart)
{
	const uint64_t *x = a, *y = b;
	uint64_t n_other = 0;

	for (size_t i = 0; i < size / sizeof(*x); i++)
		n_other += x[i] != y[i] && y[i] - x[i] != apart;
	for (size_t i = 0; i < size / sizeof(*x) && n_other != 0; i++)
		if (x[i] != y[i] && y[i] - x[i] != apart)
			fprintf(stderr, "at %zu: %jx, %jx\n", i * sizeof(*x), (uintmax_t)x[i],
			        (uintmax_t)y[i]);
	FUZZ_CHECK(n_other == 0);
}

/* Where kinds and plans are kept, and which are, makes no difference: nor what of the last burst
 * names them. */
static void
forget(struct core *core)
{
	struct observer *o = core->observer;

	core_forget(core);
	for (unsigned int i = 0; i < CORE_BURST_MAX; i++) {
		core->syns[i].plan = NULL;
		if (o != NULL && o->segs[i].found.entry == FLOW_NONE)
			o->segs[i].found.kind = 0;
	}
	if (o != NULL)
		forget(o->shadow);
}

void
twins_check(const struct twin *a, const struct twin *b, size_t memory, const struct instant *now)
{
	uint64_t apart = (uintptr_t)b - (uintptr_t)a;

	for (unsigned int i = 0; i < 2; i++) {
		struct core *core = i == 0 ? a->core : b->core;

		forget(core);
		/* When a second is seen to have begun makes no difference. */
		rate_into_ms(&core->reflection, (uint32_t)now->now_ms);
	}
	check_memory(a->known_words, b->known_words, sizeof(a->known_words), apart);
	check_memory(a->core, b->core, memory, apart);
}

void
twins_check_burst(struct twin *a, struct twin *b)
{
	check_outcome(&a->out, &b->out);
	FUZZ_CHECK(memcmp(core_counters(a->core), core_counters(b->core),
	                  sizeof(struct counters)) == 0);
	a->burst.n = b->burst.n = 0;
}

void
twins_tick(struct twin *a, struct twin *b, struct instant *now, uint64_t ms)
{
	uint64_t now_ms = 1000 + ms;

	now->wall_ms += now_ms - now->now_ms;
	now->now_ms = now_ms;
	a->out.actions = (struct actions){ a->out.list, 0, CORE_BURST_MAX };
	b->out.actions = (struct actions){ b->out.list, 0, CORE_BURST_MAX };
	core_tick(a->core, now, 64, &a->out.actions);
	core_tick(b->core, now, 64, &b->out.actions);
	FUZZ_CHECK(a->out.actions.n == b->out.actions.n);
}
