/* SPDX-License-Identifier: BSD-3-Clause */
#include "health.h"

#include <stdarg.h>
#include <stdio.h>

const char *
health_text(enum health_state state)
{
	static const char *const texts[HEALTH_STATES] = {
		[HEALTH_READY] = "ready",
		[HEALTH_DEGRADED] = "degraded",
		[HEALTH_FAILED] = "failed",
	};

	return texts[state];
}

void
health_add(struct health *health, enum health_state state, const char *format, ...)
{
	va_list args;

	if (state > health->state)
		health->state = state;
	if (health->n == HEALTH_REASONS_MAX)
		return;
	va_start(args, format);
	vsnprintf(health->reasons[health->n++], HEALTH_REASON_SIZE, format, args);
	va_end(args);
}
