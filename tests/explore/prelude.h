/* SPDX-License-Identifier: BSD-3-Clause */
/* What has happened before a scenario begins. Nothing is judged meanwhile but the ends. */
#ifndef SYNFRONT_EXPLORE_PRELUDE_H
#define SYNFRONT_EXPLORE_PRELUDE_H

#include "world.h"

/* Every worker knows the server, by SYNs of each net that passed. */
void prelude_taught(struct world *w);
/* ... so long ago that it is time to ask again for what the server lacked. */
void prelude_taught_long_ago(struct world *w);
/* The same of what is observed: who decides for it knows the server. */
void prelude_observed(struct world *w);
/* Client A is connected. */
void prelude_connected(struct world *w);
/* ... has been answered. */
void prelude_answered(struct world *w);
/* ... and has closed, and its SYN and its first data are still in flight. */
void prelude_closed(struct world *w);

#endif
