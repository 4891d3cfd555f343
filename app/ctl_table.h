/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON as tables with aligned columns. */
#ifndef SYNFRONT_CTL_TABLE_H
#define SYNFRONT_CTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct ctl_column {
	const char *key; /* in each object */
	const char *title;
	bool zero_is_none; /* shown as "-" */
	const char *where; /* left out if this key is 0 in each object; NULL: always shown */
};

/* One row for each object of `list`; numbers to the right, texts to the left. */
void ctl_print_list(FILE *out, const json_t *list, const struct ctl_column *columns,
                    unsigned int n_columns);

/* The values of an object, one a line. */
void ctl_print_object(FILE *out, const json_t *object);

/*
 * The counters of an object, one a line, with what each means. Those at zero
 * only if `all`; says so if all are. With `before` (seconds ago, NULL for none) also the
 * rate since.
 */
void ctl_print_counters(FILE *out, const json_t *object, const json_t *before, double seconds,
                        bool all);

/* What a counter of the engine's is, "" if that is not known here. */
const char *ctl_counter_help(const char *name);

#endif
