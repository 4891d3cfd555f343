/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of the world: which ones there are in a state, and taking one. */
#ifndef SYNFRONT_EXPLORE_STEPS_H
#define SYNFRONT_EXPLORE_STEPS_H

#include <stdio.h>

#include "world.h"

enum step_kind {
	STEP_DELIVER, /* the argument: of a segment in flight, and << 4 the worker */
	STEP_COPY,    /* deliver it, and it stays in flight */
	STEP_LOSE,
	STEP_CLIENT, /* enum client_step, << 4 the client */
	STEP_SERVER, /* it sends again; the flow */
	STEP_SERVER_STOPS,
	STEP_SERVER_CALLS,
	STEP_FORGE, /* enum forgery, << 4 the worker */
	STEP_CLOCK, /* index of the time that passes */
	STEP_RESTART,
	STEP_RELOAD,
};

struct step_taken {
	uint8_t kind; /* enum step_kind */
	uint8_t arg;
};

#define STEPS_MAX 96u

/* All that can happen now; returns how many. */
unsigned int steps_list(const struct world *w, struct step_taken steps[STEPS_MAX]);
void steps_take(struct world *w, struct step_taken step);
/* One line that says what is done; before it is taken. */
void steps_print(FILE *out, const struct world *w, struct step_taken step);
void steps_print_seg(FILE *out, const struct seg *seg);

/* Whatever is in flight arrives, then what that has caused, until nothing is in flight (or, of
 * what never ends, for a while). */
void steps_settle(struct world *w);

#endif
