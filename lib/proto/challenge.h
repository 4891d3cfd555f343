/* SPDX-License-Identifier: BSD-3-Clause */
/* ACKs that challenge (RFC 5961), and the timestamps of what the engine says itself.
 * Inside lib/proto only. */
#ifndef SYNFRONT_CHALLENGE_H
#define SYNFRONT_CHALLENGE_H

#include "core_state.h"

/* Our timestamp in mode respond: never below one that was sent, whose low bits carried
 * options. */
uint32_t respond_tsval(const struct conn *conn, const struct instant *now);
/* Timestamps on a packet to the client of a CONNECTING connection. */
void connect_stamp(struct core *core, const struct conn *conn, const struct instant *now,
                   struct packet *p);

/* Handler of the decision table: a SYN where something is open (RFC 5961, 4), and whatever
 * else wants a challenge. */
void synchronized_syn(struct core *core, struct step *step);

#endif
