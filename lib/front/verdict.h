/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What became of a frame, in words: what it counts as, by which row of the decision table, and
 * why. The comment of a packet in a capture, and what `explain` says.
 */
#ifndef SYNFRONT_VERDICT_H
#define SYNFRONT_VERDICT_H

#include <stddef.h>

#include "core.h"

#define VERDICT_TEXT_MAX 1024u

struct verdict {
	uint8_t outcome; /* enum counter */
	struct core_note note;
};

/*
 * "drop_denied; row LISTEN.OUTSIDE.SYN; service web; why: source in deny, or not in allow".
 * `service` may be NULL. Where the outcome is a refusal of a kind that says nothing, why is that
 * of its reason. Under observe it goes on with what would have been.
 */
void verdict_text(char text[VERDICT_TEXT_MAX], const struct verdict *verdict, const char *service);
/* Of a frame that the engine sent because of one with this verdict; NULL: because of a timer. */
void verdict_sent_text(char text[VERDICT_TEXT_MAX], const struct verdict *verdict,
                       const char *service);

/* Why, in one sentence. */
const char *verdict_why(uint8_t outcome, uint8_t reason);

/*
 * Outcomes by name, or all of a class: pass, answer, taken, drop. Sets the bit of each in `bits`.
 * False: there is none of this name.
 */
#define VERDICT_WORDS ((COUNTER_COUNT + 63) / 64)
bool verdict_outcomes(const char *name, uint64_t bits[VERDICT_WORDS]);

#endif
