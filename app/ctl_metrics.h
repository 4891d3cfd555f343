/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine's figures for Prometheus: names, labels and help.
 *
 * A sum over a label means something: synfront_frames_total over `outcome` is what was received,
 * synfront_refused_total over `reason` the proven clients that were refused. Labels have values
 * that the configuration or the code bounds, and no addresses. A counter of counters.def is
 * there by itself: an outcome as one of synfront_frames_total, any other as a family.
 */
#ifndef SYNFRONT_CTL_METRICS_H
#define SYNFRONT_CTL_METRICS_H

#include "ctl_socket.h"
#include "openmetrics.h"

/* The engine's answers; objects and lists of objects, as ctl_ask() and ctl_ask_all() give them. */
struct ctl_figures {
	json_t *info, *health, *stats;
	json_t *services, *ports, *memory, *workers;
};

/* 0, or -1 and an error. Either way ctl_figures_free() gives them back. */
int ctl_figures_ask(struct ctl_figures *figures, struct ctl_socket *s);
void ctl_figures_free(struct ctl_figures *figures);

/* All of them; `is_strict`: as OpenMetrics. */
void ctl_metrics_write(FILE *out, bool is_strict, const struct ctl_figures *figures);

#endif
