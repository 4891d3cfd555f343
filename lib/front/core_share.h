/* SPDX-License-Identifier: BSD-3-Clause */
/* What one worker's core gets of what a configuration grants the engine. */
#ifndef SYNFRONT_CORE_SHARE_H
#define SYNFRONT_CORE_SHARE_H

#include "conf.h"
#include "core.h"

/* Parameters of one of conf->workers.count cores; `seed` uniformly random. */
struct core_params core_share(const struct conf *conf, const uint8_t seed[64]);

#endif
