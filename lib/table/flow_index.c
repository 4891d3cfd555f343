/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of flows: see flow_index.h for its layout. */
#include "flow_index.h"

#include <string.h>

#include "pow2.h"

/* Of 7 slots 4.2 are meant to be used: 60 %. As tenths. */
#define MEAN_USED_TENTHS 42u

static uint32_t
n_buckets_for(uint32_t entries)
{
	uint32_t n = pow2_ceil(
		(uint32_t)(((uint64_t)entries * 10 + MEAN_USED_TENTHS - 1) / MEAN_USED_TENTHS));
	return n < 2 ? 2 : n; /* an other bucket must exist */
}

size_t
flow_index_size(uint32_t entries)
{
	return (size_t)n_buckets_for(entries) * sizeof(struct flow_bucket);
}

void
flow_index_init(struct flow_index *index, void *memory, uint32_t entries)
{
	uint32_t n = n_buckets_for(entries);

	memset(memory, 0, (size_t)n * sizeof(struct flow_bucket));
	*index = (struct flow_index){ .buckets = memory, .mask = n - 1 };
}

/* Move one entry of the full bucket `from` to that entry's other bucket.
 * Returns the slot that became free, or FLOW_SLOTS. */
static uint32_t
bucket_make_room(struct flow_index *index, uint32_t from)
{
	struct flow_bucket *b = &index->buckets[from];

	for (uint32_t slot = 0; slot < FLOW_SLOTS; slot++) {
		uint16_t tag = b->tag[slot];
		struct flow_bucket *other = &index->buckets[flow_index_other(index, from, tag)];
		bool was_away = b->moved >> slot & 1;
		uint32_t free_slots = flow_bucket_match(other, 0);

		if (free_slots == 0 || (!was_away && b->spilled == UINT16_MAX))
			continue;
		flow_bucket_put(other, free_slots, tag, b->entry[slot], b->deadline[slot],
		                !was_away);
		if (was_away)
			other->spilled--; /* `other` is its home: back in it */
		else
			b->spilled++;
		b->tag[slot] = 0;
		return slot;
	}
	return FLOW_SLOTS;
}

bool
flow_index_insert_beside(struct flow_index *index, uint64_t hash, uint32_t entry,
                         uint16_t deadline_s, struct flow_slot *at)
{
	uint16_t tag = flow_index_tag(hash);
	uint32_t home = flow_index_home(index, hash);
	uint32_t other = flow_index_other(index, home, tag);
	struct flow_bucket *h = &index->buckets[home];
	struct flow_bucket *o = &index->buckets[other];
	uint32_t free_slots = 0;
	bool away = false;

	if (h->spilled != UINT16_MAX) {
		free_slots = flow_bucket_match(o, 0);
		away = free_slots != 0;
	}
	if (free_slots == 0) {
		uint32_t slot = bucket_make_room(index, home);
		if (slot == FLOW_SLOTS && h->spilled != UINT16_MAX) {
			slot = bucket_make_room(index, other);
			away = true;
		}
		if (slot == FLOW_SLOTS)
			return false;
		free_slots = 1u << slot;
	}
	at->bucket = away ? other : home;
	at->slot = flow_bucket_put(away ? o : h, free_slots, tag, entry, deadline_s, away);
	h->spilled = (uint16_t)(h->spilled + away);
	index->used++;
	return true;
}

void
flow_index_remove(struct flow_index *index, struct flow_slot at)
{
	struct flow_bucket *b = &index->buckets[at.bucket];

	if (b->moved >> at.slot & 1) {
		uint32_t home = flow_index_other(index, at.bucket, b->tag[at.slot]);
		index->buckets[home].spilled--;
		b->moved = (uint16_t)(b->moved & ~(1u << at.slot));
	}
	b->tag[at.slot] = 0;
	index->used--;
}

/* Used slots whose deadline has come, a bit each; half-open ones too. */
static uint32_t
bucket_due(const struct flow_bucket *b, uint16_t now_s)
{
	__m128i deadlines = _mm_load_si128((const __m128i *)b->deadline);
	__m128i late = _mm_sub_epi16(_mm_set1_epi16((short)now_s), deadlines);
	__m128i due = _mm_cmpgt_epi16(late, _mm_set1_epi16(-1));
	uint32_t bits = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(due, _mm_setzero_si128()));

	return bits & ~flow_bucket_match(b, 0) & ((1u << FLOW_SLOTS) - 1);
}

unsigned int
flow_index_sweep(struct flow_index *index, unsigned int n_buckets, uint16_t now_s,
                 struct flow_slot *out, unsigned int max)
{
	unsigned int n = 0;

	/* Never the same one twice: the caller would end its connections twice. */
	if (n_buckets > index->mask + 1)
		n_buckets = index->mask + 1;
	for (; n_buckets > 0; n_buckets--) {
		const struct flow_bucket *b = &index->buckets[index->cursor];

		for (uint32_t due = bucket_due(b, now_s); due != 0; due &= due - 1) {
			uint32_t slot = (uint32_t)__builtin_ctz(due);
			if (b->entry[slot] & FLOW_HALF_OPEN)
				continue;
			if (n == max)
				return n;
			out[n++] = (struct flow_slot){ index->cursor, slot };
		}
		index->cursor = (index->cursor + 1) & index->mask;
	}
	return n;
}

uint32_t
flow_index_left(const struct flow_index *index, uint16_t now_s)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i <= index->mask; i++) {
		const struct flow_bucket *b = &index->buckets[i];
		uint32_t used = ~flow_bucket_match(b, 0) & ((1u << FLOW_SLOTS) - 1);

		for (; used != 0; used &= used - 1) {
			uint32_t slot = (uint32_t)__builtin_ctz(used);
			int16_t left = (int16_t)(b->deadline[slot] - now_s);
			if (b->entry[slot] & FLOW_HALF_OPEN)
				continue;
			if (left <= 0)
				return 0;
			if ((uint32_t)left < least)
				least = (uint32_t)left;
		}
	}
	return least;
}
