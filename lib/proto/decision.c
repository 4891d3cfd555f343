/* SPDX-License-Identifier: BSD-3-Clause */
/* The decision table, from decision_table.def. */
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

const struct decision_row decision_table[STATE_COUNT][SIDE_COUNT][EVENT_COUNT] = {
#define ROW(state, side, event, function, text)                                            \
	[STATE_##state][SIDE_##side][EVENT_##event] = { #state "." #side "." #event, text, \
		                                        function },
#include "decision_table.def"
#undef ROW
};
