/* SPDX-License-Identifier: BSD-3-Clause */
/* What telemetry answers of tables and buffers: sizes and use. */
#ifndef SYNFRONT_TELEMETRY_MEMORY_H
#define SYNFRONT_TELEMETRY_MEMORY_H

#include <rte_telemetry.h>

#include "plane_state.h"

/* Under the lock that keeps the plane. */
int telemetry_memory(const struct plane *plane, struct rte_tel_data *d);

#endif
