/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "notify.h"

/* Of the time after which we are given up. A worker that stops just after a sign of life makes
 * the whole of it that late at most. */
#define SIGNS_OF_LIFE 8u

static uint64_t
number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	uint64_t n = strtoull(text, &end, 10);
	return *end == '\0' ? n : 0;
}

void
supervisor_begin(struct supervisor *s)
{
	uint64_t pid = number_of("WATCHDOG_PID");

	*s = (struct supervisor){ .watchdog_ms = 0 };
	if (pid == 0 || pid == (uint64_t)getpid())
		s->watchdog_ms = number_of("WATCHDOG_USEC") / 1000 / SIGNS_OF_LIFE;
}

/* Lines, with a status that is another than the last. */
static void
tell(struct supervisor *s, const char *lines, const char *status)
{
	char text[SUPERVISOR_STATUS_SIZE + 64];

	if (strcmp(s->status, status) == 0) {
		if (*lines != '\0')
			notify(lines);
		return;
	}
	snprintf(s->status, sizeof(s->status), "%s", status);
	snprintf(text, sizeof(text), "%s%sSTATUS=%s", lines, *lines != '\0' ? "\n" : "", s->status);
	notify(text);
}

void
supervisor_ready(struct supervisor *s, const char *status)
{
	tell(s, "READY=1", status);
}

void
supervisor_reloading(void)
{
	char text[64];
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	         (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
	notify(text);
}

void
supervisor_stopping(void)
{
	notify("STOPPING=1");
}

void
supervisor_step(struct supervisor *s, uint64_t now_ms, bool all_move, const char *status)
{
	bool is_due = s->watchdog_ms != 0 && all_move && now_ms - s->sent_ms >= s->watchdog_ms;

	if (is_due)
		s->sent_ms = now_ms;
	tell(s, is_due ? "WATCHDOG=1" : "", status);
}
