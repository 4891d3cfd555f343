/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is given back all at once: what one conf points to. */
#ifndef SYNFRONT_CONF_ARENA_H
#define SYNFRONT_CONF_ARENA_H

#include <stddef.h>

struct conf_arena;

/* NULL when memory is short. */
struct conf_arena *conf_arena_new(void);

/* `n` members of `size` bytes, zeroed, aligned for any type; NULL when memory is
 * short. */
void *conf_arena_alloc(struct conf_arena *arena, size_t n, size_t size);

char *conf_arena_copy(struct conf_arena *arena, const char *text);

/* NULL is allowed. */
void conf_arena_free(struct conf_arena *arena);

#endif
