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

static const struct decision_row *
row_at(uint8_t row)
{
	static const struct decision_row none;
	unsigned int place = row / EVENTS_ROOM, event = row % EVENTS_ROOM;

	if (place >= STATE_COUNT * SIDE_COUNT || event >= EVENT_COUNT)
		return &none;
	return &decision_table[place / SIDE_COUNT][place % SIDE_COUNT][event];
}

const char *
core_row_name(uint8_t row)
{
	return row_at(row)->name;
}

const char *
core_row_answer(uint8_t row)
{
	return row_at(row)->answer;
}
