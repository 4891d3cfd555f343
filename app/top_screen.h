/* SPDX-License-Identifier: BSD-3-Clause */
/* The full screen of `synfrontctl top`. */
#ifndef SYNFRONT_TOP_SCREEN_H
#define SYNFRONT_TOP_SCREEN_H

#include "top_source.h"

/* Until q, a signal, or the end of the terminal: 0. -1: this terminal is not known, and nothing
 * was drawn. */
int top_screen(struct top_source *source, double interval_s);

#endif
