/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Figures as text for Prometheus and all who read what it reads. Two dialects:
 *
 *   text          Prometheus' exposition format 0.0.4, which curl, the node exporter's textfile
 *                 collector and `promtool check metrics` want: TYPE x_total counter
 *   OpenMetrics   https://openmetrics.io, version 1.0.0: TYPE x counter, samples x_total, # EOF
 *
 * The samples are the same, byte for byte.
 */
#ifndef SYNFRONT_OPENMETRICS_H
#define SYNFRONT_OPENMETRICS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

enum openmetrics_type {
	OPENMETRICS_COUNTER, /* its samples end in _total */
	OPENMETRICS_GAUGE,
	OPENMETRICS_INFO, /* its samples end in _info and are 1 */
};

struct openmetrics {
	FILE *out;
	bool is_strict;     /* OpenMetrics */
	const char *prefix; /* of all names, "synfront_" */
	const char *name;   /* of the family that samples are of */
	enum openmetrics_type type;
};

struct openmetrics_label {
	const char *name, *value;
};

/* Labels of one sample: OPENMETRICS_LABELS({ "service", name }, { "kind", "cookie" }). */
#define OPENMETRICS_LABELS(...) ((const struct openmetrics_label[]){ __VA_ARGS__, { NULL, NULL } })

/* The samples that follow are of this family: `name` without prefix and ending. `help` is a
 * sentence, without or with its full stop and capital. */
void openmetrics_family(struct openmetrics *m, const char *name, enum openmetrics_type type,
                        const char *help);
/* `labels`: ended by a NULL; or NULL. */
void openmetrics_sample(struct openmetrics *m, const struct openmetrics_label *labels,
                        uint64_t value);
void openmetrics_sample_seconds(struct openmetrics *m, const struct openmetrics_label *labels,
                                uint64_t ns);
void openmetrics_end(struct openmetrics *m);

#endif
