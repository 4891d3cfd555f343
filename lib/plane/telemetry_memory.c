/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_memory.h"

#include <rte_mempool.h>
#include <string.h>

#include "core_share.h"
#include "dpdk_versions.h"
#include "stats.h"
#include "telemetry_list.h"

#define MEMORY_ROWS_MAX 16

/* Entries in use; what is no table of entries that come and go is so as a whole. */
static uint64_t
used_of(const struct core_memory_row *row, const struct core_usage *u, uint64_t n_workers)
{
	const struct {
		const char *name;
		uint64_t used;
	} known[] = {
		{ "connections", u->connections },
		{ "half-open", u->half_open },
		{ "backends", u->backends },
		{ "paths", u->paths },
		{ "sources", u->sources },
		{ "held", u->held },
		{ "index", (uint64_t)u->connections + u->half_open },
	};

	for (unsigned int i = 0; i < RTE_DIM(known); i++)
		if (strcmp(known[i].name, row->name) == 0)
			return known[i].used;
	return row->entries * n_workers;
}

static void
add_memory(struct list *list, const char *name, uint64_t entries, uint64_t used, uint64_t size)
{
	list->at = 0;
	list_text(list, "table", name);
	list_u64(list, "entries", entries);
	list_u64(list, "used", used);
	list_u64(list, "size", size);
}

int
telemetry_memory(const struct plane *plane, struct rte_tel_data *d)
{
	struct core_memory_row rows[MEMORY_ROWS_MAX];
	uint8_t seed[64] = { 0 };
	struct core_params core = core_share(plane->conf, seed);
	unsigned int n = core_memory(&core, rows, MEMORY_ROWS_MAX);
	struct core_usage usage = stats_usage(plane);
	uint64_t n_workers = plane->n_workers, in_use = 0;
	struct list list = { .n = 0 };

	for (unsigned int i = 0; i < n; i++)
		add_memory(&list, rows[i].name, rows[i].entries * n_workers,
		           used_of(&rows[i], &usage, n_workers), rows[i].size * n_workers);
	for (unsigned int i = 0; i < n_workers; i++)
		in_use += rte_mempool_in_use_count(plane->pools[i]);
	uint64_t n_known = (plane->known.mask + UINT64_C(1)) * KNOWN_WAYS;
	add_memory(&list, "known flows", n_known, known_used(&plane->known),
	           n_known * sizeof(*plane->known.words));
	add_memory(&list, "buffers", plane->pool_size * n_workers, in_use,
	           plane->pool_size * n_workers *
	                   (sizeof(struct rte_mbuf) + rte_pktmbuf_data_room_size(plane->pools[0])));
	return list_answer(d, &list, 0);
}
