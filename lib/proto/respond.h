/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode respond: the engine is the server. Inside lib/proto only. */
#ifndef SYNFRONT_RESPOND_H
#define SYNFRONT_RESPOND_H

#include "entry.h"

void respond_begin(struct core *core, struct step *step, const struct proven *proven);

/* Handlers of the decision table. */
void responding_segment(struct core *core, struct step *step);
void responding_rst(struct core *core, struct step *step);

#endif
