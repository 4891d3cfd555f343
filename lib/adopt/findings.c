/* SPDX-License-Identifier: BSD-3-Clause */
#include "findings.h"

#include <stdarg.h>
#include <string.h>

void
findings_add(struct findings *f, enum finding_severity severity, const char *format, ...)
{
	va_list args;

	if (f->n == FINDINGS_MAX) {
		f->n_left_out++;
		return;
	}
	struct finding *finding = &f->list[f->n];
	finding->severity = severity;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	if (!findings_have(f, finding->text))
		f->n++;
}

bool
findings_have(const struct findings *f, const char *text)
{
	for (unsigned int i = 0; i < f->n; i++)
		if (strcmp(f->list[i].text, text) == 0)
			return true;
	return false;
}

unsigned int
findings_errors(const struct findings *f)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < f->n; i++)
		n += f->list[i].severity == FINDING_ERROR;
	return n;
}

void
findings_print(FILE *out, const struct findings *f)
{
	for (unsigned int i = 0; i < f->n; i++)
		fprintf(out, "%s: %s\n", f->list[i].severity == FINDING_ERROR ? "error" : "warning",
		        f->list[i].text);
	if (f->n_left_out != 0)
		fprintf(out, "warning: and %u more\n", f->n_left_out);
}
