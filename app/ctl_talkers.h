/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SYNFRONT_CTL_TALKERS_H
#define SYNFRONT_CTL_TALKERS_H

#include "ctl_socket.h"

/* Of each service and outcome of the last seconds: service, outcome, window_s, frames, samples and
 * the talkers (prefix, percent, frames, at_least), heaviest first. NULL and an error. */
json_t *ctl_talkers_ask(struct ctl_socket *s);
/* One object for each talker, with its service and outcome. */
json_t *ctl_talkers_rows(const json_t *all);

#endif
