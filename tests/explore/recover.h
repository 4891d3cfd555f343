/* SPDX-License-Identifier: BSD-3-Clause */
/* RULE_stuck: whether a world in which nothing more goes wrong comes to rest. */
#ifndef SYNFRONT_EXPLORE_RECOVER_H
#define SYNFRONT_EXPLORE_RECOVER_H

#include "world.h"

/* Every client closes what it has open; everything in flight arrives, and every end sends again
 * once a second what was not acknowledged. The world is another one afterwards. */
void recover_all(struct world *w);

#endif
