/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /synfront/explain,client=ADDRESS[,port=N],service=NAME: what the tables hold of that client,
 * and what its next segments would get (lib/proto/explain.h). Workers are asked by mail, for a
 * bounded part of their tables at a time, and decide nothing.
 */
#ifndef SYNFRONT_TELEMETRY_EXPLAIN_H
#define SYNFRONT_TELEMETRY_EXPLAIN_H

#include <rte_telemetry.h>

#include "plane.h"

/* Under the lock that keeps the policy. */
int telemetry_explain(struct plane *plane, const struct policy *policy, const char *params,
                      struct rte_tel_data *d);

#endif
