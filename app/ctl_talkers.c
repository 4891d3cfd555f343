/* SPDX-License-Identifier: BSD-3-Clause */
/* Who sends most: the engine is asked pair by pair of service and outcome. */
#include "ctl_talkers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_command.h"
#include "ctl_json.h"
#include "ctl_table.h"

#define ROUNDS_MAX 10000u

static const struct ctl_column columns[] = {
	{ "service", "SERVICE" }, { "outcome", "OUTCOME" }, { "prefix", "PREFIX" },
	{ "percent", "PERCENT" }, { "frames", "FRAMES" },   { "at_least", "AT-LEAST" },
};

/* Columns as rows, each with its share. */
static json_t *
rows_of(const json_t *page)
{
	double total = (double)json_integer_value(json_object_get(page, "total"));
	const json_t *prefixes = json_object_get(page, "prefix");
	json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(prefixes); i++) {
		json_t *frames = json_array_get(json_object_get(page, "frames"), i);
		json_t *at_least = json_array_get(json_object_get(page, "at_least"), i);
		double percent = total > 0 ? 100 * (double)json_integer_value(frames) / total : 0;
		char text[16];
		snprintf(text, sizeof(text), "%.1f", percent);
		json_array_append_new(rows, json_pack("{s:O, s:s, s:O, s:O}", "prefix",
		                                      json_array_get(prefixes, i), "percent", text,
		                                      "frames", frames, "at_least", at_least));
	}
	return rows;
}

json_t *
ctl_talkers_ask(struct ctl_socket *s)
{
	json_t *all = json_array();
	json_int_t next = 0;

	for (unsigned int i = 0; i < ROUNDS_MAX; i++) {
		char number[24];
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, next);
		json_t *page = ctl_ask(s, "/synfront/talkers", number);
		if (page == NULL) {
			json_decref(all);
			return NULL;
		}
		next = json_integer_value(json_object_get(page, "next"));
		if (json_object_get(page, "service") != NULL)
			json_array_append_new(
				all, json_pack("{s:O, s:O, s:O, s:O, s:O, s:o}", "service",
			                       json_object_get(page, "service"), "outcome",
			                       json_object_get(page, "outcome"), "window_s",
			                       json_object_get(page, "window_s"), "frames",
			                       json_object_get(page, "total"), "samples",
			                       json_object_get(page, "samples"), "talkers",
			                       rows_of(page)));
		json_decref(page);
		if (next == 0)
			break;
	}
	return all;
}

json_t *
ctl_talkers_rows(const json_t *all)
{
	json_t *rows = json_array(), *pair, *talker;
	size_t i, k;

	json_array_foreach(all, i, pair)
	{
		json_array_foreach(json_object_get(pair, "talkers"), k, talker)
		{
			json_t *row = json_copy(talker);
			json_object_set(row, "service", json_object_get(pair, "service"));
			json_object_set(row, "outcome", json_object_get(pair, "outcome"));
			json_array_append_new(rows, row);
		}
	}
	return rows;
}

int
ctl_talkers(struct ctl_socket *s, const struct ctl_request *request)
{
	json_t *all = ctl_talkers_ask(s);

	if (all == NULL)
		return EXIT_ENGINE;
	for (size_t i = json_array_size(all); i-- > 0 && request->service != NULL;) {
		const json_t *name = json_object_get(json_array_get(all, i), "service");
		if (strcmp(json_string_value(name), request->service) != 0)
			json_array_remove(all, i);
	}
	if (request->json) {
		ctl_print_json(all);
		return EXIT_OK;
	}
	json_t *rows = ctl_talkers_rows(all);
	ctl_print_list(stdout, rows, columns, sizeof(columns) / sizeof(columns[0]));
	json_decref(rows);
	json_decref(all);
	return EXIT_OK;
}
