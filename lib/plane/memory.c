/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers: how many, how large, where. */
#include <rte_mbuf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core_share.h"
#include "log.h"
#include "plane.h"

#define POOL_CACHE 256u
/* In bursts, stages and packets that a timer makes. */
#define POOL_IN_HAND (4 * BURST + SIDE_COUNT * 2 * STAGED_MAX + 1024u)
/* What EAL, drivers and rings take, roughly; what is not used costs nothing
 * without hugepages. */
#define OTHER_SIZE (96u << 20)
#define WORKER_SIZE (4u << 20)

/* Buffers of a worker when every ring is full. */
static uint32_t
pool_most(const struct conf *conf)
{
	uint32_t n = conf->outside.rx_descriptors + conf->outside.tx_descriptors;

	if (conf->has_inside)
		n += conf->inside.rx_descriptors + conf->inside.tx_descriptors;
	if (conf->workers.count > 1)
		n += HAND_OVER_RING * (conf->workers.count - 1);
	/* Caches hold up to one and a half times their size, on control's lcore too. */
	return n + POOL_IN_HAND + 3 * POOL_CACHE;
}

static uint32_t
pool_count(const struct conf *conf)
{
	return conf->workers.buffers != 0 ? conf->workers.buffers : pool_most(conf);
}

uint64_t
memory_wanted(const struct conf *conf, bool huge)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint8_t seed[64] = { 0 };
	struct core_params params = core_share(conf, seed);
	uint32_t mtu = RTE_MAX(conf->outside.mtu, conf->has_inside ? conf->inside.mtu : 0u);
	uint64_t buffer = RTE_MAX(mtu, 2048u) + 512u;

	/* A buffer crosses no page: of ordinary ones it has some to itself. */
	if (!huge)
		buffer = RTE_ALIGN_MUL_CEIL(buffer, page);
	uint64_t each = core_size(&params) + pool_count(conf) * buffer + WORKER_SIZE;

	return each * conf->workers.count + OTHER_SIZE;
}

int
memory_pools(struct plane *plane)
{
	uint16_t room = (uint16_t)(port_buffer_size(plane) + RTE_PKTMBUF_HEADROOM);

	plane->pool_size = pool_count(plane->conf);
	/* What lies in a cache is nobody else's: a small pool has none. */
	unsigned int cache = plane->pool_size < 8 * POOL_CACHE ? 0 : POOL_CACHE;

	if (plane->pool_size < pool_most(plane->conf))
		log_warning("workers.buffers: %u, and rings and bursts can hold %u: what finds no "
		            "buffer is lost",
		            plane->pool_size, pool_most(plane->conf));
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		char name[RTE_MEMPOOL_NAMESIZE];
		int socket = (int)rte_lcore_to_socket_id(eal_worker_lcore(i));

		snprintf(name, sizeof(name), "buffers%u", i);
		plane->pools[i] = rte_pktmbuf_pool_create(name, plane->pool_size, cache, 0, room,
		                                          socket);
		if (plane->pools[i] == NULL) {
			log_error("worker %u: no memory on node %d for %u buffers of %u bytes", i,
			          socket, plane->pool_size, room);
			return -1;
		}
	}
	return 0;
}

void *
memory_secret(size_t size)
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
memory_secret_free(void *memory, size_t size)
{
	munmap(memory, size);
}
