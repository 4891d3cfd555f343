/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rows of the decision table the tests take, and which they claim. */
#include "core_lab.h"
#include "decision.h"
#include "flow_index.h"

static bool row_taken[STATE_COUNT][SIDE_COUNT][EVENT_COUNT]; /* in the running test */
static bool row_claimed[STATE_COUNT][SIDE_COUNT][EVENT_COUNT];

void
lab_rows_forget(void)
{
	memset(row_taken, 0, sizeof(row_taken));
}

/* Rows named by a test: they must have been taken, by whichever variant; a timer's
 * cannot be watched from here. */
void
lab_rows_claim(const char *const *rows)
{
	for (; *rows != NULL; rows++) {
		bool known = false, taken = false;
		for (unsigned int i = 0; i < STATE_COUNT * SIDE_COUNT * EVENT_COUNT; i++) {
			const struct decision_row *row = &decision_table[0][0][0] + i;
			if (row->name == NULL || strcmp(row->name, *rows) != 0)
				continue;
			known = true;
			taken = row->handler == NULL || (&row_taken[0][0][0])[i];
			(&row_claimed[0][0][0])[i] |= taken;
		}
		if (!known || !taken)
			fprintf(stderr, "\n%s: %s", *rows, known ? "not taken" : "no such row");
		CU_ASSERT_TRUE(known && taken);
	}
}

unsigned int
lab_rows_unclaimed(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < STATE_COUNT * SIDE_COUNT * EVENT_COUNT; i++) {
		const struct decision_row *row = &decision_table[0][0][0] + i;
		if (row->name == NULL || (&row_claimed[0][0][0])[i])
			continue;
		fprintf(stderr, "\n%s: no test covers it", row->name);
		n++;
	}
	return n;
}

void
lab_rows_note(const struct lab *lab, const struct segment *seg)
{
	static const uint8_t states[] = {
		[CONN_FREE] = STATE_LISTEN,     [CONN_CONNECTING] = STATE_CONNECTING,
		[CONN_TRACKED] = STATE_TRACKED, [CONN_SPLICED] = STATE_SPLICED,
		[CONN_CLOSING] = STATE_CLOSING, [CONN_RESPONDING] = STATE_RESPONDING,
		[CONN_SPENT] = STATE_SPENT,
	};
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	struct connection_view view;
	enum state state = STATE_LISTEN;

	if (seg->class != SEGMENT_TCP)
		return;
	if (seg->entry != FLOW_NONE && (seg->entry & FLOW_HALF_OPEN))
		state = STATE_SYN_RECEIVED;
	else if (seg->entry != FLOW_NONE &&
	         core_connection_view(lab->core, seg->entry, &now, &view))
		state = (enum state)states[view.state];
	row_taken[state][seg->side][decision_event(seg)] = true;
}
