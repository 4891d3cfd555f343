/* SPDX-License-Identifier: BSD-3-Clause */
/* --check: what a configuration would make the engine do, and what is worth a warning. */
#ifndef SYNFRONT_CHECK_H
#define SYNFRONT_CHECK_H

#include <stdio.h>

#include "conf.h"

#define CHECK_WARNING_SIZE 160u

/* Of a service that can be used and yet does not do what it is there for; false: of this one there
 * is nothing to say. */
bool check_warning(const struct conf *conf, const struct service *service,
                   char text[CHECK_WARNING_SIZE]);

void check_print(FILE *out, const struct conf *conf);

#endif
