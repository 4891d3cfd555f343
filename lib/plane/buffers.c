/* SPDX-License-Identifier: BSD-3-Clause */
/* One pool for each worker, named by its number. */
#include "buffers.h"

#include <rte_mbuf.h>

#include "budget.h"
#include "lcore.h"
#include "log.h"
#include "port.h"

int
buffers_make(struct plane *plane)
{
	uint16_t room = (uint16_t)(port_buffer_size(plane) + RTE_PKTMBUF_HEADROOM);

	plane->pool_size = budget_buffers(plane->conf);
	/* What lies in a cache is nobody else's: a small pool has none. */
	unsigned int cache = plane->pool_size < 8 * BUFFERS_CACHE ? 0 : BUFFERS_CACHE;

	if (plane->pool_size < budget_buffers_most(plane->conf))
		log_warning("workers.buffers: %u, and rings and bursts can hold %u: what finds no "
		            "buffer is lost",
		            plane->pool_size, budget_buffers_most(plane->conf));
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		char name[RTE_MEMPOOL_NAMESIZE];
		int socket = (int)rte_lcore_to_socket_id(lcore_of_worker(i));

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
