/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decision table: (state, side, event) -> handler. The rows stand in
 * decision_table.def.
 */
#ifndef SYNFRONT_DECISION_H
#define SYNFRONT_DECISION_H

#include "core.h"
#include "core_state.h"

enum state {
	STATE_LISTEN,
	STATE_SYN_RECEIVED,
	STATE_CONNECTING,
	STATE_TRACKED,
	STATE_SPLICED,
	STATE_CLOSING,
	STATE_RESPONDING,
	STATE_HANDOFF, /* any flow of a service of mode handoff */
	STATE_SPENT,
	STATE_COUNT
};

enum event {
	EVENT_SYN,
	EVENT_SYN_ACK,
	EVENT_ACK,
	EVENT_DATA,
	EVENT_RST,
	EVENT_TIMER, /* no segment */
	EVENT_COUNT
};

struct decision_row {
	const char *name; /* "SPLICED.OUTSIDE.RST" */
	const char *answer;
	void (*handler)(struct core *core, struct step *step); /* NULL for TIMER */
};

extern const struct decision_row decision_table[STATE_COUNT][SIDE_COUNT][EVENT_COUNT];

/* Its handlers alone, eight to a line: what a packet reads. */
#define EVENTS_ROOM 8u
extern void (*const decision_handlers[STATE_COUNT][SIDE_COUNT][EVENTS_ROOM])(struct core *core,
                                                                             struct step *step);

/* A row whose segment was settled without its handler: told to programs that note the rows
 * which are taken. */
void decision_note(enum state state, enum side side, enum event event);

/* Rows by number, as struct core_note has them. */
static inline uint8_t
decision_number(enum state state, unsigned int side, enum event event)
{
	return (uint8_t)((state * SIDE_COUNT + side) * EVENTS_ROOM + event);
}
_Static_assert(STATE_COUNT *SIDE_COUNT *EVENTS_ROOM <= CORE_ROW_NONE, "one byte says which");

/* Which event a TCP segment is. RST comes first, then SYN. */
static inline enum event
decision_event(const struct segment *seg)
{
	if (__builtin_expect(seg->flags & (TCP_RST | TCP_SYN), 0)) {
		if (seg->flags & TCP_RST)
			return EVENT_RST;
		return seg->flags & TCP_ACK ? EVENT_SYN_ACK : EVENT_SYN;
	}
	return seg->payload_len != 0 || (seg->flags & TCP_FIN) ? EVENT_DATA : EVENT_ACK;
}

#endif
