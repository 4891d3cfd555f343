/* SPDX-License-Identifier: BSD-3-Clause */
#include "talkers.h"

#include "core.h"
#include "core_state.h"

#define GAP_MAX (1u << 16)
#define SAMPLES_PER_MS 4u
#define QUIET_MS 4u

void
talkers_init(struct talkers *t, uint64_t random)
{
	memset(t, 0, sizeof(*t));
	t->random = random | 1;
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		t->gaps[i].gap = 1;
	for (unsigned int i = 0; i < TALKS_MAX; i++)
		t->talks[i].key = TALK_FREE;
}

/* xorshift64 (Marsaglia, 2003). */
static uint64_t
random_next(struct talkers *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* After a sample: by what the next one will weigh. */
static void
gap_adapt(struct talk_gap *g, uint32_t now_ms)
{
	uint32_t quiet_ms = now_ms - g->ms;

	if (quiet_ms != 0) {
		g->ms = now_ms;
		g->n = 0;
		for (; quiet_ms >= QUIET_MS && g->gap > 1; quiet_ms /= 2)
			g->gap /= 2;
	}
	if (++g->n >= SAMPLES_PER_MS && g->gap < GAP_MAX) {
		g->gap *= 2;
		g->n = 0;
	}
}

/* The talk of this pair in this window; NULL: no room. One that has been silent for a window gives
 * way. */
static struct talk *
talk_of(struct talkers *t, uint32_t key, uint32_t window)
{
	struct talk *free = NULL;

	for (unsigned int i = 0; i < TALKS_MAX; i++) {
		struct talk *talk = &t->talks[i];
		if (talk->key == key)
			return talk;
		if (talk->key == TALK_FREE || window - talk->window > 1)
			free = talk;
	}
	if (free == NULL)
		return NULL;
	__atomic_store_n(&free->key, key, __ATOMIC_RELAXED);
	/* Both of its halves are another's. */
	__atomic_store_n(&free->window, window - 2, __ATOMIC_RELAXED);
	return free;
}

static void
talk_turn(struct talk *talk, uint32_t window)
{
	if (talk->window == window)
		return;
	heavy_clear(&talk->hosts[window & 1]);
	heavy_clear(&talk->nets[window & 1]);
	if (window - talk->window > 1) {
		heavy_clear(&talk->hosts[~window & 1]);
		heavy_clear(&talk->nets[~window & 1]);
	}
	__atomic_store_n(&talk->window, window, __ATOMIC_RELAXED);
}

/* IPv4: the address; IPv6: the first 64 bits, of which the first 32 are never 0 but in ::/32, where
 * no client is. */
static void
keys_of(const struct segment *seg, uint64_t *host, uint64_t *net)
{
	if (seg->is_v4) {
		*host = __builtin_bswap32(seg->flow.client.words_be[3]);
		*net = *host & 0xffffff00u;
	} else {
		*host = __builtin_bswap64(seg->flow.client.quads_be[0]);
		*net = *host & ~UINT64_C(0xffff);
	}
}

/* Never a part of act_append(): its registers would be saved for each frame. */
__attribute__((noinline, cold)) void
talkers_sample(struct core *core, const struct step *step, enum counter outcome)
{
	struct talkers *t = core->talkers;
	struct talk_gap *g = &t->gaps[outcome];
	const struct segment *seg = step->seg;
	uint32_t weight = g->gap, window = (uint32_t)(step->now->now_ms / TALK_WINDOW_MS) + 2;
	uint64_t host, net;

	gap_adapt(g, (uint32_t)step->now->now_ms);
	core->talk_left[outcome] = 1 + (uint32_t)(random_next(t) >> 32) % (2 * g->gap - 1);
	if (seg->side != SIDE_OUTSIDE || seg->found.service == SERVICE_NONE ||
	    seg->class == SEGMENT_OTHER)
		return;
	struct talk *talk = talk_of(t, (uint32_t)seg->found.service << 8 | outcome, window);
	if (talk == NULL) {
		t->n_lost++;
		return;
	}
	talk_turn(talk, window);
	keys_of(seg, &host, &net);
	heavy_add(&talk->hosts[window & 1], host, weight);
	heavy_add(&talk->nets[window & 1], net, weight);
}

bool
talkers_copy(const struct talk *talk, struct core_talk *out)
{
	uint32_t key = __atomic_load_n(&talk->key, __ATOMIC_RELAXED);
	uint32_t window = __atomic_load_n(&talk->window, __ATOMIC_RELAXED);

	out->service = (uint16_t)(key >> 8);
	out->outcome = (uint8_t)key;
	out->window = window - 2;
	/* Of another pair by now: it has been cleared, or is the same memory read a moment
	 * later. */
	return key != TALK_FREE && heavy_copy(&talk->hosts[window & 1], &out->hosts[0]) &&
	       heavy_copy(&talk->hosts[~window & 1], &out->hosts[1]) &&
	       heavy_copy(&talk->nets[window & 1], &out->nets[0]) &&
	       heavy_copy(&talk->nets[~window & 1], &out->nets[1]) &&
	       __atomic_load_n(&talk->key, __ATOMIC_RELAXED) == key &&
	       __atomic_load_n(&talk->window, __ATOMIC_RELAXED) == window;
}

void
talkers_sample_run(struct core *core, struct segment *seg, unsigned int n, enum counter outcome,
                   const struct instant *now)
{
	uint32_t *left = &core->talk_left[outcome];
	unsigned int at = 0;

	/* From 0 it is a long way, as it is for who takes one first. */
	while (__builtin_expect(n - at > *left - 1, 0)) {
		at += *left;
		const struct step step = { .seg = &seg[at - 1], .now = now };
		talkers_sample(core, &step, outcome); /* a new *left, of 1 or more */
	}
	*left -= n - at;
}
