/* SPDX-License-Identifier: BSD-3-Clause */
/* What is not a TCP segment of a service. Inside lib/proto only. */
#ifndef SYNFRONT_FOREIGN_H
#define SYNFRONT_FOREIGN_H

#include "core_state.h"

void foreign_decide(struct core *core, struct step *step);
/* This first fragment crosses: the later ones of its datagram may follow. */
void foreign_note_fragment(struct core *core, const struct step *step);

#endif
