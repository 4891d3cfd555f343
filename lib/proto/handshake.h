/* SPDX-License-Identifier: BSD-3-Clause */
/* SYNs and the SYN-ACKs that answer them. Inside lib/proto only. */
#ifndef SYNFRONT_HANDSHAKE_H
#define SYNFRONT_HANDSHAKE_H

#include "core_state.h"

/* Answer by cookie, whatever the limits. */
void handshake_syn_by_cookie(struct core *core, struct step *step);
/* The same, if the reflection caps allow. */
void handshake_syn_under_caps(struct core *core, struct step *step);
/* Whether this SYN of a service leaves no entry and does not pass, whatever the caps say: any
 * worker may have it then. */
bool handshake_answers_anywhere(struct core *core, const struct service_state *state,
                                const struct segment *seg, const struct instant *now);

/* Handlers of the decision table. */
void listen_syn(struct core *core, struct step *step);
void received_syn(struct core *core, struct step *step);
void spent_syn(struct core *core, struct step *step);

#endif
