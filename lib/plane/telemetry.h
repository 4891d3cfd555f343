/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What DPDK's telemetry socket answers under /synfront. The commands run on
 * DPDK's own thread; a lock keeps it, a reload and the end of a run apart.
 */
#ifndef SYNFRONT_TELEMETRY_H
#define SYNFRONT_TELEMETRY_H

#include "plane.h"

/* `version`: of the program, for `info`. */
void telemetry_start(struct plane *plane, const struct conf *conf, const char *version);
/* What is in force comes from `conf` from now on; nobody reads the old one when this has
 * returned. */
void telemetry_set_conf(const struct conf *conf);
/* The commands answer no more. */
void telemetry_stop(void);

#endif
