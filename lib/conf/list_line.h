/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of files with prefixes.
 *
 * Of a list to load: a prefix, then nothing, or a blank and anything; "#" or ";" begins a comment.
 *
 * Of what the engine keeps, for itself and to be read by people:
 *
 *   deny 203.0.113.0/24 service=web until=2026-11-26T21:00:00Z why=scanned us
 *
 * where all but the first two may be missing, and `why`, the last, goes to the end of the line.
 */
#ifndef SYNFRONT_LIST_LINE_H
#define SYNFRONT_LIST_LINE_H

#include <stdint.h>
#include <stdio.h>

#include "list_book.h"

#define LIST_LINE_SIZE 512 /* with the newline and the NUL; what is longer is none */
#define LIST_PROBLEM_SIZE 320

enum list_line_kind {
	LIST_LINE_BLANK, /* or a comment */
	LIST_LINE_ENTRY,
	LIST_LINE_WRONG,
};

struct list_line {
	enum list_kind kind;
	struct prefix prefix;
	char service[SERVICE_NAME_MAX];
	uint64_t until_s; /* since 1970; 0: no end */
	char why[LIST_WHY_SIZE];
	/* Of one that is wrong: from 1, and what would be right. */
	uint32_t column;
	char problem[LIST_PROBLEM_SIZE];
};

/* A line of a list to load: fills prefix alone. */
enum list_line_kind list_line_plain(const char *text, struct list_line *line);
/* A line of what the engine keeps. */
enum list_line_kind list_line_kept(const char *text, struct list_line *line);
void list_line_write(FILE *out, const struct list_line *line);

/* One prefix, or what would be right. */
bool list_prefix(const char *text, struct prefix *prefix, char problem[LIST_PROBLEM_SIZE]);
/* What speaks against a reason, or against the name of a service; NULL: nothing. */
const char *list_why_fault(const char *why);
const char *list_service_fault(const char *name);

#endif
