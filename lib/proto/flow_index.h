/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index: from a flow to its entry, and the clock of all entries.
 *
 * One index serves both tables of a worker (connections and half-open
 * entries), so that finding what a segment belongs to touches one index line
 * and one entry line. A bucket is one cache line:
 *
 *   0        16          32                      64
 *   +--------+-----------+-----------------------+
 *   | tags   | deadlines | entries               |
 *   | 7 x 2  | 7 x 2     | 7 x 4                 |
 *   | spilled| moved     | (4 unused)            |
 *   +--------+-----------+-----------------------+
 *
 * tag: 16 bits of the hash, never 0; 0 is an empty slot. deadline: seconds
 * modulo 2^16 at which the sweep hands the entry to the core, so that sweeping
 * reads index lines alone; a packet that keeps an entry alive writes to a line
 * it has just read. An entry goes to its home bucket, or when that is full to
 * one other (home ^ f(tag)), and then counts in the home bucket's `spilled`;
 * only if that is not 0 does a lookup read a second line. When both are full the
 * insert fails: constant-hash input costs two lines, never more.
 *
 * Owner: one worker. Nothing here is shared.
 */
#ifndef SYNFRONT_FLOW_INDEX_H
#define SYNFRONT_FLOW_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_SLOTS 7u

struct flow_bucket {
	uint16_t tag[FLOW_SLOTS];
	uint16_t spilled;            /* entries of this home that live in their other bucket */
	uint16_t deadline[FLOW_SLOTS];
	uint16_t moved;              /* bit i: slot i is away from its home */
	uint32_t entry[FLOW_SLOTS];  /* enum flow_kind << 31 | number */
	uint32_t unused;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_bucket) == 64, "a bucket is one cache line");

/* The top bit of an entry says which table its number belongs to. */
#define FLOW_HALF_OPEN 0x80000000u
#define FLOW_NUMBER(entry) ((entry) & 0x7fffffffu)
#define FLOW_NONE 0xffffffffu

struct flow_index {
	struct flow_bucket *buckets;
	uint32_t mask;   /* buckets - 1 */
	uint32_t cursor; /* next bucket to sweep */
	uint32_t used;   /* entries in it */
};

/* Where an entry stands: valid until the next insert or remove. */
struct flow_slot {
	uint32_t bucket;
	uint32_t slot;
};

/* Bytes for an index of `entries` at a mean fill of half a bucket. */
size_t flow_index_size(uint32_t entries);
/* `memory`: flow_index_size(entries) bytes, 64-byte aligned. */
void flow_index_init(struct flow_index *index, void *memory, uint32_t entries);

static inline void
flow_index_prefetch(const struct flow_index *index, uint64_t hash)
{
	__builtin_prefetch(&index->buckets[(uint32_t)hash & index->mask], 0, 3);
}

/*
 * Candidates for `hash`: calls for each slot with its tag are made by the
 * caller's loop:
 *
 *   struct flow_walk walk = flow_walk_start(index, hash);
 *   while ((entry = flow_walk_next(&walk)) != FLOW_NONE)
 *           if (same flow) ... walk.at is its slot
 */
struct flow_walk {
	const struct flow_index *index;
	uint64_t hash;
	struct flow_slot at;
	uint32_t matches; /* slots left in this bucket */
	bool second;      /* looking at the other bucket already */
};

struct flow_walk flow_walk_start(const struct flow_index *index, uint64_t hash);
uint32_t flow_walk_next(struct flow_walk *walk);

/* Insert; false if both buckets are full. */
bool flow_index_insert(struct flow_index *index, uint64_t hash, uint32_t entry,
                       uint16_t deadline_s, struct flow_slot *at);
void flow_index_remove(struct flow_index *index, struct flow_slot at);
/* Point a slot at another entry of the same flow (half-open becomes connection). */
void flow_index_replace(struct flow_index *index, struct flow_slot at, uint32_t entry,
                        uint16_t deadline_s);

static inline void
flow_index_touch(struct flow_index *index, struct flow_slot at, uint16_t deadline_s)
{
	uint16_t *d = &index->buckets[at.bucket].deadline[at.slot];
	if (*d != deadline_s)
		*d = deadline_s;
}

/*
 * Look at the next `n_buckets` buckets for connections (never half-open entries,
 * which have lists of their own) whose deadline has passed at `now_s`
 * (modulo 2^16, at most 9 hours ahead), and store up to `max` of their slots.
 * Returns how many; a bucket that did not fit is looked at again next time.
 * The caller removes or touches each before the next sweep.
 */
unsigned int flow_index_sweep(struct flow_index *index, unsigned int n_buckets, uint16_t now_s,
                              struct flow_slot *out, unsigned int max);

#endif
