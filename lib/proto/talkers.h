/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sends most: of each service and outcome a sample of the frames from outside, of whose sources
 * the heaviest hosts (IPv4 /32, IPv6 /64) and nets (/24, /48) are kept (heavy.h).
 *
 * Of an outcome every g-th frame is taken on average: the gap to the next is random, from 1 to
 * 2g - 1, so that no sender who repeats himself falls between. g follows the rate: it doubles when
 * four samples fall into one millisecond, and halves when four milliseconds pass without one, so
 * that a flood costs 4,000 samples a second of each outcome, and a quiet service is counted frame
 * by frame. A sample weighs g.
 *
 * A window lasts ten seconds. Two are kept, the one that runs and the one before, so that there is
 * always something to be seen; the older one is cleared when its memory is needed again.
 *
 * Ownership: the core's thread writes; anybody reads by core_talk() and heavy_copy().
 */
#ifndef SYNFRONT_TALKERS_H
#define SYNFRONT_TALKERS_H

#include "core.h"
#include "counters.h"

#define TALKS_MAX CORE_TALKS_MAX /* pairs of service and outcome that are followed at one time */
#define TALK_WINDOW_MS 10000u

/* Of one service and outcome. [number of the window & 1] */
struct talk {
	uint32_t key;    /* service << 8 | outcome; relaxed; 0xffffffff: free */
	uint32_t window; /* the last one with a sample; relaxed */
	struct heavy hosts[2], nets[2];
};
_Static_assert(COUNTER_COUNT < 256, "an outcome is one byte of a key");

#define TALK_FREE UINT32_MAX

struct talk_gap {
	uint32_t gap; /* a power of two */
	uint32_t ms;  /* of the last sample */
	uint32_t n;   /* samples in it */
};

struct talkers {
	uint64_t random;
	uint64_t n_lost; /* samples of pairs that found no room */
	struct talk_gap gaps[COUNTER_COUNT];
	struct talk talks[TALKS_MAX];
};

struct step;
struct segment;
struct instant;

void talkers_init(struct talkers *talkers, uint64_t random);
/* A frame whose turn it was. */
void talkers_sample(struct core *core, const struct step *step, enum counter outcome);
/* As core_talk() has it. */
bool talkers_copy(const struct talk *talk, struct core_talk *out);
/* Of n frames, one after the other and all of one outcome, those whose turn it is: act_append()
 * counts one by one. */
void talkers_sample_run(struct core *core, struct segment *seg, unsigned int n,
                        enum counter outcome, const struct instant *now);

#endif
