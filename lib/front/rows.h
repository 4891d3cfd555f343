/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which rows of the decision table were really taken, for tests of what tests cover.
 *
 * A program that links this has a table of handlers of its own, in which each entry notes its
 * row and then calls the handler. Others have none of it, and pay nothing. Timers have no
 * handler: rows_tick() looks at what a tick has changed and sent.
 *
 * The notes are the process's, not a core's: a handler is given nothing to keep them in.
 */
#ifndef SYNFRONT_ROWS_H
#define SYNFRONT_ROWS_H

#include <stdio.h>

#include "core.h"

/* None was taken so far. */
void rows_forget(void);
/* The one of this name, "SPLICED.OUTSIDE.RST", since the last rows_forget(). */
bool rows_taken(const char *name);
/* core_tick(), noting rows whose event is TIMER. `out` is empty before. */
void rows_tick(struct core *core, const struct instant *now, unsigned int budget,
               struct actions *out);
/* The names of those that were taken, one a line, in the order of the table. 0, or -1 when
 * `out` could not be written to. */
int rows_write(FILE *out);

#endif
