/* SPDX-License-Identifier: BSD-3-Clause */
/* The workers' pools of buffers. */
#ifndef SYNFRONT_BUFFERS_H
#define SYNFRONT_BUFFERS_H

#include "plane_state.h"

/* Make plane->pools, each on its worker's node; ports are probed. 0, or -1 with the reason
 * logged. */
int buffers_make(struct plane *plane);

#endif
