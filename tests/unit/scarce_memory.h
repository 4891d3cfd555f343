/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory, and randomness, that give out when a test wants it. The linker brings the library's
 * allocations here (--wrap). */
#ifndef SYNFRONT_SCARCE_MEMORY_H
#define SYNFRONT_SCARCE_MEMORY_H

#include <stdbool.h>

struct scarce_memory {
	bool counts;          /* in this stretch of the test */
	unsigned int n, fail; /* allocations so far; the one that fails, counted from 1 */
	int live;
	bool no_random;
};

/* A compiler that knows what malloc() is does not expect it to look here. */
extern volatile struct scarce_memory memory;

#endif
