/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program is told: services once, clock each second, keys of epochs ahead. */
#ifndef SYNFRONT_ADOPT_SETTINGS_H
#define SYNFRONT_ADOPT_SETTINGS_H

#include <stdint.h>

#include "adopt.h"
#include "agent_conf.h"

struct adopt;

/* How long the program can do without the agent. */
#define SETTINGS_EPOCHS_AHEAD 60u
/* The one before lives; those before it are dead. */
#define SETTINGS_EPOCHS_BEHIND (1u + ADOPT_EPOCHS_DEAD)

/* Services, profiles of cookies, constants. 0, or -1 and errno. */
int settings_write(struct adopt *skeleton, const struct agent_conf *conf);

/* The wall clock, from the one that never steps. 0, or -1 and errno. */
int settings_write_clock(struct adopt *skeleton);

/* Keys of this wall time's epoch, SETTINGS_EPOCHS_BEHIND before and SETTINGS_EPOCHS_AHEAD after
 * it, but for those that are there already. Each secret is of MASTER_SECRET_SIZE bytes; the
 * second may be NULL. `all`: also over those that are there; those of a second secret that is
 * none any more are removed. 0, or -1 and errno. */
int settings_write_keys(struct adopt *skeleton, const uint8_t *const secrets[ADOPT_SECRETS],
                        uint64_t wall_s, bool all);

#endif
