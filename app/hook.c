/* SPDX-License-Identifier: BSD-3-Clause */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define RUN_COST 60000u /* of credit */
#define FINISH_STEP_MS 10

extern char **environ;

/* Belongs to the thread that starts it until is_started, then to control. */
struct hook_run {
	char **argv; /* its own; may be another by now than the hook's */
	int input;   /* the event */
	char what[96];
	uint64_t since_ms, timeout_ms;
	uint64_t told_ms;                 /* when it got SIGTERM */
	bool is_slow, is_told, is_killed; /* to start; that its time is over */
	pid_t pid;
	int error;       /* why it was not started */
	bool is_started; /* atomic; or has failed to */
};

/* argv and its texts in one block. */
static char **
copy_argv(const char *const *argv, uint32_t n)
{
	size_t size = (n + 1) * sizeof(char *);

	for (uint32_t i = 0; i < n; i++)
		size += strlen(argv[i]) + 1;
	char **copy = malloc(size);
	if (copy == NULL)
		return NULL;
	char *at = (char *)&copy[n + 1];
	for (uint32_t i = 0; i < n; i++) {
		copy[i] = at;
		at = stpcpy(at, argv[i]) + 1;
	}
	copy[n] = NULL;
	return copy;
}

static uint32_t
count_argv(char *const *argv)
{
	uint32_t n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

void
hook_init(struct hook *h, const char *instance)
{
	*h = (struct hook){ .per_minute = 1 };
	snprintf(h->instance, sizeof(h->instance), "%s", instance);
	/* Whoever started us may have had it ignored, and then nothing is left to wait for. */
	signal(SIGCHLD, SIG_DFL);
}

int
hook_take(struct hook *h, const char *const *argv, uint32_t n, uint32_t timeout_s,
          uint32_t per_minute)
{
	char **copy = n != 0 ? copy_argv(argv, n) : NULL;

	if (n != 0 && copy == NULL)
		return -1;
	bool is_first = h->argv == NULL;
	free(h->argv);
	h->argv = copy;
	h->timeout_ms = (uint64_t)timeout_s * 1000;
	h->per_minute = per_minute;
	uint64_t most = (uint64_t)per_minute * RUN_COST;
	if (is_first || h->credit > most)
		h->credit = most;
	return 0;
}

static void
remove_at(struct hook *h, unsigned int i)
{
	free(h->queue[i]);
	h->n--;
	memmove(&h->queue[i], &h->queue[i + 1], (h->n - i) * sizeof(h->queue[0]));
}

/* Is this end's beginning one that was taken? Then it is owed no longer. */
static bool
pay(struct hook *h, uint64_t begin)
{
	for (unsigned int i = 0; i < h->n_owed; i++) {
		if (h->owed[i] == begin) {
			h->owed[i] = h->owed[--h->n_owed];
			return true;
		}
	}
	return false;
}

static bool
may_run(const struct hook *h)
{
	return h->credit >= RUN_COST;
}

/* The beginning still waits for its turn: nobody was told of it. */
static bool
take_back(struct hook *h, uint64_t begin)
{
	for (unsigned int i = 0; !may_run(h) && i < h->n; i++) {
		if (h->queue[i]->number == begin) {
			remove_at(h, i);
			return true;
		}
	}
	return false;
}

/* Whether there is, or will be, something to tell. Room is kept for each end that is owed. */
static bool
is_wanted(struct hook *h, const struct event *event)
{
	if (event->state == EVENT_END) {
		if (!pay(h, event->begin)) {
			h->n_held_back++;
			return false;
		}
		if (take_back(h, event->begin)) {
			h->n_held_back += 2;
			return false;
		}
		return true;
	}
	unsigned int wants = event->state == EVENT_BEGIN ? 2 : 1;
	if (h->n + h->n_owed + wants > HOOK_QUEUE) {
		h->n_held_back++;
		return false;
	}
	return true;
}

void
hook_add(struct hook *h, const struct event *event)
{
	/* Without a hook there is still somebody who was told of beginnings by the one before. */
	if (h->argv == NULL) {
		if (event->state == EVENT_END)
			pay(h, event->begin);
		return;
	}
	if (!is_wanted(h, event))
		return;
	struct event *copy = malloc(sizeof(*copy));
	if (copy == NULL) {
		h->n_held_back++;
		return;
	}
	*copy = *event;
	h->queue[h->n++] = copy;
	if (event->state == EVENT_BEGIN)
		h->owed[h->n_owed++] = event->number;
}

/* What a supervisor gave to us is not for others. */
static bool
is_ours(const char *variable)
{
	static const char *const names[] = { "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=",
		                             "LISTEN_FDS=",    "LISTEN_PID=",    "LISTEN_FDNAMES=",
		                             "JOURNAL_STREAM=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* A list of what is in the environment, which nobody changes after the start. */
static char **
make_environment(void)
{
	size_t n = 0, at = 0;

	while (environ[n] != NULL)
		n++;
	char **list = malloc((n + 1) * sizeof(*list));
	for (size_t i = 0; list != NULL && i < n; i++)
		if (!is_ours(environ[i]))
			list[at++] = environ[i];
	if (list != NULL)
		list[at] = NULL;
	return list;
}

/*
 * posix_spawn() does not copy our memory, as fork() would: after that each page that a worker
 * writes would fault, were it only until the program runs.
 */
static int
spawn(struct hook_run *run)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char **environment = make_environment();

	if (environment == NULL)
		return ENOMEM;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, run->input, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
	                                              POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	int rc = posix_spawn(&run->pid, run->argv[0], &files, &attributes, run->argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	free(environment);
	return rc;
}

/* The engine is the last that shall be killed when memory is short; its hook is not. */
static void
be_mortal(pid_t pid)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* If it must not be, or it has ended, so be it. */
	ssize_t n = write(fd, "0", 1);
	(void)n;
	close(fd);
}

static void *
start(void *arg)
{
	struct hook_run *run = arg;

	run->error = spawn(run);
	if (run->error == 0)
		be_mortal(run->pid);
	__atomic_store_n(&run->is_started, true, __ATOMIC_RELEASE);
	return NULL;
}

static void
free_run(struct hook_run *run)
{
	if (run->input >= 0)
		close(run->input);
	free(run->argv);
	free(run);
}

/* A file in memory that has the event: whoever reads it waits for nobody, and may as well not. */
static int
make_input(const struct hook *h, const struct event *event)
{
	static char json[EVENT_JSON_SIZE];
	size_t size = event_json(event, h->instance, h->n_held_back - h->n_told_of, json);
	int fd = memfd_create("event", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, json, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static struct hook_run *
make_run(const struct hook *h, const struct event *event)
{
	struct hook_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	run->since_ms = h->now_ms;
	run->timeout_ms = h->timeout_ms;
	snprintf(run->what, sizeof(run->what), "event %" PRIu64 " (%s, %s)", event->number,
	         event_name(event->kind), event_state_text(event->state));
	run->argv = copy_argv((const char *const *)h->argv, count_argv(h->argv));
	run->input = make_input(h, event);
	if (run->argv != NULL && run->input >= 0)
		return run;
	free_run(run);
	return NULL;
}

static int
run_thread(struct hook_run *run)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	int rc = pthread_create(&thread, &attributes, start, run);
	pthread_attr_destroy(&attributes);
	return rc;
}

static void
run_next(struct hook *h)
{
	struct hook_run *run = make_run(h, h->queue[0]);
	int rc = run != NULL ? run_thread(run) : errno;

	if (rc != 0) {
		log_warning("events.hook: event %" PRIu64 ": %s", h->queue[0]->number,
		            strerror(rc));
		if (run != NULL)
			free_run(run);
		h->n_failed++;
	} else {
		h->run = run;
		h->n_told_of = h->n_held_back;
	}
	remove_at(h, 0);
}

static void
log_end(struct hook *h, const struct hook_run *run, int status)
{
	if (run->is_told)
		log_warning("events.hook: %s: ended %s", run->what,
		            run->is_killed ? "by SIGKILL" : "after SIGTERM");
	else if (WIFSIGNALED(status))
		log_warning("events.hook: %s: ended by signal %d", run->what, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_warning("events.hook: %s: ended with status %d", run->what,
		            WEXITSTATUS(status));
	else
		log_info("events.hook: %s: done", run->what);
	h->n_failed += run->is_told || status != 0;
}

/* Who is asked to end and does not is made to, and what it has started with it. */
static void
hurry(struct hook_run *run, uint64_t now_ms)
{
	uint64_t gone_ms = now_ms - run->since_ms;

	if (!run->is_told && gone_ms >= run->timeout_ms) {
		log_warning("events.hook: %s: still there after %" PRIu64 " s: it gets SIGTERM",
		            run->what, gone_ms / 1000);
		run->is_told = true;
		run->told_ms = now_ms;
		kill(-run->pid, SIGTERM);
	}
	if (run->is_told && !run->is_killed && now_ms - run->told_ms >= HOOK_GRACE_MS) {
		run->is_killed = true;
		kill(-run->pid, SIGKILL);
	}
}

/* The one that runs; true when it is over. */
static bool
look_at_run(struct hook *h, uint64_t now_ms)
{
	struct hook_run *run = h->run;
	int status = 0;

	if (!__atomic_load_n(&run->is_started, __ATOMIC_ACQUIRE)) {
		if (!run->is_slow && now_ms - run->since_ms >= run->timeout_ms) {
			log_warning("events.hook: %s: is still being started", run->what);
			run->is_slow = true;
		}
		return false;
	}
	if (run->error != 0) {
		log_warning("events.hook: %s: %s: %s", run->what, run->argv[0],
		            strerror(run->error));
		h->n_failed++;
		return true;
	}
	if (waitpid(run->pid, &status, WNOHANG) == 0) {
		hurry(run, now_ms);
		return false;
	}
	log_end(h, run, status);
	return true;
}

static void
look_at_rate(struct hook *h)
{
	bool is_over = h->n != 0 && h->run == NULL && !may_run(h);

	if (is_over && !h->is_over) {
		log_warning("events.hook: more than %u events in a minute: they wait",
		            h->per_minute);
		h->n_held_then = h->n_held_back;
	}
	if (h->is_over && h->n == 0)
		log_notice("events.hook: none waits any more, %" PRIu64 " were held back",
		           h->n_held_back - h->n_held_then);
	h->is_over = is_over || (h->is_over && h->n != 0);
}

void
hook_step(struct hook *h, uint64_t now_ms)
{
	uint64_t most = (uint64_t)h->per_minute * RUN_COST;

	if (h->now_ms != 0)
		h->credit += (now_ms - h->now_ms) * h->per_minute;
	h->credit = h->credit > most ? most : h->credit;
	h->now_ms = now_ms;
	if (h->run != NULL && look_at_run(h, now_ms)) {
		free_run(h->run);
		h->run = NULL;
	}
	while (h->n != 0 && h->argv == NULL)
		remove_at(h, 0);
	look_at_rate(h);
	if (h->run == NULL && h->n != 0 && may_run(h)) {
		h->credit -= RUN_COST;
		run_next(h);
	}
}

void
hook_finish(struct hook *h, uint64_t ms)
{
	const struct timespec pause = { .tv_nsec = FINISH_STEP_MS * 1000000L };
	uint64_t end_ms = clock_ms(CLOCK_MONOTONIC) + ms, now_ms;

	while ((h->n != 0 || h->run != NULL) && (now_ms = clock_ms(CLOCK_MONOTONIC)) < end_ms) {
		h->credit = (uint64_t)h->per_minute * RUN_COST;
		hook_step(h, now_ms);
		nanosleep(&pause, NULL);
	}
	if (h->n != 0)
		log_warning("events.hook: %u events were not told any more", h->n);
	while (h->n != 0)
		remove_at(h, 0);
	if (h->run != NULL && __atomic_load_n(&h->run->is_started, __ATOMIC_ACQUIRE)) {
		if (h->run->error == 0) {
			log_warning("events.hook: %s: ended by SIGKILL", h->run->what);
			kill(-h->run->pid, SIGKILL);
			waitpid(h->run->pid, NULL, 0);
		}
		free_run(h->run);
	}
	/* One that is not started yet is still that thread's. */
	h->run = NULL;
	free(h->argv);
	h->argv = NULL;
}
