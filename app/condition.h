/* SPDX-License-Identifier: BSD-3-Clause */
/* How the engine is: for probes as a health, for a supervisor in words. */
#ifndef SYNFRONT_CONDITION_H
#define SYNFRONT_CONDITION_H

#include "control.h"
#include "health.h"

/* What control sees now. */
void condition_look(const struct control *control, struct health *health);

/* "calm; 3 services", "flood: cookies answer for web; 3 services; degraded: ...". */
void condition_text(const struct control *control, const struct health *health, char *text,
                    size_t size);

#endif
