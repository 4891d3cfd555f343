/* SPDX-License-Identifier: BSD-3-Clause */
/* A chain of blocks, one for each piece. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"

struct block {
	struct block *next;
	max_align_t bytes[];
};

struct conf_arena {
	struct block *blocks;
};

struct conf_arena *
conf_arena_new(void)
{
	return calloc(1, sizeof(struct conf_arena));
}

void *
conf_arena_alloc(struct conf_arena *arena, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(struct block), &bytes))
		return NULL;

	struct block *b = calloc(1, bytes);
	if (b == NULL)
		return NULL;
	b->next = arena->blocks;
	arena->blocks = b;
	return b->bytes;
}

char *
conf_arena_copy(struct conf_arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = conf_arena_alloc(arena, size, 1);
	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

void
conf_arena_free(struct conf_arena *arena)
{
	if (arena == NULL)
		return;
	while (arena->blocks != NULL) {
		struct block *b = arena->blocks;
		arena->blocks = b->next;
		free(b);
	}
	free(arena);
}
