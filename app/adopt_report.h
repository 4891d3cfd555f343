/* SPDX-License-Identifier: BSD-3-Clause */
/* What a running agent says of itself: for people, as JSON, and as OpenMetrics. */
#ifndef SYNFRONT_ADOPT_REPORT_H
#define SYNFRONT_ADOPT_REPORT_H

#include <stdio.h>

#include "adopt.h"
#include "agent_conf.h"
#include "findings.h"
#include "kernel_settings.h"

struct adopt_report {
	const struct agent_conf *conf;
	const bool *is_attached; /* [conf->n_interfaces] */
	const struct findings *findings;
	const struct granted *granted;
	struct adopt_counters counters;
	uint64_t up_s;
	uint64_t keys_s;   /* how long the keys in the kernel will last */
	uint64_t n_lately; /* cookies spent in the last 60 s; compare conf->spent */
	bool lingers;
};

void adopt_report_text(FILE *out, const struct adopt_report *report);
void adopt_report_json(FILE *out, const struct adopt_report *report);
/* `is_strict`: OpenMetrics; else the older dialect, which the textfile collector reads. */
void adopt_report_metrics(FILE *out, const struct adopt_report *report, bool is_strict);

#endif
