/* SPDX-License-Identifier: BSD-3-Clause */
/* What is not a TCP segment of a service. Inside lib/proto only. */
#ifndef SYNFRONT_FOREIGN_H
#define SYNFRONT_FOREIGN_H

#include "core_state.h"

void foreign_decide(struct core *core, struct step *step);

#endif
