/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting what rings, bursts and caches can hold, and what the tables take. */
#include "budget.h"

#include <rte_common.h>
#include <unistd.h>

#include "core_share.h"
#include "worker_state.h"

/* In bursts, stages and packets that a timer makes. */
#define BUFFERS_IN_HAND (4 * BURST + SIDE_COUNT * 2 * STAGED_MAX + 1024u)
/* What EAL, drivers and rings take, roughly; what is not used costs nothing
 * without hugepages. */
#define OTHER_SIZE (96u << 20)
#define WORKER_SIZE (4u << 20)

uint32_t
budget_buffers_most(const struct conf *conf, bool has_syns)
{
	uint32_t n = conf->outside.rx_descriptors + conf->outside.tx_descriptors;

	if (has_syns)
		n += conf->outside.rx_descriptors;
	if (conf->has_inside)
		n += conf->inside.rx_descriptors + conf->inside.tx_descriptors;
	if (conf->workers.count > 1)
		n += HAND_OVER_RING * (conf->workers.count - 1);
	/* Caches hold up to one and a half times their size, on control's lcore too. */
	return n + BUFFERS_IN_HAND + 3 * BUFFERS_CACHE;
}

uint32_t
budget_buffers(const struct conf *conf, bool has_syns)
{
	return conf->workers.buffers != 0 ? conf->workers.buffers
	                                  : budget_buffers_most(conf, has_syns);
}

uint64_t
budget_memory(const struct conf *conf, bool huge)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint8_t seed[64] = { 0 };
	struct core_params params = core_share(conf, seed);
	uint32_t mtu = RTE_MAX(conf->outside.mtu, conf->has_inside ? conf->inside.mtu : 0u);
	uint64_t buffer = RTE_MAX(mtu, 2048u) + 512u;

	/* Whether the port has queues of SYNs it says later. Of ordinary pages nobody takes what is not
	 * used, and of hugepages EAL takes more if it has to. */
	bool has_syns = !huge && conf->outside.syn_queues == CONF_OFFLOAD_AUTO;
	/* A buffer crosses no page: of ordinary ones it has some to itself. */
	if (!huge)
		buffer = RTE_ALIGN_MUL_CEIL(buffer, page);
	uint64_t each = core_size(&params) + budget_buffers(conf, has_syns) * buffer + WORKER_SIZE;

	return each * conf->workers.count + known_size(conf->memory.known_flows) + OTHER_SIZE;
}
