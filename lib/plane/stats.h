/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over workers, for whoever asks; any thread, while the plane is up. */
#ifndef SYNFRONT_STATS_H
#define SYNFRONT_STATS_H

#include "account.h"
#include "plane_state.h"

void stats_counters(const struct plane *plane, struct counters *sum);
/* What would have been counted under observe; false: nothing is ever observed. */
bool stats_would(const struct plane *plane, struct counters *sum);
/* One worker's, added to `sum`. */
void stats_add_account(struct worker_account *sum, const struct worker *worker);
void stats_account(const struct plane *plane, struct worker_account *sum);
struct core_usage stats_usage(const struct plane *plane);
struct service_view stats_service(const struct plane *plane, uint16_t service);

static inline uint64_t
stats_received(const struct worker_account *account)
{
	return account->received[SIDE_OUTSIDE] + account->received[SIDE_INSIDE];
}

#endif
