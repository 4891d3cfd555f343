/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

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

static bool taken[STATE_COUNT][SIDE_COUNT][EVENT_COUNT];

typedef void handler(struct core *core, struct step *step);

/* A row of a timer has no handler and is never called. */
static void
call(handler *function, struct core *core, struct step *step)
{
	if (function != NULL)
		function(core, step);
}

#define ROW(state, side, event, function, text)                                             \
	static void noting_##state##_##side##_##event(struct core *core, struct step *step) \
	{                                                                                   \
		taken[STATE_##state][SIDE_##side][EVENT_##event] = true;                    \
		call(function, core, step);                                                 \
	}
#include "decision_table.def"
#undef ROW

void
decision_note(enum state state, enum side side, enum event event)
{
	taken[state][side][event] = true;
}

void (*const decision_handlers[STATE_COUNT][SIDE_COUNT][EVENTS_ROOM])(struct core *core,
                                                                      struct step *step) = {
#define ROW(state, side, event, function, text) \
	[STATE_##state][SIDE_##side][EVENT_##event] = noting_##state##_##side##_##event,
#include "decision_table.def"
#undef ROW
};

void
rows_forget(void)
{
	memset(taken, 0, sizeof(taken));
}

bool
rows_taken(const char *name)
{
	const struct decision_row *rows = &decision_table[0][0][0];

	for (unsigned int i = 0; i < STATE_COUNT * SIDE_COUNT * EVENT_COUNT; i++)
		if (rows[i].name != NULL && strcmp(rows[i].name, name) == 0)
			return (&taken[0][0][0])[i];
	return false;
}

static void
note_timer(enum state state)
{
	for (unsigned int side = 0; side < SIDE_COUNT; side++)
		if (decision_table[state][side][EVENT_TIMER].name != NULL)
			taken[state][side][EVENT_TIMER] = true;
}

/* What went out again, while no entry changed. */
static void
note_sent(const struct actions *out)
{
	for (unsigned int i = 0; i < out->n; i++) {
		const struct action *a = &out->list[i];
		if (a->kind != ACTION_SEND || !(a->packet.flags & TCP_SYN))
			continue;
		note_timer(a->out == SIDE_OUTSIDE ? STATE_SYN_RECEIVED : STATE_CONNECTING);
	}
}

void
rows_tick(struct core *core, const struct instant *now, unsigned int budget, struct actions *out)
{
	static const uint8_t state_of_conn[] = {
		[CONN_CONNECTING] = STATE_CONNECTING, [CONN_TRACKED] = STATE_TRACKED,
		[CONN_SPLICED] = STATE_SPLICED,       [CONN_CLOSING] = STATE_CLOSING,
		[CONN_RESPONDING] = STATE_RESPONDING, [CONN_SPENT] = STATE_SPENT,
	};
	uint32_t n = core->conns.fresh, half_open = core->half_open.used;
	uint8_t *before = malloc(n + 1u);

	for (uint32_t i = 0; before != NULL && i < n; i++)
		before[i] = core->conns.conns[i].state;
	core_tick(core, now, budget, out);
	note_sent(out);
	if (core->half_open.used < half_open)
		note_timer(STATE_SYN_RECEIVED);
	for (uint32_t i = 0; before != NULL && i < n; i++)
		if (before[i] != CONN_FREE && before[i] != core->conns.conns[i].state)
			note_timer((enum state)state_of_conn[before[i]]);
	free(before);
}

int
rows_write(FILE *out)
{
	for (unsigned int state = 0; state < STATE_COUNT; state++)
		for (unsigned int side = 0; side < SIDE_COUNT; side++)
			for (unsigned int event = 0; event < EVENT_COUNT; event++)
				if (taken[state][side][event])
					fprintf(out, "%s\n",
					        decision_table[state][side][event].name);
	return ferror(out) ? -1 : 0;
}
