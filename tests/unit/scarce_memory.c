/* SPDX-License-Identifier: BSD-3-Clause */
#include "scarce_memory.h"

#include <stdlib.h>
#include <sys/random.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *p);
ssize_t __real_getrandom(void *out, size_t size, unsigned int flags);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned int flags);

volatile struct scarce_memory memory;

static bool
fails(void)
{
	return memory.counts && ++memory.n == memory.fail;
}

static void *
counted(void *p)
{
	if (memory.counts && p != NULL)
		memory.live++;
	return p;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *
__wrap_realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
	return p == NULL ? counted(__real_malloc(size)) : __real_realloc(p, size);
}

void *
__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

void
__wrap_free(void *p)
{
	if (memory.counts && p != NULL)
		memory.live--;
	__real_free(p);
}

ssize_t
__wrap_getrandom(void *out, size_t size, unsigned int flags)
{
	return memory.no_random ? -1 : __real_getrandom(out, size, flags);
}
