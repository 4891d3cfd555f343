/* SPDX-License-Identifier: BSD-3-Clause */
#include "openmetrics.h"

#include <ctype.h>
#include <string.h>

#define NS_PER_S 1000000000u

static const char *
ending(enum openmetrics_type type)
{
	static const char *const endings[] = {
		[OPENMETRICS_COUNTER] = "_total",
		[OPENMETRICS_GAUGE] = "",
		[OPENMETRICS_INFO] = "_info",
	};

	return endings[type];
}

/* In a label a quote ends the value; in a help it may be escaped, but need not. */
static void
put_escaped(FILE *out, const char *text, bool is_label)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || (*text == '"' && is_label))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

/* A sentence. */
static void
put_help(FILE *out, const char *help)
{
	size_t n = strlen(help);

	if (n == 0)
		return;
	fputc(toupper((unsigned char)help[0]), out);
	put_escaped(out, help + 1, false);
	if (help[n - 1] != '.')
		fputc('.', out);
}

void
openmetrics_family(struct openmetrics *m, const char *name, enum openmetrics_type type,
                   const char *help)
{
	static const char *const strict[] = { "counter", "gauge", "info" };
	static const char *const plain[] = { "counter", "gauge", "gauge" };
	const char *end = m->is_strict ? "" : ending(type);

	m->name = name;
	m->type = type;
	fprintf(m->out, "# HELP %s%s%s ", m->prefix, name, end);
	put_help(m->out, help);
	fprintf(m->out, "\n# TYPE %s%s%s %s\n", m->prefix, name, end,
	        m->is_strict ? strict[type] : plain[type]);
}

static void
put_name(struct openmetrics *m, const struct openmetrics_label *labels)
{
	const char *before = "{";

	fprintf(m->out, "%s%s%s", m->prefix, m->name, ending(m->type));
	for (; labels != NULL && labels->name != NULL; labels++) {
		fprintf(m->out, "%s%s=\"", before, labels->name);
		put_escaped(m->out, labels->value, true);
		fputc('"', m->out);
		before = ",";
	}
	fputs(*before == ',' ? "} " : " ", m->out);
}

void
openmetrics_sample(struct openmetrics *m, const struct openmetrics_label *labels, uint64_t value)
{
	put_name(m, labels);
	fprintf(m->out, "%" PRIu64 "\n", value);
}

void
openmetrics_sample_seconds(struct openmetrics *m, const struct openmetrics_label *labels,
                           uint64_t ns)
{
	put_name(m, labels);
	fprintf(m->out, "%" PRIu64 ".%09" PRIu64 "\n", ns / NS_PER_S, ns % NS_PER_S);
}

void
openmetrics_end(struct openmetrics *m)
{
	if (m->is_strict)
		fputs("# EOF\n", m->out);
}
