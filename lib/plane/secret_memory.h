/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages for keys. */
#ifndef SYNFRONT_SECRET_MEMORY_H
#define SYNFRONT_SECRET_MEMORY_H

#include <stddef.h>

/* Zeroed pages that no core dump has in it and no swap, where that is allowed. NULL when
 * there are none. */
void *secret_memory_map(size_t size);
void secret_memory_unmap(void *memory, size_t size);

#endif
