/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a conf by the rows of the table, each value as its key would say it. */
#include <stdio.h>
#include <string.h>

#include "value.h"

/* The longest text that a key takes, and more than "(...)" of any row. */
#define FLAT_VALUE_SIZE 4200
#define FLAT_PATH_SIZE (CONF_PATH_SIZE + SERVICE_NAME_MAX)

struct walk {
	uint64_t at, start, end; /* numbers of values */
	void (*each)(void *arg, const struct conf_flat *flat);
	void *arg;
};

/* Whether this value is wanted; it is counted either way. */
static bool
is_wanted(struct walk *w)
{
	uint64_t at = w->at++;

	return at >= w->start && at < w->end;
}

static void
give(struct walk *w, const char *path, const char *value, bool live)
{
	if (is_wanted(w))
		w->each(w->arg, &(struct conf_flat){ path, value, live });
}

static void
format_member(const struct conf_key *key, const void *members, uint32_t i, char *text, size_t size)
{
	switch (key->type) {
	case CONF_TEXTS:
	case CONF_ARGUMENTS:
		snprintf(text, size, "%s", ((const char *const *)members)[i]);
		break;
	case CONF_LCORES:
		snprintf(text, size, "%u", ((const uint32_t *)members)[i]);
		break;
	case CONF_PORTS: {
		const struct port_range *range = (const struct port_range *)members + i;
		if (range->first == range->last)
			snprintf(text, size, "%u", range->first);
		else
			snprintf(text, size, "%u-%u", range->first, range->last);
		break;
	}
	default: {
		char prefix[CONF_PREFIX_SIZE];
		conf_format_prefix((const struct prefix *)members + i, prefix);
		snprintf(text, size, "%s", prefix);
	}
	}
}

/* Of a million members a page looks only at its own. */
static void
walk_list(struct walk *w, const char *path, const struct conf_key *key, const char *base, bool live)
{
	const void *members = *(const void *const *)(const void *)(base + key->offset);
	uint32_t n = *(const uint32_t *)(const void *)(base + key->count_offset), i = 0;
	char text[FLAT_VALUE_SIZE];

	if (n == 0) {
		snprintf(text, sizeof(text), "(%s)", key->derived != NULL ? key->derived : "none");
		give(w, path, text, live);
		return;
	}
	if (w->at < w->start) {
		uint64_t skip = w->start - w->at < n ? w->start - w->at : n;
		w->at += skip;
		i = (uint32_t)skip;
	}
	for (; i < n && w->at < w->end; i++) {
		format_member(key, members, i, text, sizeof(text));
		give(w, path, text, live);
	}
	w->at += n - i;
}

static void walk_mapping(struct walk *w, const char *path, const struct conf_mapping *mapping,
                         const char *base, bool live);

/* Services, by their names: their order means nothing. */
static void
walk_services(struct walk *w, const char *path, const struct conf_key *key, const char *base)
{
	const struct service *services = *(
		const struct service *const *)(const void *)(base + key->offset);
	uint32_t n = *(const uint32_t *)(const void *)(base + key->count_offset);

	for (uint32_t i = 0; i < n && w->at < w->end; i++) {
		char member[FLAT_PATH_SIZE];
		snprintf(member, sizeof(member), "%.64s[%s]", path, services[i].name);
		walk_mapping(w, member, key->mapping, (const char *)&services[i], true);
	}
}

static void
walk_key(struct walk *w, const char *path, const struct conf_key *key, const char *base, bool live)
{
	char text[FLAT_VALUE_SIZE];

	if (key->type == CONF_SEQUENCE) {
		walk_services(w, path, key, base);
	} else if (conf_type_is_list(key->type)) {
		walk_list(w, path, key, base, live);
	} else if (key->type != CONF_MAPPING) {
		conf_format_value(key, base, text, sizeof(text));
		give(w, path, text, live);
	} else if ((key->flags & CONF_OPTIONAL) == 0 || *(const bool *)(base + key->count_offset)) {
		walk_mapping(w, path, key->mapping, base + key->offset, live);
	} else {
		give(w, path, "none", live);
	}
}

static void
walk_mapping(struct walk *w, const char *path, const struct conf_mapping *mapping, const char *base,
             bool live)
{
	for (uint32_t i = 0; i < mapping->n_keys && w->at < w->end; i++) {
		const struct conf_key *key = &mapping->keys[i];
		char below[FLAT_PATH_SIZE];
		snprintf(below, sizeof(below), "%.128s%s%.32s", path, path[0] != '\0' ? "." : "",
		         key->name);
		walk_key(w, below, key, base, live || (key->flags & CONF_LIVE) != 0);
	}
}

uint64_t
conf_flatten(const struct conf *conf, uint64_t start, uint64_t max,
             void (*each)(void *arg, const struct conf_flat *flat), void *arg)
{
	/* One more than is given, to know whether there is one. */
	struct walk w = { .start = start, .end = start + max, .each = each, .arg = arg };

	walk_mapping(&w, "", &conf_root, (const char *)conf, false);
	return w.at >= w.end ? w.end : 0;
}
