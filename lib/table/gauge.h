/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers of entries and sums that one worker writes and other threads read as they
 * are at the moment: whole values, ordered by nothing. The writer reads its own plainly.
 */
#ifndef SYNFRONT_GAUGE_H
#define SYNFRONT_GAUGE_H

#include <stdint.h>

static inline void
gauge_add(uint32_t *gauge, uint32_t n)
{
	__atomic_store_n(gauge, *gauge + n, __ATOMIC_RELAXED);
}

static inline void
gauge_sub(uint32_t *gauge, uint32_t n)
{
	__atomic_store_n(gauge, *gauge - n, __ATOMIC_RELAXED);
}

static inline void
sum_add(uint64_t *sum, uint64_t n)
{
	__atomic_store_n(sum, *sum + n, __ATOMIC_RELAXED);
}

#endif
