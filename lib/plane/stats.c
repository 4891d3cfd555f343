/* SPDX-License-Identifier: BSD-3-Clause */
/* Relaxed reads of each worker's, added up. */
#include "stats.h"

void
stats_counters(const struct plane *plane, struct counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < plane->n_workers; i++)
		account_add(sum, core_counters(plane->workers[i]->core));
}

bool
stats_would(const struct plane *plane, struct counters *sum)
{
	bool is_there = false;

	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < plane->n_workers; i++) {
		const struct counters *would = core_would(plane->workers[i]->core);
		is_there |= would != NULL;
		if (would != NULL)
			account_add(sum, would);
	}
	return is_there;
}

void
stats_add_account(struct worker_account *sum, const struct worker *worker)
{
	const uint64_t *from = (const uint64_t *)&worker->account;
	uint64_t *to = (uint64_t *)sum;

	_Static_assert(sizeof(struct worker_account) % sizeof(uint64_t) == 0,
	               "nothing but counters");
	for (unsigned int i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void
stats_account(const struct plane *plane, struct worker_account *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < plane->n_workers; i++)
		stats_add_account(sum, plane->workers[i]);
}

struct core_usage
stats_usage(const struct plane *plane)
{
	struct core_usage sum = { 0 };

	for (unsigned int i = 0; i < plane->n_workers; i++) {
		struct core_usage u = core_usage(plane->workers[i]->core);
		sum.connections += u.connections;
		sum.half_open += u.half_open;
		sum.backends += u.backends;
		sum.paths += u.paths;
		sum.sources += u.sources;
		sum.held += u.held;
	}
	return sum;
}

struct service_view
stats_service(const struct plane *plane, uint16_t service)
{
	struct service_view sum = { 0 };

	for (unsigned int i = 0; i < plane->n_workers; i++) {
		struct service_view v = core_service_view(plane->workers[i]->core, service);
		sum.cookie_mode |= v.cookie_mode;
		sum.half_open += v.half_open;
		sum.connections += v.connections;
		sum.syn += v.syn;
		sum.syn_ack += v.syn_ack;
		sum.opened += v.opened;
		sum.refused += v.refused;
		sum.is_observed |= v.is_observed;
		sum.would_syn_ack += v.would_syn_ack;
		sum.would_opened += v.would_opened;
		sum.would_refused += v.would_refused;
	}
	return sum;
}
