/* SPDX-License-Identifier: BSD-3-Clause */
/* Wording errors, with file, line and column and the path of keys that led there. */
#include <stdio.h>
#include <string.h>

#include "reader.h"
#include "value.h"

struct conf_place
conf_member(const struct conf_reader *r, const struct conf_place *list, uint32_t index)
{
	yaml_node_item_t item = list->node->data.sequence.items.start[index];

	return (struct conf_place){ list, NULL, index, yaml_document_get_node(r->doc, item) };
}

void
conf_place_path(const struct conf_place *place, char path[CONF_PATH_SIZE])
{
	const struct conf_place *steps[16];
	unsigned int n = 0;

	for (; place != NULL && n < 16; place = place->up)
		if (place->up != NULL)
			steps[n++] = place;

	size_t at = 0;
	path[0] = '\0';
	while (n > 0 && at < CONF_PATH_SIZE) {
		const struct conf_place *p = steps[--n];
		if (p->key == NULL)
			at += snprintf(path + at, CONF_PATH_SIZE - at, "[%u]", p->index);
		else
			at += snprintf(path + at, CONF_PATH_SIZE - at, "%s%.64s", at > 0 ? "." : "",
			               p->key);
	}
}

const char *
conf_scalar(const yaml_node_t *node)
{
	if (node == NULL || node->type != YAML_SCALAR_NODE)
		return NULL;
	const char *text = (const char *)node->data.scalar.value;
	if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (text[0] == '\0' || strcmp(text, "~") == 0 || conf_word_is(text, "null")))
		return NULL;
	return text;
}

void
conf_describe(const yaml_node_t *node, char found[CONF_FOUND_SIZE])
{
	if (node->type == YAML_MAPPING_NODE) {
		strcpy(found, "a mapping");
		return;
	}
	if (node->type == YAML_SEQUENCE_NODE) {
		strcpy(found, node->data.sequence.items.start == node->data.sequence.items.top
		                      ? "an empty list"
		                      : "a list");
		return;
	}
	const char *text = conf_scalar(node);
	if (text == NULL) {
		strcpy(found, "nothing");
		return;
	}
	/* One line, and no control characters, whatever the file holds. */
	size_t at = 0;
	found[at++] = '"';
	for (; *text != '\0' && at < CONF_FOUND_SIZE - 6; text++)
		found[at++] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
	strcpy(found + at, *text != '\0' ? "...\"" : "\"");
}

int
conf_fail(struct conf_reader *r, const struct conf_place *place, const char *format, ...)
{
	char path[CONF_PATH_SIZE];
	const struct conf_place *p = place;
	va_list args;

	while (p != NULL && p->node == NULL)
		p = p->up;
	conf_place_path(place, path);
	int at = snprintf(r->err->text, sizeof(r->err->text), "%.128s:%zu:%zu: %s%s", r->name,
	                  p != NULL ? p->node->start_mark.line + 1 : 1,
	                  p != NULL ? p->node->start_mark.column + 1 : 1, path,
	                  path[0] != '\0' ? ": " : "");
	va_start(args, format);
	vsnprintf(r->err->text + at, sizeof(r->err->text) - (size_t)at, format, args);
	va_end(args);
	return -1;
}

int
conf_fail_value(struct conf_reader *r, const struct conf_place *place, const struct conf_key *key)
{
	char found[CONF_FOUND_SIZE], expected[CONF_EXPECTED_SIZE];

	conf_describe(place->node, found);
	conf_expected(key, expected);
	return conf_fail(r, place, "found %s; expected %s", found, expected);
}

int
conf_fail_memory(struct conf_reader *r)
{
	snprintf(r->err->text, sizeof(r->err->text), "%.128s: found too little memory to read it",
	         r->name);
	return -1;
}

const yaml_node_t *
conf_child(const struct conf_reader *r, const yaml_node_t *map, const char *name)
{
	if (map == NULL || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     p < map->data.mapping.pairs.top; p++) {
		const char *key = conf_scalar(yaml_document_get_node(r->doc, p->key));
		if (key != NULL && strcmp(key, name) == 0)
			return yaml_document_get_node(r->doc, p->value);
	}
	return NULL;
}
