/* SPDX-License-Identifier: BSD-3-Clause */
/* The core: what memory it takes, and how it begins. */
#include "core.h"

#include "core_state.h"
#include "observe.h"
#include "talkers.h"
#include "unfinished.h"

#define RATE_CELLS 16384u /* 2 rows of 8 bytes: fits the second-level cache beside the rest */
#define PROVEN_BITS (1u << 20)
#define PROVEN_PERIOD_MS 60000u

static size_t
line(size_t size)
{
	return (size + 63) & ~(size_t)63;
}

static uint32_t
unfinished_bits(const struct core_params *params)
{
	return params->half_open < UINT32_MAX / 2 / UNFINISHED_BITS
	               ? params->half_open * UNFINISHED_BITS
	               : UINT32_MAX / 2;
}

/* Of the core that decides for frames under observe: as large as this one, so that it finds as
 * much room. */
static struct core_params
shadow_params(const struct core_params *params)
{
	struct core_params shadow = *params;

	shadow.seen = 0;
	shadow.cookies_until_s = NULL; /* of cookies that are out: none of its own is */
	return shadow;
}

unsigned int
core_memory(const struct core_params *params, struct core_memory_row *rows, unsigned int max)
{
	struct core_params shadow = shadow_params(params);
	const struct core_memory_row all[] = {
		{ "connections", params->connections, line(conn_table_size(params->connections)) },
		{ "half-open", params->half_open,
		  line(half_open_table_size(params->half_open)) +
		          line(recent_size(unfinished_bits(params))) },
		{ "index", params->connections + params->half_open,
		  line(flow_index_size(params->connections + params->half_open)) },
		{ "held", params->held,
		  line(pending_table_size(params->held, params->hold_bytes)) },
		{ "backends", params->backends, line(backend_table_size(params->backends)) },
		{ "paths", params->paths, line(path_table_size(params->paths)) },
		{ "sources", params->sources, line(source_table_size(params->sources)) },
		{ "rates", RATE_CELLS,
		  3 * line(rate_size(RATE_CELLS)) + line(recent_size(PROVEN_BITS)) },
		{ "talkers", TALKS_MAX, line(sizeof(struct talkers)) },
		{ "core", SERVICES_MAX, line(sizeof(struct core)) },
		{ "observe", params->seen,
		  params->seen == 0 ? 0 : observer_size(params) + core_size(&shadow) },
	};
	unsigned int n = sizeof(all) / sizeof(all[0]) - (params->seen == 0);

	if (n > max)
		n = max;
	for (unsigned int i = 0; i < n; i++)
		rows[i] = all[i];
	return n;
}

size_t
core_size(const struct core_params *params)
{
	struct core_memory_row rows[16];
	unsigned int n = core_memory(params, rows, 16);
	size_t size = 0;

	for (unsigned int i = 0; i < n; i++)
		size += rows[i].size;
	return size;
}

static void *
carve(uint8_t **at, size_t size)
{
	void *p = *at;

	*at += line(size);
	return p;
}

struct core *
core_init(void *memory, const struct core_params *params, const struct policy *policy,
          const struct instant *now)
{
	uint8_t *at = memory;
	struct core *core = carve(&at, sizeof(*core));

	memset(core, 0, sizeof(*core));
	core->params = *params;
	memcpy(&core->hash_key, params->seed, sizeof(core->hash_key));
	core->served_ms = now->now_ms;
	/* A cookie of the run before may still be out. */
	core->cookie_out_ms = now->now_ms + COOKIE_LIFE_MAX_S * 1000u;

	conn_table_init(&core->conns, carve(&at, conn_table_size(params->connections)),
	                params->connections);
	half_open_table_init(&core->half_open, carve(&at, half_open_table_size(params->half_open)),
	                     params->half_open);
	uint32_t entries = params->connections + params->half_open;
	flow_index_init(&core->index, carve(&at, flow_index_size(entries)), entries);
	pending_table_init(&core->pending,
	                   carve(&at, pending_table_size(params->held, params->hold_bytes)),
	                   params->held, params->hold_bytes);
	backend_table_init(&core->backends, carve(&at, backend_table_size(params->backends)),
	                   params->backends, &core->hash_key);
	path_table_init(&core->paths, carve(&at, path_table_size(params->paths)), params->paths);
	source_table_init(&core->sources, carve(&at, source_table_size(params->sources)),
	                  params->sources, &core->hash_key);
	recent_init(&core->unfinished, carve(&at, recent_size(unfinished_bits(params))),
	            unfinished_bits(params), UNFINISHED_PERIOD_MS);
	rate_init(&core->syn_rate, carve(&at, rate_size(RATE_CELLS)), RATE_CELLS);
	rate_init(&core->reflection, carve(&at, rate_size(RATE_CELLS)), RATE_CELLS);
	rate_init(&core->adopt_rate, carve(&at, rate_size(RATE_CELLS)), RATE_CELLS);
	recent_init(&core->proven, carve(&at, recent_size(PROVEN_BITS)), PROVEN_BITS,
	            PROVEN_PERIOD_MS);
	core->talkers = carve(&at, sizeof(*core->talkers));
	uint64_t random;
	memcpy(&random, params->seed + sizeof(params->seed) - sizeof(random), sizeof(random));
	talkers_init(core->talkers, random);
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		core->talk_left[i] = 1;
	if (params->seen != 0) {
		struct core_params shadow = shadow_params(params);

		core->observer = observer_init(carve(&at, observer_size(params)), params);
		core->observer->shadow = core_init(at, &shadow, policy, now);
		core->seen = &core->observer->seen;
	}
	core_set_policy(core, policy);
	return core;
}
