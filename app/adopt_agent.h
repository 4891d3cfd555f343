/* SPDX-License-Identifier: BSD-3-Clause */
/* The running agent: turns keys, watches, answers who asks. */
#ifndef SYNFRONT_ADOPT_AGENT_H
#define SYNFRONT_ADOPT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "adopt.h"
#include "agent_conf.h"

/*
 * Run until SIGTERM or SIGINT; 0, or -1 if it could not start, and has said why. `secrets`:
 * each of MASTER_SECRET_SIZE bytes, stay the caller's; the second may be NULL. `lingers`: what is in the kernel stays there.
 * `ready`: called once, when clients are taken over.
 */
int adopt_agent_run(const struct agent_conf *conf, const uint8_t *const secrets[ADOPT_SECRETS],
                    bool lingers, void (*ready)(void));

#endif
