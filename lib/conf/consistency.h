/* SPDX-License-Identifier: BSD-3-Clause */
/* What one key cannot know: defaults that follow from other keys, and keys
 * that must agree. */
#ifndef SYNFRONT_CONF_CONSISTENCY_H
#define SYNFRONT_CONF_CONSISTENCY_H

#include "reader.h"

/* r->conf has all that the file says; `root` is the file's place. Fills in the
 * rest, and compiles the policy. */
int conf_check(struct conf_reader *r, const struct conf_place *root);

#endif
