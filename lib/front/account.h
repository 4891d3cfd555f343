/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over the counters of several cores, and what must hold of them. */
#ifndef SYNFRONT_ACCOUNT_H
#define SYNFRONT_ACCOUNT_H

#include <stdio.h>

#include "counters.h"

/* sum += c, by relaxed reads of c. */
void account_add(struct counters *sum, const struct counters *c);

/* Two sums that must be equal. */
struct account_equation {
	const char *text;
	uint64_t left, right;
};

#define ACCOUNT_EQUATIONS 3

/*
 * The equations, filled in: `received` frames, and what is in the tables now:
 * `half_open` entries and `remaining` connections (core_remaining()). They hold
 * when no core is at work.
 */
void account_equations(const struct counters *c, uint64_t received, uint64_t half_open,
                       uint64_t remaining, struct account_equation rows[ACCOUNT_EQUATIONS]);

/* Frames that crossed under observe, and what would have become of them (core_would()). */
struct account_equation account_observed(const struct counters *c, const struct counters *would);

/* Every counter as a line "name": value, after `indent`, with commas between
 * and no newline behind the last. */
void account_json(FILE *out, const struct counters *c, const char *indent);
/* The same of what would have been, behind those. */
void account_would_json(FILE *out, const struct counters *would, const char *indent);

#endif
