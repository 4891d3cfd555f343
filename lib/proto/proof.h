/* SPDX-License-Identifier: BSD-3-Clause */
/* What proves that a client has seen our SYN-ACK. Inside lib/proto only. */
#ifndef SYNFRONT_PROOF_H
#define SYNFRONT_PROOF_H

#include "entry.h"

/* Does this segment prove a cookie? Fills *proven. Counts. */
bool proof_check(struct core *core, struct step *step, struct proven *proven);
/* May one be out that another worker has made? */
bool proof_is_shared(const struct core *core, const struct step *step);
/* May the client of this segment have a cookie that it has not proven yet: its service's are out,
 * or one was in an entry of this flow that has expired? */
bool proof_may_come(const struct core *core, const struct step *step);
/* Drop a segment that proves nothing: it is counted by whether it brings data or a FIN. */
void proof_drop(struct core *core, struct step *step);
/* The client is real: what the service does with such. */
void proof_open(struct core *core, struct step *step, const struct proven *proven);
/* A segment of a flow whose last connection is over; `proven` NULL: it proves nothing. */
void proof_after_end(struct core *core, struct step *step, const struct proven *proven);

/* Handlers of the decision table. */
void listen_ack(struct core *core, struct step *step);
void received_ack(struct core *core, struct step *step);
void received_rst(struct core *core, struct step *step);
void spent_ack(struct core *core, struct step *step);

#endif
