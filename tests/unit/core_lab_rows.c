/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rows of the decision table the tests take, and which they claim. */
#include "core_lab.h"
#include "decision.h"
#include "rows.h"

static bool row_claimed[STATE_COUNT][SIDE_COUNT][EVENT_COUNT];

/* Rows named by a test: they must have been taken, by whichever variant. */
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
			taken = rows_taken(row->name);
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
