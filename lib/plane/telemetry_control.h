/* SPDX-License-Identifier: BSD-3-Clause */
/* What telemetry answers of the control thread: reloads, health, the configuration in force. */
#ifndef SYNFRONT_TELEMETRY_CONTROL_H
#define SYNFRONT_TELEMETRY_CONTROL_H

#include <rte_telemetry.h>

#include "conf.h"

/* Commands for rte_telemetry_register_cmd(). */
/* "now": ask for a reload, and the ticket; a ticket: what became of it; nothing: the last one. */
int telemetry_reload(const char *command, const char *params, struct rte_tel_data *d);
int telemetry_health(const char *command, const char *params, struct rte_tel_data *d);
/* A page of what is in force, from value number `params` on. Under the lock that keeps `conf`. */
int telemetry_config(const struct conf *conf, const char *params, struct rte_tel_data *d);

/* What `info` says of reloads; d is its dictionary. */
void telemetry_add_reloads(struct rte_tel_data *d);

#endif
