/* SPDX-License-Identifier: BSD-3-Clause */
#include "list_line.h"

#include <time.h>

#include "prefix_text.h"

#define WORD_SIZE 96
#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

static const char blanks[] = " \t\r\n";

bool
list_prefix(const char *text, struct prefix *prefix, char problem[LIST_PROBLEM_SIZE])
{
	char hint[CONF_PREFIX_HINT_SIZE] = "";

	if (conf_parse_prefix(text, prefix, hint))
		return true;
	snprintf(problem, LIST_PROBLEM_SIZE,
	         "found \"%.50s\"; expected an address or a prefix such as 192.0.2.0/24 or "
	         "2001:db8::/32%s%s%s",
	         text, hint[0] != '\0' ? " (" : "", hint, hint[0] != '\0' ? ")" : "");
	return false;
}

const char *
list_why_fault(const char *why)
{
	if (strlen(why) >= LIST_WHY_SIZE)
		return "a reason has at most 80 characters";
	for (const char *p = why; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return "a reason has printable ASCII characters alone";
	return why[0] == ' ' || (why[0] != '\0' && why[strlen(why) - 1] == ' ')
	               ? "a reason neither begins nor ends with a blank"
	               : NULL;
}

const char *
list_service_fault(const char *name)
{
	if (*name == '\0' || strlen(name) >= SERVICE_NAME_MAX || strpbrk(name, "= \t,\"") != NULL)
		return "expected the name of a service, as in the configuration";
	return NULL;
}

static enum list_line_kind
wrong(struct list_line *line, const char *text, const char *at, const char *problem)
{
	line->column = (uint32_t)(at - text) + 1;
	if (problem != line->problem)
		snprintf(line->problem, sizeof(line->problem), "%s", problem);
	return LIST_LINE_WRONG;
}

/* The word that begins at *at; *at goes behind it. False: it is longer than any that is right. */
static bool
word_take(const char **at, char word[WORD_SIZE])
{
	size_t n = strcspn(*at, blanks), kept = n < WORD_SIZE ? n : WORD_SIZE - 1;

	memcpy(word, *at, kept);
	word[kept] = '\0';
	*at += n;
	return n < WORD_SIZE;
}

/* The prefix that begins at *at, before any of `ends` too. */
static enum list_line_kind
prefix_take(const char *text, const char **at, const char *ends, struct list_line *line)
{
	const char *start = *at;
	char word[WORD_SIZE];

	(void)word_take(at, word);
	word[strcspn(word, ends)] = '\0';
	return list_prefix(word, &line->prefix, line->problem)
	               ? LIST_LINE_ENTRY
	               : wrong(line, text, start, line->problem);
}

enum list_line_kind
list_line_plain(const char *text, struct list_line *line)
{
	const char *at = text + strspn(text, blanks);

	if (*at == '\0' || *at == '#' || *at == ';')
		return LIST_LINE_BLANK;
	/* A comment may begin right behind it: "192.0.2.0/24;", "192.0.2.0/24#". */
	return prefix_take(text, &at, "#;", line);
}

static bool
time_of(const char *word, uint64_t *until_s)
{
	struct tm utc = { 0 };
	const char *end = strptime(word, TIME_FORMAT, &utc);

	if (end == NULL || *end != '\0')
		return false;
	time_t t = timegm(&utc);
	*until_s = (uint64_t)t;
	return t > 0;
}

/* The reason: all that is left. */
static const char *
why_set(const char *rest, struct list_line *line)
{
	size_t n = strcspn(rest, "\r\n");

	if (n >= sizeof(line->why))
		return "a reason has at most 80 characters";
	memcpy(line->why, rest, n);
	line->why[n] = '\0';
	return list_why_fault(line->why);
}

/* "service=", "until=": what speaks against it; NULL: it is set. */
static const char *
field_set(const char *word, struct list_line *line)
{
	if (strncmp(word, "service=", 8) == 0) {
		const char *fault = list_service_fault(word + 8);
		if (fault == NULL)
			snprintf(line->service, sizeof(line->service), "%.31s", word + 8);
		return fault;
	}
	if (strncmp(word, "until=", 6) == 0)
		return time_of(word + 6, &line->until_s)
		               ? NULL
		               : "expected a time such as until=2026-11-26T21:00:00Z";
	return "expected service=NAME, until=TIME or why=TEXT";
}

enum list_line_kind
list_line_kept(const char *text, struct list_line *line)
{
	const char *at = text + strspn(text, blanks), *start = at;
	char word[WORD_SIZE];

	*line = (struct list_line){ .kind = LIST_NONE };
	if (*at == '\0' || *at == '#')
		return LIST_LINE_BLANK;
	(void)word_take(&at, word);
	line->kind = strcmp(word, "deny") == 0    ? LIST_DENY
	             : strcmp(word, "allow") == 0 ? LIST_ALLOW
	                                          : LIST_NONE;
	if (line->kind == LIST_NONE)
		return wrong(line, text, start, "expected deny or allow");
	at += strspn(at, blanks);
	if (prefix_take(text, &at, "", line) == LIST_LINE_WRONG)
		return LIST_LINE_WRONG;
	for (at += strspn(at, blanks); *at != '\0'; at += strspn(at, blanks)) {
		start = at;
		const char *fault;
		if (strncmp(at, "why=", 4) == 0) {
			fault = why_set(at + 4, line);
			at += strlen(at);
		} else {
			fault = word_take(&at, word) ? field_set(word, line) : "a word too long";
		}
		if (fault != NULL)
			return wrong(line, text, start, fault);
	}
	return LIST_LINE_ENTRY;
}

void
list_line_write(FILE *out, const struct list_line *line)
{
	char prefix[CONF_PREFIX_SIZE], until[32];
	time_t t = (time_t)line->until_s;
	struct tm utc;

	conf_format_prefix(&line->prefix, prefix);
	fprintf(out, "%s %s", line->kind == LIST_DENY ? "deny" : "allow", prefix);
	if (line->service[0] != '\0')
		fprintf(out, " service=%s", line->service);
	if (line->until_s != 0 && gmtime_r(&t, &utc) != NULL &&
	    strftime(until, sizeof(until), TIME_FORMAT, &utc) != 0)
		fprintf(out, " until=%s", until);
	if (line->why[0] != '\0')
		fprintf(out, " why=%s", line->why);
	putc('\n', out);
}
