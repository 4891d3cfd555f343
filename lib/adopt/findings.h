/* SPDX-License-Identifier: BSD-3-Clause */
/* What --check finds, and the watch while running: each with what to do. */
#ifndef SYNFRONT_ADOPT_FINDINGS_H
#define SYNFRONT_ADOPT_FINDINGS_H

#include <stdbool.h>
#include <stdio.h>

#define FINDINGS_MAX 64u

enum finding_severity {
	FINDING_WARNING, /* some clients may be refused, or something cannot be seen */
	FINDING_ERROR,   /* clients are refused */
};

struct finding {
	enum finding_severity severity;
	char text[400]; /* what there is, a semicolon, what to do */
};

/* What does not fit is counted. */
struct findings {
	struct finding list[FINDINGS_MAX];
	unsigned int n;
	unsigned int n_left_out;
};

void findings_add(struct findings *f, enum finding_severity severity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool findings_have(const struct findings *f, const char *text);
unsigned int findings_errors(const struct findings *f);

/* "error: TEXT" and "warning: TEXT", a line each. */
void findings_print(FILE *out, const struct findings *f);

#endif
