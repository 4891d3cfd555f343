/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that nothing is open for. Inside lib/proto only. */
#ifndef SYNFRONT_STRAY_H
#define SYNFRONT_STRAY_H

#include "core_state.h"

/* Handlers of the decision table. */
void stray_syn_ack(struct core *core, struct step *step);
void stray_rst(struct core *core, struct step *step);
void stray_inside(struct core *core, struct step *step);
void stray_drop(struct core *core, struct step *step);

#endif
