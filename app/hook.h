/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that is run for each event, with the event on its standard input.
 *
 * One runs at a time; what comes meanwhile waits in a queue, in its order. Starting a program may
 * take a while, if it lies on a disk that is slow, so a thread that lives no longer does that, and
 * hook_step() never waits. The program gets no descriptor of ours but a file of its own as
 * standard input, and standard error; no blocked or ignored signal, and a session of its own, by
 * which all that it has started is ended with it when its time is over.
 *
 * It is run `per_minute` times a minute, and so many at once. Over that events wait. Who has been
 * told of a beginning is told of its end, always; to keep the queue from overflowing, what is not
 * told is a beginning together with its end: when both wait for their turn, or when there is no
 * room for both.
 */
#ifndef SYNFRONT_HOOK_H
#define SYNFRONT_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "event.h"

#define HOOK_QUEUE 64u
/* Between SIGTERM and SIGKILL. */
#define HOOK_GRACE_MS 1000u

struct hook_run;

struct hook {
	char **argv; /* NULL: there is none; one block of memory */
	uint64_t timeout_ms;
	uint32_t per_minute;
	char instance[64];

	uint64_t credit;      /* 60000 for each run; per_minute * 60000 at most */
	uint64_t now_ms;      /* of the last step */
	uint64_t n_held_back; /* in all */
	uint64_t n_told_of;   /* of these the next run need not be told */
	bool is_over;         /* the rate, as last logged */
	uint64_t n_held_then; /* n_held_back when that began */

	unsigned int n; /* that wait, the first of them next */
	struct event *queue[HOOK_QUEUE];
	unsigned int n_owed; /* beginnings that were taken, and whose ends have not come */
	uint64_t owed[HOOK_QUEUE];

	struct hook_run *run; /* that is under way; NULL: none */
	uint64_t n_failed;    /* in all */
};

void hook_init(struct hook *hook, const char *instance);
/* From now on this program; n 0: none. What waits, and what runs, is not given up. 0, or -1:
 * no memory, and nothing has changed. */
int hook_take(struct hook *hook, const char *const *argv, uint32_t n, uint32_t timeout_s,
              uint32_t per_minute);
/* One event more, of which a copy is kept. */
void hook_add(struct hook *hook, const struct event *event);
/* A few times a second: see what became of the one that runs, and start the next. */
void hook_step(struct hook *hook, uint64_t now_ms);
/* Run what waits, whatever the rate, for `ms` at most, then end what still runs. */
void hook_finish(struct hook *hook, uint64_t ms);

#endif
