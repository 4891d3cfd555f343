/* SPDX-License-Identifier: BSD-3-Clause */
/* The clocks of control threads and of synfrontctl. Workers have their own, from the TSC. */
#ifndef SYNFRONT_CLOCK_H
#define SYNFRONT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds on a clock of clock_gettime(2). */
static inline uint64_t
clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Seconds, with all digits that it has: for rates. */
static inline double
clock_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
