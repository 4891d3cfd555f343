/* SPDX-License-Identifier: BSD-3-Clause */
/* Dividing by workers, rounded up. */
#include "core_share.h"

struct core_params
core_share(const struct conf *conf, const uint8_t seed[64])
{
	const struct memory_conf *m = &conf->memory;
	uint32_t n = conf->workers.count;
	struct core_params params = {
		.connections = (m->connections - 1) / n + 1,
		.half_open = (m->half_open - 1) / n + 1,
		.backends = (m->backends - 1) / n + 1,
		.paths = (m->paths - 1) / n + 1,
		.sources = (m->sources - 1) / n + 1,
		.held = (m->held_connections - 1) / n + 1,
		.seen = conf->policy.may_observe ? (m->known_flows - 1) / n + 1 : 0,
		.hold_bytes = conf->policy.hold_bytes,
		.n_workers = n,
		.has_inside = conf->has_inside,
		/* With several workers an ACK may reach another one than its SYN did. */
		.cookie_gate = n == 1 && (conf->secret_file == NULL || !conf->secret_shared),
	};

	memcpy(params.seed, seed, sizeof(params.seed));
	return params;
}
