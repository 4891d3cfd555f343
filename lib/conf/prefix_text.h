/* SPDX-License-Identifier: BSD-3-Clause */
/* Prefixes as people write them: "192.0.2.0/24", "2001:db8::1". */
#ifndef SYNFRONT_PREFIX_TEXT_H
#define SYNFRONT_PREFIX_TEXT_H

#include "addr.h"

#define CONF_PREFIX_SIZE 64
void conf_format_prefix(const struct prefix *prefix, char text[CONF_PREFIX_SIZE]);

/* False if it is none; `hint` then says what would be right, if there is more to say than that an
 * address or prefix is expected (else it is left as it was). */
#define CONF_PREFIX_HINT_SIZE 128
bool conf_parse_prefix(const char *text, struct prefix *prefix, char hint[CONF_PREFIX_HINT_SIZE]);

#endif
