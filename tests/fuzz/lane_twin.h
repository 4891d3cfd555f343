/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two cores that see the same bursts of frames, one with the straight lanes and one without:
 * what the fuzzers of the lanes share.
 */
#ifndef SYNFRONT_LANE_TWIN_H
#define SYNFRONT_LANE_TWIN_H

#include "core.h"
#include "core_state.h"
#include "frame.h"
#include "fuzz.h"

#define BURST_MAX 16u
#define ROOM 1024u
#define KNOWN 16u

struct lane_burst {
	struct segment seg[BURST_MAX];
	uint8_t frames[BURST_MAX][FRAME_SIZE];
	unsigned int n;
};

/* What came of a burst. */
struct outcome {
	struct action list[BURST_MAX * (1 + ACTIONS_PER_EVENT) + CORE_BURST_MAX];
	struct actions actions;
	uint8_t bytes[BURST_MAX * (1 + ACTIONS_PER_EVENT) + CORE_BURST_MAX][ROOM];
	unsigned int len[BURST_MAX * (1 + ACTIONS_PER_EVENT) + CORE_BURST_MAX];
};

/* One of the two, in one block with all that it may point to: a pointer into one block points as
 * far into the other. */
struct twin {
	struct known known;
	uint32_t known_words[KNOWN];
	struct lane_burst burst;
	struct outcome out;
	struct core *core; /* behind this, the rest of the block */
} __attribute__((aligned(64)));

/* `number`: 0 or 1. The block is used again by the next input. *memory: bytes of the core. */
struct twin *twin_make(unsigned int number, const struct policy *policy, bool may_observe,
                       const struct instant *now, size_t *memory);

/* The frame that is written behind those of a's burst is the next of both. */
void twins_take(struct twin *a, struct twin *b, size_t len, enum side side);

/* Told what came of a segment, or what is sent besides: `seg` NULL. */
typedef void twin_listen_fn(const struct segment *seg, const struct action *a);

/* Decide on its burst. `lane`: as a worker does, which notes a burst that a capture may want.
 * `listen`: to each action; NULL. */
void twin_decide(struct twin *twin, const struct instant *now, bool lane, bool captures,
                 twin_listen_fn *listen);

/* Both have come to the same with their bursts, which are over. */
void twins_check_burst(struct twin *a, struct twin *b);

/* Time goes on for both to `ms` behind the beginning, and what is due happens. */
void twins_tick(struct twin *a, struct twin *b, struct instant *now, uint64_t ms);

/* All that they remember is the same; the end of an input. */
void twins_check(const struct twin *a, const struct twin *b, size_t memory,
                 const struct instant *now);

#endif
