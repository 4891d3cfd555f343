/* SPDX-License-Identifier: BSD-3-Clause */
/* Two looks at the same counters as rates: no clock, no engine, no screen. */
#ifndef SYNFRONT_TOP_RATES_H
#define SYNFRONT_TOP_RATES_H

#include <jansson.h>
#include <stddef.h>

enum top_kind {
	TOP_VALUE, /* as it is now */
	TOP_RATE,  /* a counter: per second */
	TOP_SHARE, /* a counter of nanoseconds: percent of the time that passed, at most 100 */
};

struct top_figure {
	const char *key;
	enum top_kind kind;
};

/*
 * The rows of `now`, each with these figures and whole numbers. A row of `before`, `seconds`
 * older, is the same one if it has the same value of `name`. A rate is null where it is not known:
 * with no such row, a counter that is null, or one that has become less (the engine began again).
 * `before` may be NULL. A new reference.
 */
json_t *top_rates(const json_t *now, const json_t *before, const char *name,
                  const struct top_figure *figures, size_t n_figures, double seconds);

/* Put rows in order: numbers from the largest, texts from A on, what is not known last; the same
 * ones stay as they are. */
void top_sort(json_t *rows, const char *key);

#endif
