/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a worker to whoever writes a capture: frames with what became of them, copied to a ring of
 * bytes that one thread fills and another empties. Who fills never waits: a frame that finds no
 * room, or comes over the budget of its millisecond, is counted as lost and no more.
 *
 * The budget bounds what a capture of everything can cost in a flood, since a copy is many times
 * as dear as the look at a frame that is not wanted (`bench_core --capture`).
 *
 * Records lie one behind another, each a multiple of 8 bytes long, and never around the end: what
 * is left there becomes a record of nothing. `head` and `tail` count bytes for ever.
 *
 * Memory order: a record is written before `head` (release), and read after it (acquire); it has
 * been read before `tail` (release), and is written over after it (acquire).
 */
#ifndef SYNFRONT_CAPTURE_RING_H
#define SYNFRONT_CAPTURE_RING_H

#include <stdbool.h>

#include "verdict.h"

#define CAPTURE_RING_SIZE (1u << 20) /* bytes, for each worker */
#define CAPTURE_SNAP 2048u           /* of a longer frame the rest is left out */
#define CAPTURE_PER_MS 64u           /* frames */

/* Which frames are wanted. */
struct capture_filter {
	uint16_t service;                 /* id; SERVICE_NONE: of all, and of none */
	struct ip_addr client, mask;      /* all whose bits under the mask are the client's */
	uint64_t outcomes[VERDICT_WORDS]; /* by bit */
	bool is_any;                      /* client: mask 0 */
	bool has_outcomes;                /* not all are wanted: nothing that a timer sends is */
};

struct capture_record {
	uint64_t at_ns; /* since 1970 */
	uint32_t size;  /* of the record with all that follows */
	uint32_t len;   /* of the frame; 0: the rest of the ring, nothing is in it */
	uint16_t captured;
	uint16_t service;
	uint8_t side;     /* it came in or left by */
	bool is_sent;     /* by us */
	bool is_by_timer; /* is_sent: without a frame to answer */
	struct verdict verdict;
	uint8_t unused[2];
};

struct capture_ring {
	uint8_t *bytes;  /* CAPTURE_RING_SIZE, 8-byte aligned */
	uint64_t now_ms; /* of the budget; the filler's, as all below */
	uint32_t budget;
	/* Relaxed. */
	uint64_t n_taken[SIDE_COUNT], n_lost[SIDE_COUNT];
	uint64_t head;
	_Alignas(64) uint64_t tail; /* the reader's */
};

/* `bytes` is the caller's. */
void capture_ring_init(struct capture_ring *ring, uint8_t *bytes);
/* Room for a frame of record->len bytes, of which record->captured are to be copied there; `record`
 * is copied. NULL: lost. What is there counts from capture_ring_commit() on. */
uint8_t *capture_ring_reserve(struct capture_ring *ring, const struct capture_record *record,
                              uint64_t now_ms);
void capture_ring_commit(struct capture_ring *ring);
/* The oldest record, which holds until capture_ring_drop(); NULL: none. */
const struct capture_record *capture_ring_next(struct capture_ring *ring);
void capture_ring_drop(struct capture_ring *ring);

static inline const uint8_t *
capture_record_frame(const struct capture_record *record)
{
	return (const uint8_t *)(record + 1);
}

/* Clients of this prefix alone. */
static inline void
capture_want_client(struct capture_filter *filter, const struct prefix *prefix)
{
	const struct ip_addr all = { .quads_be = { UINT64_MAX, UINT64_MAX } };

	filter->client = prefix->addr;
	filter->mask = ip_addr_mask(&all, prefix->len);
	filter->is_any = false;
}

static inline bool
capture_wants_client(const struct capture_filter *filter, const struct ip_addr *client)
{
	uint64_t differ[2];

	for (unsigned int i = 0; i < 2; i++)
		differ[i] = (filter->client.quads_be[i] ^ client->quads_be[i]) &
		            filter->mask.quads_be[i];
	return (differ[0] | differ[1]) == 0;
}

/* Is this segment wanted, whatever becomes of it? What is no TCP has no client. */
static inline bool
capture_wants(const struct capture_filter *filter, const struct segment *seg)
{
	if (filter->service != SERVICE_NONE && seg->found.service != filter->service)
		return false;
	return filter->is_any ||
	       (seg->class != SEGMENT_OTHER && capture_wants_client(filter, &seg->flow.client));
}

static inline bool
capture_wants_outcome(const struct capture_filter *filter, uint8_t outcome)
{
	return filter->outcomes[outcome / 64] >> outcome % 64 & 1;
}

/* May a segment of this burst be wanted? By its client alone, before anything is decided: half of
 * an address, the one that tells more clients apart. */
static inline bool
capture_may_want(const struct capture_filter *filter, const struct segment *segs, unsigned int n)
{
	unsigned int half = filter->mask.quads_be[1] != 0;
	uint64_t client = filter->client.quads_be[half], mask = filter->mask.quads_be[half];

	if (filter->is_any)
		return true;
	for (unsigned int i = 0; i < n; i++)
		if (((segs[i].flow.client.quads_be[half] ^ client) & mask) == 0)
			return true;
	return false;
}

/* Of a burst that was decided on: a bit for each segment that is wanted, at most 64, and what it
 * counts as. */
static inline uint64_t
capture_wanted(const struct capture_filter *filter, const struct actions *actions,
               const struct segment *segs, uint8_t *outcomes)
{
	uint64_t wanted = 0;

	for (unsigned int i = 0; i < actions->n; i++) {
		const struct action *a = &actions->list[i];
		if (a->kind == ACTION_SEND || !capture_wants_outcome(filter, a->outcome) ||
		    !capture_wants(filter, &segs[a->seg]))
			continue;
		outcomes[a->seg] = a->outcome;
		wanted |= UINT64_C(1) << a->seg;
	}
	return wanted;
}

#endif
