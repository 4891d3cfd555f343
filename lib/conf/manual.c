/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of the keys for man(1), in the macros of mdoc(7). */
#include <string.h>

#include "conf.h"
#include "page.h"
#include "reader.h"

#define LINE_MAX_COLUMNS 78

/* What a word takes as print_text() writes it. */
static size_t
columns_of(const char *word, size_t size)
{
	size_t columns = size;

	for (size_t i = 0; i < size; i++)
		columns += word[i] == '`' ? 2 : word[i] == '-' || word[i] == '\\';
	return columns;
}

/*
 * A text of the table: words are filled into lines, a sentence begins a new one (mdoc sets the
 * space between sentences), a line of text begins with no control character, and what stands
 * between backquotes is bold, with hyphens that are minus signs.
 */
static void
print_text(FILE *out, const char *text)
{
	size_t column = 0;
	bool is_code = false, ended = false;

	while (*text != '\0') {
		size_t size = strcspn(text, " "), columns = columns_of(text, size);
		if (column > 0) {
			bool breaks = ended || column + 1 + columns > LINE_MAX_COLUMNS;
			fputc(breaks ? '\n' : ' ', out);
			column = breaks ? 0 : column + 1;
		}
		if (column == 0 && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		for (size_t i = 0; i < size; i++) {
			char c = text[i];
			if (c == '`') {
				is_code = !is_code;
				fputs(is_code ? "\\fB" : "\\fP", out);
			} else if (c == '\\') {
				fputs("\\e", out);
			} else if (c == '-' && is_code) {
				fputs("\\-", out);
			} else {
				fputc(c, out);
			}
		}
		column += columns;
		ended = !is_code && size > 1 && text[size - 1] == '.' && text[size - 2] != '.';
		text += size;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void
print_capitals(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fputc(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text, out);
}

static void
begin(const struct conf_page *page)
{
	const struct conf_subject *subject = page->subject;
	FILE *out = page->out;

	fprintf(out,
	        ".\\\" SPDX-License-Identifier: BSD-3-Clause\n"
	        ".\\\" Generated from %s.\n"
	        ".Dd %s\n.Dt ",
	        subject->source, page->date);
	print_capitals(out, subject->name);
	fprintf(out,
	        " 5\n.Os synfront %s\n"
	        ".Sh NAME\n.Nm %s\n.Nd %s\n"
	        ".Sh DESCRIPTION\n",
	        page->version, subject->name, subject->purpose);
	print_text(out, subject->about);
	fputs(".Bl -tag -width Durations\n", out);
	for (unsigned int i = 0; i < subject->n_notes; i++) {
		fprintf(out, ".It %s\n", subject->notes[i].term);
		print_text(out, subject->notes[i].text);
	}
	fputs(".El\n", out);
}

/* Titles of sections are in capitals. */
static void
begin_mapping(const struct conf_page *page, const char *title, const char *below)
{
	char text[CONF_PATH_SIZE + 16];

	fputs(".Sh ", page->out);
	print_capitals(page->out, title);
	fputc('\n', page->out);
	if (below[0] != '\0') {
		snprintf(text, sizeof(text), "Below `%s`.", below);
		print_text(page->out, text);
	}
	fputs(".Bl -tag -width Ds\n", page->out);
}

static void
print_key(const struct conf_page *page, const struct conf_key *key, const char *expected,
          const char *preset, bool live)
{
	FILE *out = page->out;

	fprintf(out, ".It Ic %s\n", key->name);
	print_text(out, key->help);
	if (key->entry_size != 0)
		fprintf(out, "%u bytes each.\n", key->entry_size);
	fputs(".br\n.Em Value :\n", out);
	print_text(out, expected);
	fputs(".br\n.Em Default :\n", out);
	print_text(out, preset);
	if (page->subject->may_reload)
		fprintf(out, ".br\n.Em Reload :\n%s\n", live ? "yes" : "no");
}

static void
end_mapping(const struct conf_page *page)
{
	fputs(".El\n", page->out);
}

static void
end(const struct conf_page *page)
{
	fprintf(page->out, ".Sh SEE ALSO\n%s", page->subject->see_also);
}

void
conf_page_mdoc(FILE *out, const struct conf_subject *subject, const char *version, const char *date)
{
	static const struct conf_page_format format = { begin, begin_mapping, print_key,
		                                        end_mapping, end };

	conf_page_print(&(struct conf_page){ .subject = subject,
	                                     .out = out,
	                                     .format = &format,
	                                     .version = version,
	                                     .date = date });
}

void
conf_manual(FILE *out, const char *version, const char *date)
{
	conf_page_mdoc(out, &conf_subject_engine, version, date);
}
