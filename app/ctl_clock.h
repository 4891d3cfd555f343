/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock that a command waits and works out rates by. */
#ifndef SYNFRONT_CTL_CLOCK_H
#define SYNFRONT_CTL_CLOCK_H

#include <time.h>

/* Seconds on CLOCK_MONOTONIC. */
static inline double
ctl_clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
