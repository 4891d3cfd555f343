/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handlers of the decision table. They stand alone in their file, so that a program that
 * wants to see which rows are taken links a table of its own instead (lib/front/rows.c).
 */
#include "decision.h"
#include "challenge.h"
#include "connect.h"
#include "handoff.h"
#include "handshake.h"
#include "join.h"
#include "proof.h"
#include "respond.h"
#include "splice.h"
#include "stray.h"
#include "track.h"

void
decision_note(enum state state, enum side side, enum event event)
{
	(void)state;
	(void)side;
	(void)event;
}

void (*const decision_handlers[STATE_COUNT][SIDE_COUNT][EVENTS_ROOM])(struct core *core,
                                                                      struct step *step) = {
#define ROW(state, side, event, function, text) \
	[STATE_##state][SIDE_##side][EVENT_##event] = function,
#include "decision_table.def"
#undef ROW
};
