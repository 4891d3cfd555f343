/* SPDX-License-Identifier: BSD-3-Clause */
/* What telemetry answers of talkers_top.h: one pair of service and outcome for each number, with
 * the number of the next one, 0 at the end. */
#ifndef SYNFRONT_TELEMETRY_TALKERS_H
#define SYNFRONT_TELEMETRY_TALKERS_H

#include <rte_telemetry.h>

#include "plane_state.h"

/* Under the lock that keeps both. */
int telemetry_talkers(const struct plane *plane, const struct policy *policy, const char *params,
                      struct rte_tel_data *d);

#endif
