/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a mapping of the document by the rows of its table, each key once. */
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "value.h"

#define NAME_MAX_LEN 31

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance; both at most NAME_MAX_LEN bytes. */
static uint32_t
edit_distance(const char *a, const char *b)
{
	uint32_t row[NAME_MAX_LEN + 1], n = (uint32_t)strlen(b);

	for (uint32_t j = 0; j <= n; j++)
		row[j] = j;
	for (uint32_t i = 1; a[i - 1] != '\0'; i++) {
		uint32_t diagonal = row[0];
		row[0] = i;
		for (uint32_t j = 1; j <= n; j++) {
			uint32_t above = row[j];
			row[j] = least(least(above, row[j - 1]) + 1,
			               diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

static int
fail_unknown(struct conf_reader *r, const struct conf_place *place,
             const struct conf_mapping *mapping, const char *name)
{
	const char *nearest = NULL;
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < mapping->n_keys && strlen(name) <= NAME_MAX_LEN; i++) {
		uint32_t d = edit_distance(name, mapping->keys[i].name);
		if (d < best) {
			best = d;
			nearest = mapping->keys[i].name;
		}
	}
	if (nearest != NULL && best <= 1 + strlen(name) / 3)
		return conf_fail(r, place,
		                 "found an unknown key; expected \"%s\" (did you mean that?)",
		                 nearest);

	char names[320];
	size_t at = 0;
	for (uint32_t i = 0; i < mapping->n_keys && at < sizeof(names); i++)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? ", " : "",
		                       mapping->keys[i].name);
	return conf_fail(r, place, "found an unknown key; expected one of %s", names);
}

/* All keys of the node are in the table, each once. */
static int
check_names(struct conf_reader *r, const struct conf_place *place,
            const struct conf_mapping *mapping)
{
	size_t lines[64] = { 0 }; /* 1 + line of each key of the table */
	const yaml_node_t *node = place->node;

	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
	     p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key_node = yaml_document_get_node(r->doc, p->key);
		const char *name = conf_scalar(key_node);
		struct conf_place at = { place, name, 0, key_node };
		uint32_t i = 0;

		if (name == NULL) {
			char found[CONF_FOUND_SIZE];
			conf_describe(key_node, found);
			at = *place;
			at.node = key_node;
			return conf_fail(r, &at, "found %s as a key; expected a name", found);
		}
		while (i < mapping->n_keys && strcmp(mapping->keys[i].name, name) != 0)
			i++;
		if (i == mapping->n_keys)
			return fail_unknown(r, &at, mapping, name);
		if (lines[i] != 0)
			return conf_fail(r, &at,
			                 "found the key again; expected it once (line %zu has it)",
			                 lines[i]);
		lines[i] = key_node->start_mark.line + 1;
	}
	return 0;
}

static int
apply_sequence(struct conf_reader *r, const struct conf_place *place, const struct conf_key *key,
               char *base)
{
	const yaml_node_t *node = place->node;

	if (node->type != YAML_SEQUENCE_NODE)
		return conf_fail_value(r, place, key);
	uint32_t n = (uint32_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (n < key->min)
		return conf_fail_value(r, place, key);
	if (n > key->max)
		return conf_fail(r, place, "found %u members; expected at most %u", n, key->max);

	char *members = conf_arena_alloc(r->arena, n, key->mapping->size);
	if (members == NULL)
		return conf_fail_memory(r);
	for (uint32_t i = 0; i < n; i++) {
		struct conf_place member = conf_member(r, place, i);
		if (conf_apply(r, &member, key->mapping,
		               members + (size_t)i * key->mapping->size) != 0)
			return -1;
	}
	*(void **)(void *)(base + key->offset) = members;
	*(uint32_t *)(void *)(base + key->count_offset) = n;
	return 0;
}

/* A key that is not in the file. */
static int
apply_default(struct conf_reader *r, const struct conf_place *place, const struct conf_key *key,
              char *base)
{
	if ((key->flags & CONF_REQUIRED) != 0) {
		char expected[CONF_EXPECTED_SIZE];
		conf_expected(key, expected);
		return conf_fail(r, place, "found nothing; expected this key, with %s", expected);
	}
	if (key->type == CONF_MAPPING && (key->flags & CONF_OPTIONAL) == 0)
		return conf_apply(r, place, key->mapping, base + key->offset);
	if (key->preset == NULL) {
		if (conf_type_is_number(key->type))
			*(uint32_t *)(void *)(base + key->offset) = key->absent;
		return 0;
	}
	switch (conf_set_text(r->arena, key, base, key->preset)) {
	case CONF_SET_OK:
		return 0;
	case CONF_SET_NO_MEMORY:
		return conf_fail_memory(r);
	default:
		return conf_fail(r, place, "found a default out of range");
	}
}

static int
apply_value(struct conf_reader *r, const struct conf_place *place, const struct conf_key *key,
            char *base)
{
	if (key->type == CONF_MAPPING) {
		if (place->node->type != YAML_MAPPING_NODE)
			return conf_fail_value(r, place, key);
		if ((key->flags & CONF_OPTIONAL) != 0)
			*(bool *)(base + key->count_offset) = true;
		return conf_apply(r, place, key->mapping, base + key->offset);
	}
	if (key->type == CONF_SEQUENCE)
		return apply_sequence(r, place, key, base);
	if (conf_type_is_list(key->type))
		return conf_read_list(r, place, key, base);

	const char *text = conf_scalar(place->node);
	if (text == NULL)
		return conf_fail_value(r, place, key);
	switch (conf_set_text(r->arena, key, base, text)) {
	case CONF_SET_OK:
		return 0;
	case CONF_SET_NO_MEMORY:
		return conf_fail_memory(r);
	default:
		return conf_fail_value(r, place, key);
	}
}

int
conf_apply(struct conf_reader *r, const struct conf_place *place,
           const struct conf_mapping *mapping, void *base)
{
	if (place->node != NULL) {
		if (place->node->type != YAML_MAPPING_NODE) {
			char found[CONF_FOUND_SIZE];
			conf_describe(place->node, found);
			return conf_fail(r, place, "found %s; expected a mapping", found);
		}
		if (check_names(r, place, mapping) != 0)
			return -1;
	}
	for (uint32_t i = 0; i < mapping->n_keys; i++) {
		const struct conf_key *key = &mapping->keys[i];
		struct conf_place at = { place, key->name, 0,
			                 conf_child(r, place->node, key->name) };
		if ((at.node != NULL ? apply_value : apply_default)(r, &at, key, base) != 0)
			return -1;
	}
	return 0;
}
