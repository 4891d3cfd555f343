/* SPDX-License-Identifier: BSD-3-Clause */
/* SPLICED and CLOSING. Inside lib/proto only. */
#ifndef SYNFRONT_SPLICE_H
#define SYNFRONT_SPLICE_H

#include "core_state.h"

/* Handlers of the decision table. */
void spliced_segment(struct core *core, struct step *step);
void spliced_rst(struct core *core, struct step *step);
void spliced_syn_ack(struct core *core, struct step *step);
void closing_syn(struct core *core, struct step *step);
void closing_segment(struct core *core, struct step *step);

#endif
