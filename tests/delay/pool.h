/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for frames of a few sizes. What is given back is kept for the next of its size;
 * the pool as a whole has a bound.
 */
#ifndef SYNFRONT_POOL_H
#define SYNFRONT_POOL_H

#include <stddef.h>

#include "line.h"

#define POOL_KINDS 4u

struct pool {
	struct frame *spare[POOL_KINDS];
	size_t size, most; /* bytes */
};

/* A frame with room for `length` bytes, or NULL. */
struct frame *pool_get(struct pool *pool, uint32_t length);
void pool_put(struct pool *pool, struct frame *frame);
/* Free all that was given back. */
void pool_fini(struct pool *pool);

#endif
