/* SPDX-License-Identifier: BSD-3-Clause */
/* The file that the servers of a group get: their secret, and not the master secret. */
#ifndef SYNFRONT_GROUP_SECRET_H
#define SYNFRONT_GROUP_SECRET_H

#include "conf.h"

/* Write the secret of `group` to the new file `path`, which its owner alone can read: 64 hex
 * digits and a newline. 0, or -1 and *err. */
int group_secret_write(const struct conf *conf, const char *group, const char *path,
                       struct conf_error *err);

#endif
