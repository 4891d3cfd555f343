/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program that is run for events. Its clock is that of the test, so that a timeout takes no
 * longer than the program needs to be started or to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "hook.h"
#include "written.h"

#define PATIENCE_MS 20000

static struct hook hook;
static uint64_t now_ms;
static char folder[] = "/tmp/synfront-hook-XXXXXX";
static char path[64], ready[64];

static void
rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void
take(const char *script, uint32_t per_minute)
{
	const char *const argv[] = { "/bin/sh", "-c", script, "hook", path, ready };

	now_ms = 1000000;
	unlink(path);
	unlink(ready);
	hook_init(&hook, "test");
	CU_ASSERT_EQUAL_FATAL(hook_take(&hook, argv, 6, 10, per_minute), 0);
	hook_step(&hook, now_ms);
}

static void
add(enum event_state state, uint64_t number, uint64_t of)
{
	struct event e = { .kind = EVENT_FLOOD,
		           .state = state,
		           .number = number,
		           .begin = of,
		           .subject = "web",
		           .text = "text" };

	hook_add(&hook, &e);
}

/* Look, without any time passing, until nothing runs; false if that does not come. */
static bool
until_done(void)
{
	for (unsigned int ms = 0; ms < PATIENCE_MS; ms++) {
		hook_step(&hook, now_ms);
		if (hook.run == NULL)
			return true;
		rest();
	}
	return false;
}

static bool
until_there(const char *name)
{
	for (unsigned int ms = 0; ms < PATIENCE_MS && access(name, F_OK) != 0; ms++) {
		hook_step(&hook, now_ms);
		rest();
	}
	return access(name, F_OK) == 0;
}

