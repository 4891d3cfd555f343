/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of cookies share: secrets, random jobs, and a model that says which ISS is right. */
#ifndef SYNFRONT_COOKIE_LAB_H
#define SYNFRONT_COOKIE_LAB_H

#include "cookie.h"

#define LAB_START_S 1800000000u /* begins an even epoch */

/* What cookie_select() knows by name, not all of which each CPU has. */
#define LAB_VARIANTS 3u
extern const char *const lab_variants[LAB_VARIANTS];

/* The same master's secrets at every call, as of this second. */
void lab_ring_start(struct secret_ring *ring, uint64_t wall_s);

enum lab_mix {
	LAB_V4,
	LAB_V6,
	LAB_ALL,
	LAB_MIXES
};

/* `n` random jobs, and their flows. Those of one family are of the even epoch. */
void lab_jobs_random(struct cookie_job *jobs, struct flow *flows, unsigned int n, enum lab_mix mix,
                     uint64_t *state);

/* cookie.h in words of one block each: the model of all variants. */
uint32_t lab_model(const struct secret_set *set, const struct cookie_job *job);

#endif
