/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sequence and timestamp arithmetic modulo 2^32 (RFC 9293, 3.4; RFC 7323, 5.2).
 * a is "before" b when the shorter way round the circle leads from a to b.
 */
#ifndef SYNFRONT_SEQ_H
#define SYNFRONT_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool
seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
seq_before_eq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

/* low <= x <= high, going upwards from low. */
static inline bool
seq_between(uint32_t low, uint32_t x, uint32_t high)
{
	return x - low <= high - low;
}

#endif
