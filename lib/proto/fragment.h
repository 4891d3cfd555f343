/* SPDX-License-Identifier: BSD-3-Clause */
/* Which fragments may follow a first one that has crossed. Inside lib/proto only. */
#ifndef SYNFRONT_FRAGMENT_H
#define SYNFRONT_FRAGMENT_H

#include "core_state.h"

/* This first fragment crosses: the later ones of its datagram may follow. One that is served takes the
 * place of any other; one that is not, such as anybody can send to a port of no service, leaves it
 * to one that is. */
void fragment_note(struct core *core, const struct step *step, bool is_served);
/* Does this later one follow such a first one? Then it is counted. */
bool fragment_follows(struct core *core, const struct step *step);

#endif
