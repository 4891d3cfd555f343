/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of the keys in Markdown. */
#include "conf.h"
#include "page.h"

static void
begin(const struct conf_page *page)
{
	const struct conf_subject *subject = page->subject;

	fprintf(page->out,
	        "<!-- SPDX-License-Identifier: BSD-3-Clause -->\n"
	        "<!-- Generated from %s; a unit test compares the two. -->\n"
	        "# %s\n\n%s\n\n",
	        subject->source, subject->heading, subject->about);
	for (unsigned int i = 0; i < subject->n_notes; i++)
		fprintf(page->out, "- **%s** %s\n", subject->notes[i].term, subject->notes[i].text);
}

static void
begin_mapping(const struct conf_page *page, const char *title, const char *below)
{
	fprintf(page->out, "\n## %s\n\n", title);
	if (below[0] != '\0')
		fprintf(page->out, "Below `%s`.\n\n", below);
	fputs(page->subject->may_reload
	              ? "| key | value | default | reload | |\n|---|---|---|---|---|\n"
	              : "| key | value | default | |\n|---|---|---|---|\n",
	      page->out);
}

static void
print_key(const struct conf_page *page, const struct conf_key *key, const char *expected,
          const char *preset, bool live)
{
	fprintf(page->out, "| `%s` | %s | %s | ", key->name, expected, preset);
	if (page->subject->may_reload)
		fprintf(page->out, "%s | ", live ? "yes" : "no");
	fputs(key->help, page->out);
	if (key->entry_size != 0)
		fprintf(page->out, " %u bytes each.", key->entry_size);
	fputs(" |\n", page->out);
}

static void
end_nothing(const struct conf_page *page)
{
	(void)page;
}

void
conf_page_markdown(FILE *out, const struct conf_subject *subject)
{
	static const struct conf_page_format format = { begin, begin_mapping, print_key,
		                                        end_nothing, end_nothing };

	conf_page_print(&(struct conf_page){ .subject = subject, .out = out, .format = &format });
}

void
conf_reference(FILE *out)
{
	conf_page_markdown(out, &conf_subject_engine);
}
