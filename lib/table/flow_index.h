/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index: from a flow to its entry, and the clock of all connections.
 *
 * One index serves both tables of a worker (connections and half-open
 * entries), so that finding what a segment belongs to touches one index line
 * and one entry line. A bucket is one cache line:
 *
 *   0        14        16          30      32              60       64
 *   +--------+---------+-----------+-------+---------------+--------+
 *   | tags   | spilled | deadlines | moved | entries       | unused |
 *   | 7 x 2  | 2       | 7 x 2     | 2     | 7 x 4         | 4      |
 *   +--------+---------+-----------+-------+---------------+--------+
 *
 * tag: 16 bits of the hash, never 0; 0 is an empty slot. deadline: seconds
 * modulo 2^16 at which the sweep hands a connection to the core, so that
 * sweeping reads index lines alone; a packet that keeps a connection alive
 * writes to a line it has just read.
 *
 * An entry goes to its home bucket, or when that is full to one other. Which
 * one follows from bucket and tag alone, other = bucket ^ f(tag), and the way
 * back is the same, so that an entry can be moved and removed without its
 * hash. An entry away from home has its bit in `moved`, and counts in its home
 * bucket's `spilled`; only if that is not 0 does a look-up read a second line.
 *
 * An insert that finds both full moves one of the entries in the way to that
 * one's own other bucket, if there is room (no chains of moves). Else it fails.
 * So a look-up reads two lines at most and an insert 2 + 14, whatever the hash:
 * if all hashes are the same, the insert after the 14th fails.
 *
 * Owner: one worker. Nothing here is shared.
 */
#ifndef SYNFRONT_FLOW_INDEX_H
#define SYNFRONT_FLOW_INDEX_H

#include <smmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_SLOTS 7u

struct flow_bucket {
	uint16_t tag[FLOW_SLOTS];
	uint16_t spilled; /* entries of this home that live in their other bucket */
	uint16_t deadline[FLOW_SLOTS];
	uint16_t moved;             /* bit i: slot i is away from its home */
	uint32_t entry[FLOW_SLOTS]; /* FLOW_HALF_OPEN or 0, and a number */
	uint32_t unused;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_bucket) == 64, "a bucket is one cache line");
_Static_assert(offsetof(struct flow_bucket, deadline) == 16, "tags load as one vector");

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

/* Bytes for an index of `entries` of both kinds: at most 60 % full with all of
 * them in it. */
size_t flow_index_size(uint32_t entries);
/* `memory`: flow_index_size(entries) bytes, 64-byte aligned; zeroed here. */
void flow_index_init(struct flow_index *index, void *memory, uint32_t entries);

/* The bucket comes from the low half of the hash, the tag from the top 16 bits. */
static inline uint32_t
flow_index_home(const struct flow_index *index, uint64_t hash)
{
	return (uint32_t)hash & index->mask;
}

static inline uint16_t
flow_index_tag(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 48);
	return tag != 0 ? tag : 1;
}

/* f(tag) is odd, so the other bucket is never the same one. */
static inline uint32_t
flow_index_other(const struct flow_index *index, uint32_t bucket, uint16_t tag)
{
	return bucket ^ ((tag * 0x9e3779b1u | 1) & index->mask);
}

/* Slots whose tag is `tag` (0: empty ones), a bit each. */
static inline uint32_t
flow_bucket_match(const struct flow_bucket *bucket, uint16_t tag)
{
	__m128i tags = _mm_load_si128((const __m128i *)bucket->tag);
	__m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
	uint32_t bits = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));

	return bits & ((1u << FLOW_SLOTS) - 1); /* the eighth lane is `spilled` */
}

static inline void
flow_index_prefetch(const struct flow_index *index, uint64_t hash)
{
	__builtin_prefetch(&index->buckets[flow_index_home(index, hash)], 0, 3);
}

/*
 * The candidates for a hash, one after the other; the caller compares flows:
 *
 *   struct flow_walk walk = flow_walk_start(index, hash);
 *   while ((entry = flow_walk_next(&walk)) != FLOW_NONE)
 *           if (same flow) ... walk.at is its slot
 */
struct flow_walk {
	const struct flow_index *index;
	struct flow_slot at;
	uint32_t matches; /* slots left in this bucket */
	uint16_t tag;
	bool second; /* looking at the other bucket already */
};

static inline struct flow_walk
flow_walk_start(const struct flow_index *index, uint64_t hash)
{
	struct flow_walk walk = {
		.index = index,
		.at.bucket = flow_index_home(index, hash),
		.tag = flow_index_tag(hash),
	};
	const struct flow_bucket *home = &index->buckets[walk.at.bucket];

	walk.matches = flow_bucket_match(home, walk.tag) & ~(uint32_t)home->moved;
	return walk;
}

static inline uint32_t
flow_walk_next(struct flow_walk *walk)
{
	const struct flow_bucket *bucket = &walk->index->buckets[walk->at.bucket];

	if (walk->matches == 0) {
		if (walk->second || bucket->spilled == 0)
			return FLOW_NONE;
		walk->second = true;
		walk->at.bucket = flow_index_other(walk->index, walk->at.bucket, walk->tag);
		bucket = &walk->index->buckets[walk->at.bucket];
		walk->matches = flow_bucket_match(bucket, walk->tag) & bucket->moved;
		if (walk->matches == 0)
			return FLOW_NONE;
	}
	walk->at.slot = (uint32_t)__builtin_ctz(walk->matches);
	walk->matches &= walk->matches - 1;
	return bucket->entry[walk->at.slot];
}

