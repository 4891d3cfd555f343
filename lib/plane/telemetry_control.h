/* SPDX-License-Identifier: BSD-3-Clause */
/* What telemetry answers of the control thread: reloads, health, the configuration in force. */
#ifndef SYNFRONT_TELEMETRY_CONTROL_H
#define SYNFRONT_TELEMETRY_CONTROL_H

#include <rte_telemetry.h>

#include "conf.h"

/* offer() each command that has a handler here, with its help. */
typedef void (*telemetry_offer)(const char *command, telemetry_cb answer, const char *help);
void telemetry_control_offer(telemetry_offer offer);

/* The handlers. */
/* "now": ask for a reload, and the ticket; a ticket: what became of it; nothing: the last one. */
int telemetry_reload(const char *command, const char *params, struct rte_tel_data *d);
int telemetry_health(const char *command, const char *params, struct rte_tel_data *d);
/* A page of the last events, from number `params` on. */
int telemetry_events(const char *command, const char *params, struct rte_tel_data *d);
/* A page of what is in force, from value number `params` on. Under the lock that keeps `conf`. */
int telemetry_config(const struct conf *conf, const char *params, struct rte_tel_data *d);

/* A text of any length, as a list of pieces. */
void telemetry_add_text(struct rte_tel_data *d, const char *name, const char *text);

/* What `info` says of reloads; d is its dictionary. */
void telemetry_add_reloads(struct rte_tel_data *d);

#endif
