/* SPDX-License-Identifier: BSD-3-Clause */
#include "lists_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "fresh_file.h"
#include "list_line.h"
#include "lists.h"
#include "log.h"

#define STEP_MS 250
#define PAUSE_MS 1000u
#define RETRY_MS 10000u
#define SHARE 20u  /* of the time */
#define PART 1024u /* entries that are written under one hold of the lock */

/* ---- reading ----------------------------------------------------------- */

/* False: logged. */
static bool
read_line(const char *path, unsigned int number, const char *text, uint64_t wall_s)
{
	struct list_line line;

	if (strchr(text, '\n') == NULL && strlen(text) == LIST_LINE_SIZE - 1) {
		log_error("%s:%u:1: a line has at most %u characters", path, number,
		          LIST_LINE_SIZE - 2);
		return false;
	}
	switch (list_line_kept(text, &line)) {
	case LIST_LINE_BLANK:
		return true;
	case LIST_LINE_WRONG:
		log_error("%s:%u:%u: %s", path, number, line.column, line.problem);
		return false;
	default:
		break;
	}
	if (line.until_s != 0 && line.until_s <= wall_s)
		return true;
	struct list_wish wish = {
		.kind = line.kind,
		.prefix = line.prefix,
		.service = line.service,
		.until_s = line.until_s != 0 ? (uint32_t)(line.until_s - wall_s) : 0,
		.why = line.why,
	};
	if (lists_restore(&wish) == LIST_DONE)
		return true;
	log_error("%s:%u:1: not enough memory, or more than %u prefixes", path, number,
	          LIST_ENTRIES_MAX);
	return false;
}

int
lists_keeper_read(struct lists_keeper *keeper, const char *path)
{
	uint64_t wall_s = clock_ms(CLOCK_REALTIME) / 1000;
	char text[LIST_LINE_SIZE];
	unsigned int number = 0;
	bool is_good = true;

	*keeper = (struct lists_keeper){ .path = path };
	if (path == NULL)
		return 0;
	FILE *in = fopen(path, "re");
	if (in == NULL && errno == ENOENT)
		return 0;
	if (in == NULL) {
		log_error("lists.file %s: %m", path);
		return -1;
	}
	while (is_good && fgets(text, sizeof(text), in) != NULL)
		is_good = read_line(path, ++number, text, wall_s);
	if (is_good && ferror(in)) {
		log_error("lists.file %s: %m", path);
		is_good = false;
	}
	fclose(in);
	struct lists_state state = lists_state();
	if (is_good)
		log_notice("lists: %u to deny, %u to allow, of %s", state.n_deny, state.n_allow,
		           path);
	return is_good ? 0 : -1;
}

/* ---- writing ----------------------------------------------------------- */

struct writing {
	FILE *out;
	uint64_t wall_s;
};

static bool
write_entry(void *arg, const struct list_view *view)
{
	const struct writing *w = arg;
	struct list_line line = {
		.kind = view->kind,
		.prefix = *view->prefix,
		.until_s = view->ends ? w->wall_s + view->left_s : 0,
	};

	snprintf(line.service, sizeof(line.service), "%s", view->service);
	snprintf(line.why, sizeof(line.why), "%s", view->why);
	list_line_write(w->out, &line);
	return true;
}

static void
write_all(FILE *out)
{
	struct writing w = { out, clock_ms(CLOCK_REALTIME) / 1000 };
	uint32_t next = 0;

	fputs("# Live lists of synfront, which writes this file anew after each change: see\n"
	      "# synfrontctl(8), deny and allow. It is read when synfront starts.\n",
	      out);
	do
		next = lists_each(next, PART, write_entry, &w);
	while (next != 0);
}

static int
write_file(const char *path)
{
	struct fresh_file file;

	if (fresh_file_begin(&file, path) != 0)
		return -1;
	write_all(file.out);
	return fresh_file_end(&file, FRESH_FILE_KEPT);
}

static void
keep(struct lists_keeper *k)
{
	uint64_t version = lists_state().version, begin_ms = clock_ms(CLOCK_MONOTONIC);

	if (write_file(k->path) != 0) {
		if (!k->has_failed)
			log_error("lists.file %s: the live lists are not kept: %m", k->path);
		k->has_failed = true;
		k->next_ms = begin_ms + RETRY_MS;
		return;
	}
	if (k->has_failed)
		log_notice("lists.file %s: the live lists are kept again", k->path);
	k->has_failed = false;
	k->version = version;
	uint64_t end_ms = clock_ms(CLOCK_MONOTONIC);
	k->next_ms = end_ms + PAUSE_MS + SHARE * (end_ms - begin_ms);
}

static void *
run(void *arg)
{
	const struct timespec pause = { .tv_nsec = STEP_MS * 1000000L };
	struct lists_keeper *k = arg;

	while (!__atomic_load_n(&k->is_ending, __ATOMIC_ACQUIRE)) {
		nanosleep(&pause, NULL);
		lists_step();
		if (k->path != NULL && lists_state().version != k->version &&
		    clock_ms(CLOCK_MONOTONIC) >= k->next_ms)
			keep(k);
	}
	if (k->path != NULL && lists_state().version != k->version)
		keep(k);
	return NULL;
}

void
lists_keeper_start(struct lists_keeper *k)
{
	k->version = lists_state().version;
	k->is_running = pthread_create(&k->thread, NULL, run, k) == 0;
	if (!k->is_running)
		log_error("lists: no thread: nothing ends by itself, and nothing is kept: %m");
}

void
lists_keeper_stop(struct lists_keeper *k)
{
	if (!k->is_running)
		return;
	__atomic_store_n(&k->is_ending, true, __ATOMIC_RELEASE);
	pthread_join(k->thread, NULL);
	k->is_running = false;
}