static unsigned int
times(const char *text, const char *what)
{
	unsigned int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
test_an_event_is_on_standard_input(void)
{
	take("cat >> $1", 60);
	add(EVENT_BEGIN, 1, 0);
	CU_ASSERT_TRUE(until_done());
	add(EVENT_END, 2, 1);
	CU_ASSERT_TRUE(until_done());
	const char *text = text_of(path);
	CU_ASSERT_EQUAL(times(text, "\"event\":\"flood\",\"state\":\"begin\""), 1);
	CU_ASSERT_EQUAL(times(text, "\"state\":\"end\",\"service\":\"web\",\"begin\":1"), 1);
	CU_ASSERT_EQUAL(times(text, "\n"), 2);
	CU_ASSERT_EQUAL(hook.n_failed, 0);
	hook_finish(&hook, 0);
}

/* They run one after the other, in order, and a slow one makes nobody wait. */
static void
test_events_wait_for_each_other(void)
{
	take("while [ ! -e $2 ]; do sleep 0.01; done; cat >> $1", 60);
	for (uint64_t i = 0; i < 5; i++)
		add(EVENT_ONCE, i + 1, 0);
	hook_step(&hook, now_ms);
	CU_ASSERT_PTR_NOT_NULL_FATAL(hook.run);
	CU_ASSERT_EQUAL(hook.n, 4);
	hook_step(&hook, now_ms);
	CU_ASSERT_EQUAL(hook.n, 4);
	close(open(ready, O_CREAT | O_WRONLY, 0600));
	while (hook.n != 0)
		CU_ASSERT_TRUE_FATAL(until_done());
	CU_ASSERT_TRUE(until_done());
	const char *text = text_of(path);
	for (uint64_t i = 1; i <= 5; i++) {
		char number[32];
		snprintf(number, sizeof(number), "\"number\":%u,", (unsigned int)i);
		text = strstr(text, number);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	}
	hook_finish(&hook, 0);
}

/* No shell unless one is named; a program that is not there or fails is counted. */
static void
test_failures_are_counted(void)
{
	static const char *const none[] = { "/nonexistent/program" };
	static const char *const plain[] = { "/bin/echo", "$(exit 3); `false`" };

	take("exit 3", 60);
	add(EVENT_ONCE, 1, 0);
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(hook.n_failed, 1);
	CU_ASSERT_EQUAL(hook_take(&hook, none, 1, 10, 60), 0);
	add(EVENT_ONCE, 2, 0);
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(hook.n_failed, 2);
	CU_ASSERT_EQUAL(hook_take(&hook, plain, 2, 10, 60), 0);
	add(EVENT_ONCE, 3, 0);
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(hook.n_failed, 2);
	hook_finish(&hook, 0);
}

static void
test_a_hook_that_takes_too_long_gets_sigterm(void)
{
	take("trap 'echo term > $1; exit 0' TERM; : > $2; while :; do sleep 0.01; done", 60);
	add(EVENT_ONCE, 1, 0);
	CU_ASSERT_TRUE_FATAL(until_there(ready));
	now_ms += 9999;
	hook_step(&hook, now_ms);
	CU_ASSERT_PTR_NOT_NULL(hook.run);
	now_ms += 1;
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_STRING_EQUAL(text_of(path), "term\n");
	CU_ASSERT_EQUAL(hook.n_failed, 1);
	hook_finish(&hook, 0);
}

/* And SIGKILL if that is ignored, together with what it has started. */
static void
test_a_hook_that_ignores_sigterm_is_killed(void)
{
	take("trap '' TERM; sleep 1000 & echo $! > $1; : > $2; while :; do sleep 0.01; done", 60);
	add(EVENT_ONCE, 1, 0);
	CU_ASSERT_TRUE_FATAL(until_there(ready));
	pid_t child = atoi(text_of(path));
	CU_ASSERT_FATAL(child > 1);
	now_ms += 10000;
	for (int i = 0; i < 50; i++) {
		hook_step(&hook, now_ms);
		rest();
	}
	CU_ASSERT_PTR_NOT_NULL(hook.run);
	CU_ASSERT_EQUAL(kill(child, 0), 0);
	now_ms += HOOK_GRACE_MS;
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(hook.n_failed, 1);
	/* It may be a zombie until somebody else has looked. */
	char stat_path[48];
	snprintf(stat_path, sizeof(stat_path), "/proc/%d/stat", (int)child);
	for (unsigned int ms = 0; ms < PATIENCE_MS; ms++) {
		const char *text = text_of(stat_path), *state = strrchr(text, ')');
		if (state == NULL || state[2] == 'Z' || state[2] == 'X')
			break;
		rest();
	}
	const char *state = strrchr(text_of(stat_path), ')');
	CU_ASSERT(state == NULL || state[2] == 'Z' || state[2] == 'X');
	hook_finish(&hook, 0);
}

/* Twice a minute; what has waited is told when its turn comes. */
static void
test_over_the_rate_events_wait(void)
{
	take("cat >> $1", 2);
	for (uint64_t i = 1; i <= 3; i++) {
		add(EVENT_ONCE, i, 0);
		CU_ASSERT_TRUE(until_done());
	}
	CU_ASSERT_EQUAL(times(text_of(path), "\n"), 2);
	CU_ASSERT_EQUAL(hook.n, 1);
	now_ms += 29999;
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(hook.n, 1);
	now_ms += 1;
	hook_step(&hook, now_ms);
	CU_ASSERT_EQUAL(hook.n, 0);
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(times(text_of(path), "\n"), 3);
	/* However long nothing comes, no more than two at once. */
	now_ms += 86400000;
	for (uint64_t i = 4; i <= 6; i++)
		add(EVENT_ONCE, i, 0);
	while (hook.n > 1)
		CU_ASSERT_TRUE_FATAL(until_done());
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(hook.n, 1);
	hook_finish(&hook, 0);
}

/* What is over before its turn is held back, both ends of it, and how much is told to the next. */
static void
test_what_is_over_is_held_back_whole(void)
{
	take("cat >> $1", 1);
	add(EVENT_BEGIN, 1, 0);
	CU_ASSERT_TRUE(until_done());
	add(EVENT_BEGIN, 2, 0);
	add(EVENT_END, 3, 2);
	/* The end of one that was told is told. */
	add(EVENT_END, 4, 1);
	CU_ASSERT_EQUAL(hook.n, 1);
	CU_ASSERT_EQUAL(hook.n_held_back, 2);
	now_ms += 60000;
	hook_step(&hook, now_ms);
	CU_ASSERT_TRUE(until_done());
	const char *text = text_of(path);
	CU_ASSERT_EQUAL(times(text, "\n"), 2);
	CU_ASSERT_EQUAL(times(text, "\"number\":4,"), 1);
	CU_ASSERT_EQUAL(times(text, "\"held_back\":2,"), 1);
	now_ms += 60000;
	add(EVENT_ONCE, 5, 0);
	hook_step(&hook, now_ms);
	CU_ASSERT_TRUE(until_done());
	CU_ASSERT_EQUAL(times(text_of(path), "held_back"), 1);
	hook_finish(&hook, 0);
}

/* However many come, the queue does not overflow, and who was told of a beginning is told of its
 * end: each number at random that begins, ends or stands alone. */
static void
test_no_end_without_its_beginning(void)
{
	uint64_t open[200], number = 0, state = 88172645463325252u, n_told = 0;
	static uint8_t told[100001];
	unsigned int n_open = 0;

	take("exit 0", 1);
	hook.credit = 0;
	for (int i = 0; i < 100000; i++) {
		uint64_t r = check_random(&state);
		if (r % 8 == 0) {
			add(EVENT_ONCE, ++number, 0);
		} else if (n_open < 200 && (n_open == 0 || r % 2 == 0)) {
			add(EVENT_BEGIN, ++number, 0);
			open[n_open++] = number;
		} else {
			unsigned int at = (unsigned int)(r >> 32) % n_open;
			add(EVENT_END, ++number, open[at]);
			open[at] = open[--n_open];
		}
		CU_ASSERT_FATAL(hook.n + hook.n_owed <= HOOK_QUEUE);
		/* Now and then one is told. */
		if (r % 5 == 0 && hook.n != 0) {
			const struct event *e = hook.queue[0];
			if (e->state == EVENT_END) {
				CU_ASSERT_EQUAL(told[e->begin], EVENT_BEGIN + 1);
				told[e->begin] = 0;
			} else {
				told[e->number] = (uint8_t)(e->state + 1);
			}
			free(hook.queue[0]);
			hook.n--;
			memmove(hook.queue, hook.queue + 1, hook.n * sizeof(hook.queue[0]));
			n_told++;
		}
	}
	CU_ASSERT(n_told > 10000);
	/* All that is open ends; what was told, and still is, waits in the queue. */
	while (n_open != 0)
		add(EVENT_END, ++number, open[--n_open]);
	CU_ASSERT_EQUAL(hook.n_owed, 0);
	for (unsigned int i = 0; i < hook.n; i++)
		if (hook.queue[i]->state == EVENT_END)
			told[hook.queue[i]->begin] = 0;
	for (uint64_t i = 1; i <= number && i < sizeof(told); i++)
		CU_ASSERT_FATAL(told[i] != EVENT_BEGIN + 1);
	hook_finish(&hook, 0);
}

/* Signals as at a login, its own session, no descriptor of ours, nothing of a supervisor's. */
static void
test_a_hook_inherits_nothing(void)
{
	sigset_t blocked;
	int secret = open("/dev/null", O_RDWR);

	CU_ASSERT(dup2(secret, 77) == 77);
	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	setenv("SYNFRONT_TEST", "kept", 1);
	sigfillset(&blocked);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
	take("ls /proc/self/fd | tr '\\n' ' ' > $1; grep -E 'Sig(Blk|Ign)' /proc/self/status >> "
	     "$1; "
	     "echo ${NOTIFY_SOCKET-none} $SYNFRONT_TEST $(($(cut -d' ' -f6 /proc/$$/stat) - $$)) "
	     ">> $1",
	     60);
	add(EVENT_ONCE, 1, 0);
	CU_ASSERT_TRUE(until_done());
	/* ls has the folder that it lists as its third. */
	unsigned long long masked, ignored;
	char rest_of_it[64];
	CU_ASSERT_EQUAL(sscanf(text_of(path), "0 1 2 3 SigBlk: %llx SigIgn: %llx %63[^\n]", &masked,
	                       &ignored, rest_of_it),
	                3);
	CU_ASSERT_EQUAL(masked, 0);
	/* Of the real-time ones glibc has two to itself. */
	CU_ASSERT_EQUAL(ignored & 0x7fffffff, 0);
	CU_ASSERT_STRING_EQUAL(rest_of_it, "none kept 0");
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	unsetenv("NOTIFY_SOCKET");
	close(77);
	close(secret);
	hook_finish(&hook, 0);
}

/* At the end what waits is told, whatever the rate; what hangs is ended. */
static void
test_the_end_waits_but_not_for_ever(void)
{
	take("cat >> $1", 1);
	for (uint64_t i = 1; i <= 4; i++)
		add(EVENT_ONCE, i, 0);
	hook_finish(&hook, PATIENCE_MS);
	CU_ASSERT_EQUAL(times(text_of(path), "\n"), 4);
	take("trap '' TERM; echo $$ > $1; : > $2; while :; do sleep 0.01; done", 60);
	add(EVENT_ONCE, 1, 0);
	add(EVENT_ONCE, 2, 0);
	CU_ASSERT_TRUE_FATAL(until_there(ready));
	pid_t pid = atoi(text_of(path));
	hook_finish(&hook, 50);
	CU_ASSERT_EQUAL(kill(pid, 0), -1);
	CU_ASSERT_EQUAL(hook.n, 0);
	/* No hook, nothing kept. */
	add(EVENT_ONCE, 3, 0);
	CU_ASSERT_EQUAL(hook.n, 0);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		CHECK_TEST(test_an_event_is_on_standard_input),
		CHECK_TEST(test_events_wait_for_each_other),
		CHECK_TEST(test_failures_are_counted),
		CHECK_TEST(test_a_hook_that_takes_too_long_gets_sigterm),
		CHECK_TEST(test_a_hook_that_ignores_sigterm_is_killed),
		CHECK_TEST(test_over_the_rate_events_wait),
		CHECK_TEST(test_what_is_over_is_held_back_whole),
		CHECK_TEST(test_no_end_without_its_beginning),
		CHECK_TEST(test_a_hook_inherits_nothing),
		CHECK_TEST(test_the_end_waits_but_not_for_ever),
		CU_TEST_INFO_NULL,
	};

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/said", folder);
	snprintf(ready, sizeof(ready), "%s/ready", folder);
	int rc = check_run("hook", tests);
	unlink(path);
	unlink(ready);
	rmdir(folder);
	return rc;
}
