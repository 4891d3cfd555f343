/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of a long line: what becomes of a frame, and when it comes out.
 *
 * A frame passes these in turn:
 *
 *   loss -> duplication -> [ rate limit with a bounded queue -> delay and jitter -> hold ]
 *
 * and what stands in brackets happens to each copy by itself. Delays are those of a line on
 * which nothing overtakes, so a frame with little jitter waits for the one before it; only
 * frames that are held (the share `reorder`) let others overtake them. Time and randomness
 * are arguments. Times are monotonic nanoseconds.
 *
 * Frames belong to the caller; while one is in a line, its `next`, `due_ns` and `number`
 * are the line's.
 */
#ifndef SYNFRONT_LINE_H
#define SYNFRONT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chance.h"

struct line_settings {
	uint64_t delay_ns;
	uint64_t jitter_ns; /* a frame's delay is within delay_ns +- jitter_ns */
	double loss, duplicate, reorder;
	uint64_t hold_ns;     /* held frames wait up to so much longer */
	uint64_t rate_bps;    /* bits of frames per second; 0: no limit */
	uint64_t queue_bytes; /* most that may wait for the rate limit; 0: as queue_ns says */
	uint64_t queue_ns;    /* longest that a frame may wait for it */
};

struct frame {
	struct frame *next;
	uint64_t due_ns;
	uint64_t number; /* in the order of arrival */
	uint32_t length;
	uint32_t kind; /* the pool's */
	uint8_t bytes[];
};

struct line_counts {
	uint64_t received, sent, lost, duplicated;
	uint64_t held;          /* frames that others were allowed to overtake */
	uint64_t reordered;     /* those of them that others did overtake */
	uint64_t queue_dropped; /* found the queue of the rate limit full */
};

struct line {
	struct line_settings settings;
	struct chance chance;
	struct frame *first, **last; /* in order: due times never decrease */
	struct frame **held;         /* binary heap, the earliest first */
	size_t n_held, held_size;
	uint64_t free_ns;     /* when the rate limit is through with all before */
	uint64_t part;        /* of a nanosecond that free_ns leaves out, in 1/rate_bps */
	uint64_t order_ns;    /* due time of the last frame in order */
	uint64_t n_numbers;   /* numbers given */
	uint64_t most_number; /* the highest number that has left */
	struct line_counts counts;
};

/* When a copy of a frame comes out. */
struct line_copy {
	uint64_t due_ns;
	bool held;
};

#define LINE_COPIES 2u

void line_init(struct line *line, const struct line_settings *settings, uint64_t seed);
void line_fini(struct line *line);

/* A frame of `length` bytes arrives at `now_ns`: how many copies of it come out (0 to
 * LINE_COPIES), and when. Counts what was decided. */
unsigned int line_plan(struct line *line, uint32_t length, uint64_t now_ns,
                       struct line_copy copies[LINE_COPIES]);

/* Put a copy of the frame that was planned last into the line. False if there is no memory
 * for it; the frame stays the caller's. */
bool line_put(struct line *line, struct frame *frame, const struct line_copy *copy);

/* When the next frame comes out; UINT64_MAX if there is none. */
uint64_t line_due(const struct line *line);

/* The next frame that is due at `now_ns`, or NULL; it is the caller's again. */
struct frame *line_take(struct line *line, uint64_t now_ns);

#endif
