/* SPDX-License-Identifier: BSD-3-Clause */
#include "verdict.h"

#include <stdio.h>
#include <string.h>

const char *
verdict_why(uint8_t outcome, uint8_t reason)
{
	return counter_infos[reason != 0 ? reason : outcome].help;
}

/* "; row NAME", or nothing where the table was not asked. Appends at `n`; the new end. */
static size_t
append(char text[VERDICT_TEXT_MAX], size_t n, const char *before, const char *what)
{
	if (what == NULL || n >= VERDICT_TEXT_MAX)
		return n;
	return n + (size_t)snprintf(text + n, VERDICT_TEXT_MAX - n, "%s%s", before, what);
}

static size_t
append_would(char text[VERDICT_TEXT_MAX], size_t n, const struct core_note *note)
{
	if (!note->is_observed)
		return n;
	n = append(text, n, "; ", counter_infos[note->would_outcome].would);
	n = append(text, n, ", row ", core_row_name(note->would_row));
	if (note->would_reason != 0)
		n = append(text, n, ", ", counter_infos[note->would_reason].name);
	return append(text, n, ", why: ", verdict_why(note->would_outcome, note->would_reason));
}

void
verdict_text(char text[VERDICT_TEXT_MAX], const struct verdict *v, const char *service)
{
	size_t n = append(text, 0, "", counter_infos[v->outcome].name);

	n = append(text, n, "; row ", core_row_name(v->note.row));
	n = append(text, n, "; service ", service);
	if (v->note.reason != 0)
		n = append(text, n, "; ", counter_infos[v->note.reason].name);
	n = append(text, n, "; why: ", verdict_why(v->outcome, v->note.reason));
	append_would(text, n, &v->note);
}

void
verdict_sent_text(char text[VERDICT_TEXT_MAX], const struct verdict *v, const char *service)
{
	size_t n = append(text, 0, "sent", "");

	if (v == NULL) {
		n = append(text, n, "; ", "by a timer");
		append(text, n, "; service ", service);
		return;
	}
	n = append(text, n, " for ", counter_infos[v->outcome].name);
	n = append(text, n, "; row ", core_row_name(v->note.row));
	n = append(text, n, "; service ", service);
	append(text, n, "; ", core_row_answer(v->note.row));
}

static int
class_of(const char *name)
{
	static const char *const classes[] = { [OUTCOME_PASS] = "pass",
		                               [OUTCOME_ANSWER] = "answer",
		                               [OUTCOME_TAKEN] = "taken",
		                               [OUTCOME_DROP] = "drop" };

	for (int i = 0; i < (int)(sizeof(classes) / sizeof(classes[0])); i++)
		if (strcmp(classes[i], name) == 0)
			return i;
	return -1;
}

bool
verdict_outcomes(const char *name, uint64_t bits[VERDICT_WORDS])
{
	int class = class_of(name);
	bool is_found = false;

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		const struct counter_info *info = &counter_infos[i];
		if (info->class == OUTCOME_NOT ||
		    (info->class != class && strcmp(info->name, name) != 0))
			continue;
		bits[i / 64] |= UINT64_C(1) << i % 64;
		is_found = true;
	}
	return is_found;
}
