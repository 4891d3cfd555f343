/* SPDX-License-Identifier: BSD-3-Clause */
/* Anonymous pages of their own, so that nothing else lies beside the keys. */
#include "secret_memory.h"

#include <sys/mman.h>

#include "log.h"

void *
secret_memory_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, size, MADV_DONTDUMP) != 0) {
		munmap(memory, size);
		return NULL;
	}
	if (mlock(memory, size) != 0)
		log_info("the secrets may be swapped out: %m");
	return memory;
}

void
secret_memory_unmap(void *memory, size_t size)
{
	munmap(memory, size);
}
