/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heaviest source prefixes of a service and outcome, all workers and the last ten to twenty
 * seconds together. Any thread, while the plane is up; waits for no worker.
 *
 * A prefix with 1 % of what was counted is named: unless, of n sampled frames, chance has it in
 * fewer than half of its share (n = 4,000, a second of a flood: 2 in 10^4; 10,000: 3 in 10^8). One with less
 * than half a percent hardly ever is. A net is left out if one host of it has nine tenths of what it has,
 * and so stands for it.
 */
#ifndef SYNFRONT_TALKERS_TOP_H
#define SYNFRONT_TALKERS_TOP_H

#include "plane_state.h"

#define TALKERS_NAMED_MAX 200u

struct talker {
	struct prefix prefix;
	uint64_t frames; /* estimated, at most */
	uint64_t error;  /* ... and at least so many less */
	double share;    /* of all of this service and outcome */
};

struct talkers_top {
	uint16_t service; /* id, or SERVICE_CLOSED */
	uint8_t outcome;  /* enum counter */
	bool would;       /* it would have been, under observe */
	uint64_t frames;  /* of all sources, estimated */
	uint64_t n_samples;
	unsigned int n;
	struct talker list[TALKERS_NAMED_MAX]; /* heaviest first */
};

/* Which services and outcomes there are, none twice: how many of at most `max`. */
struct talkers_pair {
	uint16_t service;
	uint8_t outcome;
	bool would;
};
unsigned int talkers_pairs(const struct plane *plane, struct talkers_pair *pairs, unsigned int max);

/* False: not enough memory, or nothing is known of the pair. */
bool talkers_top(const struct plane *plane, const struct talkers_pair *pair,
                 struct talkers_top *top);

/*
 * For events: the heaviest sources of a service in a flood, of all outcomes together that are an
 * answer or a drop (of one under observe: that would be). How many of at most `max`, heaviest first.
 */
unsigned int talkers_of_service(const struct plane *plane, uint16_t service, struct talker *list,
                                unsigned int max);

#endif
