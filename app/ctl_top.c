/* SPDX-License-Identifier: BSD-3-Clause */
/* `top`: the full screen where there is one, or else tables, one after the other. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl_command.h"
#include "top_screen.h"
#include "top_source.h"

#define INTERVAL_S 1.0

static void
rest(double seconds)
{
	struct timespec pause = { .tv_sec = (time_t)seconds };

	pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
	nanosleep(&pause, NULL);
}

static void
print(const struct top_source *source)
{
	struct top_tables tables = { 0 };

	top_tables_make(&tables, source, TOP_BY_SYN, NULL);
	printf("%s\n", tables.heading);
	top_print_services(stdout, &tables);
	putchar('\n');
	top_print_ports(stdout, &tables);
	printf("\n%s\n\n", tables.workers);
	top_print_talkers(stdout, &tables);
	top_tables_free(&tables);
}

/* There are rates from the second look on: that is printed first. */
static int
print_all(struct top_source *source, double watch_s)
{
	bool is_told = false, is_first = true;

	for (;;) {
		bool is_there = top_source_take(source) == 0;
		if (!is_there && !is_told)
			fprintf(stderr, "synfrontctl: %s%s\n", source->socket.error,
			        watch_s > 0 ? "; waiting for it" : "");
		if (!is_there && watch_s <= 0)
			return EXIT_ENGINE;
		is_told = !is_there;
		if (is_there && source->before.services != NULL) {
			if (!is_first)
				putchar('\n');
			is_first = false;
			print(source);
			if (fflush(stdout) != 0)
				return EXIT_ENGINE;
			if (watch_s <= 0)
				return EXIT_OK;
		}
		rest(watch_s > 0 ? watch_s : INTERVAL_S);
	}
}

/* TERM is empty or "dumb" where a program, not a person, has a pseudo-terminal. */
static bool
has_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term != NULL && *term != '\0' &&
	       strcmp(term, "dumb") != 0;
}

int
ctl_top(const struct ctl_request *request)
{
	struct top_source source = { .instance = request->instance };
	int rc = EXIT_OK;

	if (!has_screen() ||
	    top_screen(&source, request->watch_s > 0 ? request->watch_s : INTERVAL_S) != 0)
		rc = print_all(&source, request->watch_s);
	top_source_end(&source);
	return rc;
}
