/* SPDX-License-Identifier: BSD-3-Clause */
/* The file that holds the master secret. */
#ifndef SYNFRONT_CONF_SECRET_FILE_H
#define SYNFRONT_CONF_SECRET_FILE_H

#include <stdint.h>

#include "secret.h"

#define CONF_SECRET_PROBLEM_SIZE 256

/* 0, or -1 and in `problem` "found X; expected Y". Never says what is in it. */
int conf_secret_file_read(const char *path, uint8_t master[MASTER_SECRET_SIZE],
                          char problem[CONF_SECRET_PROBLEM_SIZE]);

#endif
