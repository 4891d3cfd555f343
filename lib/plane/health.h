/* SPDX-License-Identifier: BSD-3-Clause */
/* How well the engine is, in a word, and what keeps it from being ready. */
#ifndef SYNFRONT_HEALTH_H
#define SYNFRONT_HEALTH_H

#define HEALTH_REASONS_MAX 16u
#define HEALTH_REASON_SIZE 120 /* as a string of DPDK's telemetry holds it */

enum health_state {
	HEALTH_READY,
	HEALTH_DEGRADED, /* clients are served, but not all, or not for long */
	HEALTH_FAILED,   /* it has to be started again */
	HEALTH_STATES
};

/* The worst state of all reasons; further reasons than fit are left out. */
struct health {
	enum health_state state;
	unsigned int n;
	char reasons[HEALTH_REASONS_MAX][HEALTH_REASON_SIZE];
};

const char *health_text(enum health_state state);

/* One more reason, and the state that it means. From a zeroed health, which is ready. */
void health_add(struct health *health, enum health_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
