/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl_json.h"

#include <stdlib.h>
#include <string.h>

const char *
ctl_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

json_int_t
ctl_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

char *
ctl_join(const json_t *pieces)
{
	size_t size = 1, i;
	json_t *piece;

	json_array_foreach(pieces, i, piece) size += json_string_length(piece);
	char *text = malloc(size);
	if (text == NULL)
		return NULL;
	char *end = text;
	*end = '\0';
	json_array_foreach(pieces, i, piece) if (json_is_string(piece))
		end = stpcpy(end, json_string_value(piece));
	return text;
}

void
ctl_print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(json);
}
