/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns as wide as their widest cell; numbers to the right, text to the left. */
#include "ctl_table.h"

#include <string.h>

#include "counters.h"

#define CELL_SIZE 160
#define COLUMNS_MAX 24
#define NAME_WIDTH 24 /* of counters, unless one is longer */

static const char *
value_text(const json_t *value, char text[CELL_SIZE])
{
	if (json_is_string(value))
		snprintf(text, CELL_SIZE, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, CELL_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, CELL_SIZE, "-");
	return text;
}

static const char *
cell(const json_t *row, const struct ctl_column *column, char text[CELL_SIZE])
{
	const json_t *value = json_object_get(row, column->key);
	bool is_none = column->zero_is_none && json_integer_value(value) == 0;

	return value_text(is_none ? NULL : value, text);
}

/* No blanks behind the last text of a line. */
static int
print_width(const int *widths, unsigned int c, unsigned int n_columns)
{
	return c + 1 == n_columns && widths[c] < 0 ? 0 : widths[c];
}

static bool
is_shown(const json_t *list, const struct ctl_column *column)
{
	const json_t *row;
	size_t i;

	if (column->where == NULL)
		return true;
	json_array_foreach(list, i, row)
	{
		if (json_integer_value(json_object_get(row, column->where)) != 0)
			return true;
	}
	return false;
}

/* The columns that are shown, in `out`: how many. */
static unsigned int
choose_columns(const json_t *list, const struct ctl_column *columns, unsigned int n_columns,
               struct ctl_column out[COLUMNS_MAX])
{
	unsigned int n = 0;

	for (unsigned int c = 0; c < n_columns && n < COLUMNS_MAX; c++)
		if (is_shown(list, &columns[c]))
			out[n++] = columns[c];
	return n;
}

void
ctl_print_list(FILE *out, const json_t *list, const struct ctl_column *all_columns,
               unsigned int n_all)
{
	struct ctl_column columns[COLUMNS_MAX];
	unsigned int n_columns = choose_columns(list, all_columns, n_all, columns);
	int widths[COLUMNS_MAX];
	char text[CELL_SIZE];
	const json_t *row;
	size_t i;

	for (unsigned int c = 0; c < n_columns; c++) {
		widths[c] = (int)strlen(columns[c].title);
		json_array_foreach(list, i, row)
		{
			int n = (int)strlen(cell(row, &columns[c], text));
			widths[c] = n > widths[c] ? n : widths[c];
		}
		/* A column stands as its first value does; what is not known is a number. */
		const json_t *first = json_object_get(json_array_get(list, 0), columns[c].key);
		if (!json_is_integer(first) && !json_is_null(first))
			widths[c] = -widths[c];
		fprintf(out, "%s%*s", c == 0 ? "" : "  ", print_width(widths, c, n_columns),
		        columns[c].title);
	}
	fputc('\n', out);
	json_array_foreach(list, i, row)
	{
		for (unsigned int c = 0; c < n_columns; c++) {
			fprintf(out, "%s%*s", c == 0 ? "" : "  ", print_width(widths, c, n_columns),
			        cell(row, &columns[c], text));
		}
		fputc('\n', out);
	}
}

void
ctl_print_object(FILE *out, const json_t *object)
{
	char text[CELL_SIZE];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
		fprintf(out, "%-20s %s\n", key, value_text(value, text));
}

const char *
ctl_counter_help(const char *name)
{
	static const struct {
		const char *name, *help;
	} ours[] = {
		{ "received_outside", "frames received" },
		{ "received_inside", "frames received" },
		{ "sent_outside", "frames sent" },
		{ "sent_inside", "frames sent" },
		{ "tx_full_outside", "frames that the port did not take" },
		{ "tx_full_inside", "frames that the port did not take" },
		{ "alloc_failed", "packets not made: no buffer" },
		{ "unfit", "frames lost: too long for the other port" },
		{ "handed_over", "segments given to the worker that owns their connection" },
		{ "taken_over", "segments got from other workers" },
		{ "loops", "polls of the ports" },
		{ "empty_loops", "polls that found nothing" },
		{ "sleeps", "rests while idle" },
	};

	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		if (strcmp(counter_infos[i].name, name) == 0 ||
		    strcmp(counter_infos[i].would, name) == 0)
			return counter_infos[i].help;
	for (unsigned int i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(ours[i].name, name) == 0)
			return ours[i].help;
	return "";
}

void
ctl_print_counters(FILE *out, const json_t *object, const json_t *before, double seconds, bool all)
{
	const char *key;
	json_t *value;
	bool is_empty = true;
	int width = NAME_WIDTH;

	json_object_foreach((json_t *)object, key, value)
	{
		if (json_integer_value(value) != 0 && (int)strlen(key) > width)
			width = (int)strlen(key);
	}
	json_object_foreach((json_t *)object, key, value)
	{
		json_int_t now = json_integer_value(value);
		if (now == 0 && !all)
			continue;
		is_empty = false;
		fprintf(out, "%-*s %15" JSON_INTEGER_FORMAT, width, key, now);
		if (before != NULL) {
			json_int_t then = json_integer_value(json_object_get(before, key));
			fprintf(out, " %13.1f/s", (double)(now - then) / seconds);
		}
		fprintf(out, "  %s\n", ctl_counter_help(key));
	}
	if (is_empty)
		fputs("all counters are at zero\n", out);
}
