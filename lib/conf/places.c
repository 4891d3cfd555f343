/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the keys stand that only a restart can change: noted while the document is there, for
 * the message that refuses a reload, which comes when it is gone. A few dozen, whatever the
 * number of services.
 */
#include "places.h"

#include <stdio.h>
#include <string.h>

/* The table has about sixty. */
#define PLACES_MAX 128u

struct conf_noted {
	const char *path;
	uint32_t line, column;
};

struct conf_places {
	uint32_t n;
	struct conf_noted list[PLACES_MAX];
};

static int
note(struct conf_reader *r, struct conf_places *places, const struct conf_place *place)
{
	char path[CONF_PATH_SIZE];

	if (places->n == PLACES_MAX)
		return 0;
	conf_place_path(place, path);
	struct conf_noted *noted = &places->list[places->n++];
	noted->path = conf_arena_copy(r->arena, path);
	noted->line = (uint32_t)place->node->start_mark.line + 1;
	noted->column = (uint32_t)place->node->start_mark.column + 1;
	return noted->path != NULL ? 0 : conf_fail_memory(r);
}

static int
note_mapping(struct conf_reader *r, struct conf_places *places, const struct conf_place *place,
             const struct conf_mapping *mapping)
{
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		struct conf_place at = { place, key->name, 0,
			                 conf_child(r, place->node, key->name) };
		if (at.node == NULL)
			continue;
		if (note(r, places, &at) != 0)
			return -1;
		if (key->type == CONF_MAPPING && (key->flags & CONF_LIVE) == 0 &&
		    note_mapping(r, places, &at, key->mapping) != 0)
			return -1;
	}
	return 0;
}

int
conf_note_places(struct conf_reader *r, const struct conf_place *root)
{
	struct conf_places *places = conf_arena_alloc(r->arena, 1, sizeof(*places));

	if (places == NULL)
		return conf_fail_memory(r);
	r->conf->places = places;
	return note_mapping(r, places, root, &conf_root);
}

/* The place of a path, or of the mapping that it belongs to and that is in the file. */
static const struct conf_noted *
find(const struct conf_places *places, const char *path)
{
	size_t size = strlen(path);

	while (size > 0) {
		for (uint32_t i = 0; i < places->n; i++)
			if (strncmp(places->list[i].path, path, size) == 0 &&
			    places->list[i].path[size] == '\0')
				return &places->list[i];
		while (size > 0 && path[--size] != '.' && path[size] != '[')
			continue;
	}
	return NULL;
}

void
conf_position(const struct conf *conf, const char *path, uint32_t *line, uint32_t *column)
{
	const struct conf_noted *noted = find(conf->places, path);

	*line = noted != NULL ? noted->line : 1;
	*column = noted != NULL ? noted->column : 1;
}

void
conf_refuse_change(const struct conf *fresh, const char *path, const char *was, const char *now,
                   struct conf_error *err)
{
	uint32_t line, column;

	conf_position(fresh, path, &line, &column);
	snprintf(err->text, sizeof(err->text),
	         "%.128s:%u:%u: %s: found %.80s; expected %.80s, as it runs: a change needs a "
	         "restart",
	         fresh->source, line, column, path, now, was);
}
