/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of the keys in Markdown. */
#include "conf.h"
#include "page.h"

static void
begin(const struct conf_page *page, const char *paragraph, const struct conf_note *notes,
      unsigned int n_notes)
{
	fprintf(page->out,
	        "<!-- SPDX-License-Identifier: BSD-3-Clause -->\n"
	        "<!-- Generated from lib/conf/table.c; a unit test compares the two. -->\n"
	        "# Configuration reference\n\n%s\n\n",
	        paragraph);
	for (unsigned int i = 0; i < n_notes; i++)
		fprintf(page->out, "- **%s** %s\n", notes[i].term, notes[i].text);
}

static void
begin_mapping(const struct conf_page *page, const char *title, const char *below)
{
	fprintf(page->out, "\n## %s\n\n", title);
	if (below[0] != '\0')
		fprintf(page->out, "Below `%s`.\n\n", below);
	fputs("| key | value | default | reload | |\n|---|---|---|---|---|\n", page->out);
}

static void
print_key(const struct conf_page *page, const struct conf_key *key, const char *expected,
          const char *preset, bool live)
{
	fprintf(page->out, "| `%s` | %s | %s | %s | %s", key->name, expected, preset,
	        live ? "yes" : "no", key->help);
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
conf_reference(FILE *out)
{
	static const struct conf_page_format format = { begin, begin_mapping, print_key,
		                                        end_nothing, end_nothing };

	conf_page_print(&(struct conf_page){ .out = out, .format = &format });
}
