/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of observe begin and end with. */
#ifndef SYNFRONT_OBSERVE_LAB_H
#define SYNFRONT_OBSERVE_LAB_H

#include "core_lab.h"

/* What would have been counted. */
uint64_t observe_would(const struct lab *lab, enum counter which);
#define WOULD(name) observe_would(lab, COUNTER_##name)

/* Start with room for observe, and the web service under it; or not yet. */
void observe_start(struct lab *lab);
void observe_start_as(struct lab *lab, bool observes);
/* Begin to observe the web service, or end it. */
void observe_reload(struct lab *lab, bool observes);
/* At the end: the books are right, and no policy of a reload is left. */
void observe_finish(struct lab *lab);

/* The last frame, and nothing else, left by this side as it came. */
void observe_check_crossed(struct lab *lab, enum side side);
/* The client's and the server's own handshake; and that without the ACK which completes it. */
void observe_handshake(struct lab *lab);
void observe_answered(struct lab *lab);

#endif
