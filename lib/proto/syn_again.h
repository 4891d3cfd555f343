/* SPDX-License-Identifier: BSD-3-Clause */
/* The SYN-ACK of a half-open entry, sent once more: what it says, and when. Inside lib/proto only. */
#ifndef SYNFRONT_SYN_AGAIN_H
#define SYNFRONT_SYN_AGAIN_H

#include "actions.h"
#include "core_state.h"

/* What it says; `p` comes zeroed but for flags. `mode`: of its service. */
void syn_again_fill(const struct core *core, struct packet *p, const struct half_open *h,
                    const struct half_open_side *side, const struct instant *now, uint8_t mode);
/* After 1, 2, 4 ... s while neither cookie mode nor a cap forbids, then the entry expires. */
void syn_again_timers(struct core *core, const struct instant *now, struct actions *out);

#endif
