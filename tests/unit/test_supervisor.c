/* SPDX-License-Identifier: BSD-3-Clause */
/* What a supervisor is told, and when nothing is said. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "supervisor.h"

#define TEXT_SIZE 512

static int supervisor_fd;

/* The next datagram, "" if there is none. */
static const char *
heard(void)
{
	static char text[TEXT_SIZE];
	ssize_t n = recv(supervisor_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static struct supervisor
begin(const char *usec, const char *pid)
{
	struct supervisor s;

	if (usec != NULL)
		setenv("WATCHDOG_USEC", usec, 1);
	else
		unsetenv("WATCHDOG_USEC");
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	else
		unsetenv("WATCHDOG_PID");
	supervisor_begin(&s);
	return s;
}

static void
test_a_status_is_told_when_it_changes(void)
{
	struct supervisor s = begin(NULL, NULL);

	supervisor_ready(&s, "calm");
	CU_ASSERT_STRING_EQUAL(heard(), "READY=1\nSTATUS=calm");
	supervisor_step(&s, 1000, true, "calm");
	CU_ASSERT_STRING_EQUAL(heard(), "");
	supervisor_step(&s, 2000, true, "flood");
	CU_ASSERT_STRING_EQUAL(heard(), "STATUS=flood");
	supervisor_step(&s, 900000, true, "flood");
	CU_ASSERT_STRING_EQUAL(heard(), "");
	supervisor_ready(&s, "flood");
	CU_ASSERT_STRING_EQUAL(heard(), "READY=1");
}

static void
test_a_reload_says_when_it_began(void)
{
	unsigned long long usec;
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	supervisor_reloading();
	clock_gettime(CLOCK_MONOTONIC, &after);
	CU_ASSERT_EQUAL(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	CU_ASSERT(usec / 1000000 >= (unsigned long long)before.tv_sec);
	CU_ASSERT(usec / 1000000 <= (unsigned long long)after.tv_sec);
	supervisor_stopping();
	CU_ASSERT_STRING_EQUAL(heard(), "STOPPING=1");
}

static void
test_signs_of_life_while_all_move(void)
{
	struct supervisor s = begin("8000000", NULL);
	unsigned int n = 0;

	supervisor_ready(&s, "calm");
	heard();
	for (uint64_t ms = 10000; ms < 18000; ms += 250) {
		supervisor_step(&s, ms, true, "calm");
		n += strcmp(heard(), "WATCHDOG=1") == 0;
	}
	CU_ASSERT_EQUAL(n, 8);
	/* One stands still: none, however long. */
	for (uint64_t ms = 18000; ms < 30000; ms += 250) {
		supervisor_step(&s, ms, false, "calm");
		CU_ASSERT_STRING_EQUAL(heard(), "");
	}
	supervisor_step(&s, 30000, true, "flood");
	CU_ASSERT_STRING_EQUAL(heard(), "WATCHDOG=1\nSTATUS=flood");
}

static void
test_signs_of_life_are_for_whom_they_are_wanted_of(void)
{
	static const struct {
		const char *usec, *pid;
	} none[] = {
		{ NULL, NULL }, { "0", NULL }, { "8000000", "1" }, { "soon", NULL }, { "8s", NULL }
	};
	char own[24];

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct supervisor s = begin(none[i].usec, none[i].pid);
		supervisor_step(&s, 100000, true, "");
		CU_ASSERT_STRING_EQUAL(heard(), "");
	}
	snprintf(own, sizeof(own), "%ld", (long)getpid());
	struct supervisor s = begin("8000000", own);
	supervisor_step(&s, 100000, true, "");
	CU_ASSERT_STRING_EQUAL(heard(), "WATCHDOG=1");
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_a_status_is_told_when_it_changes),
		CHECK_TEST(test_a_reload_says_when_it_began),
		CHECK_TEST(test_signs_of_life_while_all_move),
		CHECK_TEST(test_signs_of_life_are_for_whom_they_are_wanted_of),
		CU_TEST_INFO_NULL,
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64];
	int n = snprintf(name, sizeof(name), "@synfront-test-%ld", (long)getpid());

	memcpy(address.sun_path + 1, name + 1, (size_t)n - 1);
	setenv("NOTIFY_SOCKET", name, 1);
	supervisor_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (supervisor_fd < 0 ||
	    bind(supervisor_fd, (struct sockaddr *)&address,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)) != 0)
		return EXIT_FAILURE;
	return check_run("supervisor", tests);
}
