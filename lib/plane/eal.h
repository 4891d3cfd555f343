/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting EAL: its command line, and the signals around it. */
#ifndef SYNFRONT_EAL_H
#define SYNFRONT_EAL_H

#include "conf.h"

/* 0, or -1 with the reason logged. `args`: n more for EAL, from the user. */
int eal_start(const struct conf *conf, char *const *args, unsigned int n_args);
/* Around eal_start() and the start of ports: drivers poll, and wait for no signal of the
 * kernel's. */
void eal_block_signals(void);
void eal_ignore_signals(void);

#endif
