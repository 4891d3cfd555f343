/* SPDX-License-Identifier: BSD-3-Clause */
/* --check: what a configuration would make the engine do. */
#ifndef SYNFRONT_CHECK_H
#define SYNFRONT_CHECK_H

#include <stdio.h>

#include "conf.h"

void check_print(FILE *out, const struct conf *conf);

#endif
