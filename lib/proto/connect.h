/* SPDX-License-Identifier: BSD-3-Clause */
/* CONNECTING: the SYN to the server of a proven client, and what comes until it is
 * answered. Inside lib/proto only. */
#ifndef SYNFRONT_CONNECT_H
#define SYNFRONT_CONNECT_H

#include "entry.h"

/* `net`: source_net_hash() of the client. */
void connect_begin(struct core *core, struct step *step, const struct proven *proven, uint32_t net);
void connect_timers(struct core *core, const struct instant *now, struct actions *out);
/* When a CONNECTING connection ceases to be one by itself: its server is given up, or one
 * that has answered is joined without a second answer. */
uint64_t connect_end_ms(const struct core *core, const struct conn *conn);

/* Handlers of the decision table. */
void connecting_ack(struct core *core, struct step *step);
void connecting_data(struct core *core, struct step *step);
void connecting_client_rst(struct core *core, struct step *step);
void connecting_server_ack(struct core *core, struct step *step);
void connecting_server_rst(struct core *core, struct step *step);

#endif
