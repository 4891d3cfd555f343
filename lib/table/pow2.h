/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes of tables whose index is a masked hash. */
#ifndef SYNFRONT_POW2_H
#define SYNFRONT_POW2_H

#include <stdint.h>

/* The least power of two that is not below `n`; 1 for 0. n <= 2^31. */
static inline uint32_t
pow2_ceil(uint32_t n)
{
	return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

#endif
