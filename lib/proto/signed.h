/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYNs with a signature, TCP MD5 (RFC 2385) or TCP-AO (RFC 5925): without the key nobody can answer
 * them for their server, so they go to it or nowhere. Inside lib/proto only.
 */
#ifndef SYNFRONT_SIGNED_H
#define SYNFRONT_SIGNED_H

#include "core_state.h"

/* May this one, which admits() lets in, pass to its server? Nothing says that its source is real:
 * within the caps of SIGNED_* and PASSES_PER_S. */
bool signed_admits(struct core *core, const struct step *step);
/* What becomes of it where connections are kept. */
void signed_syn(struct core *core, struct step *step);

#endif