/* The first candidate, as a walk has it, and its place; FLOW_NONE, and mostly no place, if
 * there is none. A flood finds none, and a connection finds its entry at home. */
static inline uint32_t
flow_index_first(const struct flow_index *index, uint64_t hash, struct flow_slot *at)
{
	/* The tag in each lane, never 0, but in the last one 0: none is spilled. */
	const __m128i spread = _mm_setr_epi8(6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, -1, -1);
	const __m128i least = _mm_setr_epi16(1, 1, 1, 1, 1, 1, 1, 0);
	const unsigned int lanes = (1u << 2 * FLOW_SLOTS) - 1, no_spill = 3u << 2 * FLOW_SLOTS;
	/* flow_index_home() in bytes: what is masked stays the same from hash to hash. */
	uint64_t at_home = hash * sizeof(struct flow_bucket) &
	                   index->mask * (uint64_t)sizeof(struct flow_bucket);
	const struct flow_bucket *home = (const void *)((const uint8_t *)index->buckets + at_home);
	__m128i tags = _mm_max_epu16(_mm_shuffle_epi8(_mm_cvtsi64_si128((long long)hash), spread),
	                             least);
	__m128i equal = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)home->tag), tags);
	unsigned int bits = (unsigned int)_mm_movemask_epi8(equal);

	if (bits == no_spill)
		return FLOW_NONE;
	bits &= lanes;
	uint32_t slot = bits != 0 ? (uint32_t)__builtin_ctz(bits) / 2 : 0;
	if (bits != 0 && !(home->moved >> slot & 1)) {
		*at = (struct flow_slot){ flow_index_home(index, hash), slot };
		return home->entry[slot];
	}
	struct flow_walk walk = flow_walk_start(index, hash);
	uint32_t entry = flow_walk_next(&walk);
	*at = walk.at;
	return entry;
}
_Static_assert(offsetof(struct flow_bucket, spilled) == 2 * FLOW_SLOTS && FLOW_SLOTS == 7,
               "tags and how many are spilled are one vector");

/* Write an entry to a free slot of `b`; away: not its home. */
static inline uint32_t
flow_bucket_put(struct flow_bucket *b, uint32_t free_slots, uint16_t tag, uint32_t entry,
                uint16_t deadline_s, bool away)
{
	uint32_t slot = (uint32_t)__builtin_ctz(free_slots);

	b->tag[slot] = tag;
	b->deadline[slot] = deadline_s;
	b->entry[slot] = entry;
	b->moved = (uint16_t)((b->moved & ~(1u << slot)) | (uint32_t)away << slot);
	return slot;
}

/* flow_index_insert() where the home is full. */
bool flow_index_insert_beside(struct flow_index *index, uint64_t hash, uint32_t entry,
                              uint16_t deadline_s, struct flow_slot *at);

/* Insert; false if there is no room. *at is where. May move other entries, so
 * no older flow_slot holds afterwards. */
static inline bool
flow_index_insert(struct flow_index *index, uint64_t hash, uint32_t entry, uint16_t deadline_s,
                  struct flow_slot *at)
{
	uint32_t home = flow_index_home(index, hash);
	struct flow_bucket *h = &index->buckets[home];
	uint32_t free_slots = flow_bucket_match(h, 0);

	if (__builtin_expect(free_slots == 0, 0))
		return flow_index_insert_beside(index, hash, entry, deadline_s, at);
	at->bucket = home;
	at->slot = flow_bucket_put(h, free_slots, flow_index_tag(hash), entry, deadline_s, false);
	index->used++;
	return true;
}

void flow_index_remove(struct flow_index *index, struct flow_slot at);

static inline void
flow_index_touch(struct flow_index *index, struct flow_slot at, uint16_t deadline_s)
{
	uint16_t *d = &index->buckets[at.bucket].deadline[at.slot];
	if (*d != deadline_s)
		*d = deadline_s;
}

/*
 * Look at the next `n_buckets` buckets for connections (never half-open entries,
 * which have lists of their own) whose deadline has come at `now_s` (both modulo
 * 2^16: a deadline is at most 32767 s ahead, and must be swept within as long),
 * and store up to `max` of their slots. Returns how many; the bucket in which
 * `max` was reached is looked at again next time. The caller removes or touches
 * each before the next sweep. (Removing does not move others. An insert may: what
 * it moves behind the cursor is found one pass later.)
 */
unsigned int flow_index_sweep(struct flow_index *index, unsigned int n_buckets, uint16_t now_s,
                              struct flow_slot *out, unsigned int max);

/* Seconds from `now_s` until the first deadline of a connection, 0 if one has come;
 * UINT32_MAX: there is none. Looks at every bucket. */
uint32_t flow_index_left(const struct flow_index *index, uint16_t now_s);

#endif
