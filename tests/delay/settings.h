/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The settings of a line as one writes them: "delay=50ms,jitter=2ms,loss=1%".
 */
#ifndef SYNFRONT_SETTINGS_H
#define SYNFRONT_SETTINGS_H

#include "line.h"

#define SETTINGS_ERROR_SIZE 256u

/* Read `text` into `settings`; what it does not name is 0. Returns false and a sentence in
 * `error` if it cannot be used. "" and "wire" are a line with no delay at all. */
bool settings_parse(struct line_settings *settings, const char *text,
                    char error[SETTINGS_ERROR_SIZE]);

#endif
