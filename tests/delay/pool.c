/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool.h"

#include <stdlib.h>

static const uint32_t room[POOL_KINDS] = { 192, 1664, 9344, 65664 };

struct frame *
pool_get(struct pool *pool, uint32_t length)
{
	struct frame *frame;
	uint32_t kind = 0;
	size_t size;

	while (kind < POOL_KINDS && room[kind] < length)
		kind++;
	if (kind == POOL_KINDS)
		return NULL;
	frame = pool->spare[kind];
	if (frame) {
		pool->spare[kind] = frame->next;
	} else {
		size = sizeof(*frame) + room[kind];
		if (pool->size + size > pool->most)
			return NULL;
		frame = malloc(size);
		if (!frame)
			return NULL;
		pool->size += size;
		frame->kind = kind;
	}
	frame->next = NULL;
	frame->length = length;
	return frame;
}

void
pool_put(struct pool *pool, struct frame *frame)
{
	frame->next = pool->spare[frame->kind];
	pool->spare[frame->kind] = frame;
}

void
pool_fini(struct pool *pool)
{
	for (unsigned int kind = 0; kind < POOL_KINDS; kind++) {
		while (pool->spare[kind]) {
			struct frame *frame = pool->spare[kind];

			pool->spare[kind] = frame->next;
			free(frame);
		}
	}
}
