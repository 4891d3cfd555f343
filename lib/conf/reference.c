/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of keys as a page for people. */
#include "value.h"

static void
print_default(FILE *out, const struct conf_key *key)
{
	if ((key->flags & CONF_REQUIRED) != 0)
		fputs("required", out);
	else if (key->type == CONF_MAPPING)
		fputs((key->flags & CONF_OPTIONAL) != 0 ? "none" : "see below", out);
	else if (key->preset != NULL)
		fprintf(out, "`%s`", key->preset);
	else
		fputs(key->derived, out);
}

static void
print_row(FILE *out, const struct conf_key *key, bool live)
{
	char expected[CONF_EXPECTED_SIZE];

	conf_expected(key, expected);
	fprintf(out, "| `%s` | %s%s%s | ", key->name, expected, key->unit != NULL ? "; " : "",
	        key->unit != NULL ? key->unit : "");
	print_default(out, key);
	fprintf(out, " | %s | %s", live ? "yes" : "no", key->help);
	if (key->entry_size != 0)
		fprintf(out, " %u bytes each.", key->entry_size);
	fputs(" |\n", out);
}

/* Can a reload change the key, or anything below it? */
static bool
may_change(const struct conf_key *key)
{
	if ((key->flags & CONF_LIVE) != 0)
		return true;
	for (uint32_t i = 0; key->mapping != NULL && i < key->mapping->n_keys; i++)
		if (may_change(&key->mapping->keys[i]))
			return true;
	return false;
}

static void
print_mapping(FILE *out, const struct conf_mapping *mapping, const char *path, bool live)
{
	fprintf(out, "\n## %s\n\n", mapping->title);
	if (path[0] != '\0')
		fprintf(out, "Below `%s`.\n\n", path);
	fputs("| key | value | default | reload | |\n|---|---|---|---|---|\n", out);
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		print_row(out, key, live || may_change(key));
	}

	const struct conf_mapping *last = NULL;
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		if (key->mapping == NULL || key->mapping == last)
			continue;
		/* Keys that share a mapping are printed once, under all their names. */
		char below[CONF_PATH_SIZE];
		int at = snprintf(below, sizeof(below), "%s%s%s%s", path,
		                  path[0] != '\0' ? "." : "", key->name,
		                  key->type == CONF_SEQUENCE ? "[]" : "");
		for (uint32_t j = i + 1; j < mapping->n_keys && at < (int)sizeof(below); j++)
			if (mapping->keys[j].mapping == key->mapping)
				at += snprintf(below + at, sizeof(below) - (size_t)at, "`, `%s%s%s",
				               path, path[0] != '\0' ? "." : "",
				               mapping->keys[j].name);
		last = key->mapping;
		print_mapping(out, key->mapping, below, live || (key->flags & CONF_LIVE) != 0);
	}
}

void
conf_reference(FILE *out)
{
	fputs("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n"
	      "<!-- Generated from lib/conf/table.c; a unit test compares the two. -->\n"
	      "# Configuration reference\n\n"
	      "One YAML document, read whole or not at all: an error names file, line, column and "
	      "key.\n"
	      "An unknown or repeated key is an error.\n\n"
	      "- **Counts** (table entries, bytes) take `k`, `M`, `G` as powers of 1024: `64k` is "
	      "65536.\n"
	      "- **Rates** (per second) take them as powers of 1000: `10k` is 10000.\n"
	      "- **Durations** take `s`, `m`, `h`, `d`; a number alone is seconds.\n"
	      "- **Lists** of one member may be written without brackets: `ports: 443`.\n"
	      "- **Reload** says whether a running engine takes a new value; else the reload is "
	      "refused\n"
	      "  as a whole, and names the key. A mapping that says yes may hold keys that say "
	      "no.\n"
	      "- Limits hold for the whole engine unless they say \"of one worker\".\n",
	      out);
	print_mapping(out, &conf_root, "", false);
}
