/* SPDX-License-Identifier: BSD-3-Clause */
/* What servers grant, as synfront-adopt writes it into a file. */
#ifndef SYNFRONT_CONF_PROMISE_FILE_H
#define SYNFRONT_CONF_PROMISE_FILE_H

#include "reader.h"

/* Cut the promise of a service, whose place this is, to what each of its files says. */
int conf_promise_files(struct conf_reader *r, const struct conf_place *service,
                       struct service_promise *promise);

#endif
