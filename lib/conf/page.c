/* SPDX-License-Identifier: BSD-3-Clause */
/* What every page of keys says, in the order of the table; and the engine's. */
#include "page.h"

#include "value.h"

#define DEFAULT_SIZE 128

static const char about[] =
	"One YAML document, read whole or not at all: an error names file, line, column and key. "
	"An unknown or repeated key is an error.";

static const struct conf_note notes[] = {
	{ "Counts", "(table entries, bytes) take `k`, `M`, `G` as powers of 1024: `64k` is "
	            "65536." },
	{ "Rates", "(per second) take them as powers of 1000: `10k` is 10000." },
	{ "Durations", "take `s`, `m`, `h`, `d`; a number alone is seconds." },
	{ "Lists", "of one member may be written without brackets: `ports: 443`." },
	{ "Reload", "says whether a running engine takes a new value; else the reload is refused "
	            "as a whole, and names the key. A mapping that says yes may hold keys that say "
	            "no." },
	{ "Limits", "hold for the whole engine unless they say \"of one worker\"." },
};

const struct conf_subject conf_subject_engine = {
	.root = &conf_root,
	.source = "lib/conf/table.c",
	.heading = "Configuration reference",
	.name = "synfront.yaml",
	.purpose = "configuration of synfront",
	.about = about,
	.notes = notes,
	.n_notes = sizeof(notes) / sizeof(notes[0]),
	.may_reload = true,
	.see_also = ".Xr synfront-pcap 1 ,\n.Xr synfront 8 ,\n.Xr synfrontctl 8\n",
};

static const char *
default_of(const struct conf_key *key, char text[DEFAULT_SIZE])
{
	if ((key->flags & CONF_REQUIRED) != 0)
		return "required";
	if (key->type == CONF_MAPPING)
		return (key->flags & CONF_OPTIONAL) != 0 ? "none" : "see below";
	if (key->preset == NULL)
		return key->derived;
	snprintf(text, DEFAULT_SIZE, "`%s`", key->preset);
	return text;
}

static void
print_key(const struct conf_page *page, const struct conf_key *key, bool live)
{
	char expected[CONF_EXPECTED_SIZE + 16], preset[DEFAULT_SIZE];

	conf_expected(key, expected);
	if (key->unit != NULL) {
		size_t length = strlen(expected);
		snprintf(expected + length, sizeof(expected) - length, "; %s", key->unit);
	}
	page->format->key(page, key, expected, default_of(key, preset), live);
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
print_mapping(const struct conf_page *page, const struct conf_mapping *mapping, const char *path,
              bool live)
{
	page->format->begin_mapping(page, mapping->title, path);
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		print_key(page, key, live || may_change(key));
	}
	page->format->end_mapping(page);

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
		print_mapping(page, key->mapping, below, live || (key->flags & CONF_LIVE) != 0);
	}
}

void
conf_page_print(const struct conf_page *page)
{
	page->format->begin(page);
	print_mapping(page, page->subject->root, "", false);
	page->format->end(page);
}
