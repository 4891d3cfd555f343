/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a supervisor such as systemd is told, in sd_notify(3)'s protocol: that we are ready, that
 * we reload, how things stand, and, if it wants to know, that every worker moves. While one does
 * not, or control does not, nothing is said, and it starts us again.
 */
#ifndef SYNFRONT_SUPERVISOR_H
#define SYNFRONT_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#define SUPERVISOR_STATUS_SIZE 256

struct supervisor {
	uint64_t watchdog_ms; /* between two signs of life; 0: none is wanted */
	uint64_t sent_ms;     /* of the last */
	char status[SUPERVISOR_STATUS_SIZE];
};

/* $WATCHDOG_USEC of sd_watchdog_enabled(3), if it is for this process. */
void supervisor_begin(struct supervisor *s);
/* At the start, and when a reload is over, whatever became of it. */
void supervisor_ready(struct supervisor *s, const char *status);
void supervisor_reloading(void);
void supervisor_stopping(void);
/* A few times a second. `all_move`: every worker has moved since the last step. */
void supervisor_step(struct supervisor *s, uint64_t now_ms, bool all_move, const char *status);

#endif
