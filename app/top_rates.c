/* SPDX-License-Identifier: BSD-3-Clause */
#include "top_rates.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9
#define PERCENT 100

static const json_t *
row_of(const json_t *rows, const char *key, const json_t *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (json_equal(json_object_get(row, key), name))
			return row;
	}
	return NULL;
}

static json_t *
rate(const json_t *now, const json_t *before, enum top_kind kind, double seconds)
{
	if (!json_is_integer(now) || !json_is_integer(before) || seconds <= 0 ||
	    json_integer_value(now) < json_integer_value(before))
		return json_null();
	double per_s = (double)(json_integer_value(now) - json_integer_value(before)) / seconds;
	if (kind == TOP_RATE)
		return json_integer((json_int_t)(per_s + 0.5));
	json_int_t percent = (json_int_t)(PERCENT * per_s / NS_PER_S + 0.5);
	return json_integer(percent < PERCENT ? percent : PERCENT);
}

json_t *
top_rates(const json_t *now, const json_t *before, const char *name,
          const struct top_figure *figures, size_t n_figures, double seconds)
{
	json_t *rows = json_array();
	const json_t *row;
	size_t i;

	json_array_foreach(now, i, row)
	{
		const json_t *old = row_of(before, name, json_object_get(row, name));
		json_t *out = json_object();
		for (size_t f = 0; f < n_figures; f++) {
			const char *key = figures[f].key;
			json_t *value = json_object_get(row, key);
			json_object_set_new(out, key,
			                    figures[f].kind == TOP_VALUE
			                            ? json_incref(value)
			                            : rate(value, json_object_get(old, key),
			                                   figures[f].kind, seconds));
		}
		json_array_append_new(rows, out);
	}
	return rows;
}

struct place {
	json_t *row;
	const json_t *value;
	size_t index;
};

static int
compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = json_is_null(x->value) - json_is_null(y->value);

	if (order == 0 && json_is_string(x->value) && json_is_string(y->value))
		order = strcmp(json_string_value(x->value), json_string_value(y->value));
	else if (order == 0)
		order = (json_number_value(x->value) < json_number_value(y->value)) -
		        (json_number_value(x->value) > json_number_value(y->value));
	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

void
top_sort(json_t *rows, const char *key)
{
	size_t n = json_array_size(rows);
	struct place *places = calloc(n + 1, sizeof(*places));

	if (places == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		json_t *row = json_array_get(rows, i);
		places[i] = (struct place){ json_incref(row), json_object_get(row, key), i };
	}
	qsort(places, n, sizeof(*places), compare);
	for (size_t i = 0; i < n; i++)
		json_array_set_new(rows, i, places[i].row);
	free(places);
}
