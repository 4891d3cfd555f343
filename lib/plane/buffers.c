/* SPDX-License-Identifier: BSD-3-Clause */
/* One pool for each worker, named by its number. */
#include "buffers.h"

#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include "budget.h"
#include "device.h"
#include "lcore.h"
#include "log.h"
#include "port.h"

/*
 * net_af_xdp tells the kernel that the buffers of a pool lie one behind the other
 * (xdp_umem_configure() in DPDK 22.11), and DPDK lets none cross a page: of those of 4 KiB
 * each buffer has one to itself, and two in five are then beyond what the kernel was told
 * of. What is sent from there it drops, and counts where nobody looks.
 */
static bool
must_be_dense(const struct plane *plane)
{
	bool is_xdp = false;

	for (unsigned int i = 0; i < plane->n_ports; i++) {
		/* Buffers in such a pool have no address for a NIC. */
		if (device_is_pci(plane->ports[i].conf->device))
			return false;
		is_xdp |= strcmp(plane->ports[i].driver, "net_af_xdp") == 0;
	}
	return is_xdp;
}

/* rte_pktmbuf_pool_create(), which takes no flags, with one. */
static struct rte_mempool *
make_dense(const char *name, unsigned int n, unsigned int cache, uint16_t room, int socket)
{
	struct rte_pktmbuf_pool_private private = { .mbuf_data_room_size = room };
	struct rte_mempool *pool = rte_mempool_create_empty(
		name, n, (unsigned int)sizeof(struct rte_mbuf) + room, cache, sizeof(private),
		socket, RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (pool == NULL)
		return NULL;
	if (rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL) != 0)
		goto fail;
	rte_pktmbuf_pool_init(pool, &private);
	if (rte_mempool_populate_default(pool) < 0)
		goto fail;
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;

fail:
	rte_mempool_free(pool);
	return NULL;
}

int
buffers_make(struct plane *plane)
{
	uint16_t room = (uint16_t)(port_buffer_size(plane) + RTE_PKTMBUF_HEADROOM);

	bool is_dense = must_be_dense(plane);

	bool has_syns = plane->ports[SIDE_OUTSIDE].syns.n != 0;
	plane->pool_size = budget_buffers(plane->conf, has_syns);
	/* What lies in a cache is nobody else's: a small pool has none. */
	unsigned int cache = plane->pool_size < 8 * BUFFERS_CACHE ? 0 : BUFFERS_CACHE;

	if (plane->pool_size < budget_buffers_most(plane->conf, has_syns))
		log_warning("workers.buffers: %u, and rings and bursts can hold %u: what finds no "
		            "buffer is lost",
		            plane->pool_size, budget_buffers_most(plane->conf, has_syns));
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		char name[RTE_MEMPOOL_NAMESIZE];
		int socket = (int)rte_lcore_to_socket_id(lcore_of_worker(i));

		snprintf(name, sizeof(name), "buffers%u", i);
		plane->pools[i] = is_dense ? make_dense(name, plane->pool_size, cache, room, socket)
		                           : rte_pktmbuf_pool_create(name, plane->pool_size, cache,
		                                                     0, room, socket);
		if (plane->pools[i] == NULL) {
			log_error("worker %u: no memory on node %d for %u buffers of %u bytes", i,
			          socket, plane->pool_size, room);
			return -1;
		}
	}
	return 0;
}
