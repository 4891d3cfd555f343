/* SPDX-License-Identifier: BSD-3-Clause */
/* Where events are written when that is not possible: nobody waits, and what is lost is counted. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "event_sink.h"
#include "written.h"

#define LINE "{\"number\":1}\n"
#define LINE_SIZE (sizeof(LINE) - 1)
#define NOBODY 65534

static char folder[] = "/tmp/synfront-sink-XXXXXX";
static char path[64], other[64];

static struct event_file
opened(void)
{
	struct event_file file = { .fd = -1 };
	char problem[SINK_PROBLEM_SIZE];

	unlink(path);
	event_file_take(&file, event_file_open(path, (uid_t)-1, (gid_t)-1, problem));
	CU_ASSERT_FATAL(file.fd >= 0);
	return file;
}

static void
test_lines_are_added(void)
{
	struct event_file file = opened();
	char problem[SINK_PROBLEM_SIZE];

	event_file_write(&file, LINE, LINE_SIZE);
	event_file_take(&file, event_file_open(path, (uid_t)-1, (gid_t)-1, problem));
	event_file_write(&file, LINE, LINE_SIZE);
	CU_ASSERT_STRING_EQUAL(text_of(path), LINE LINE);
	CU_ASSERT_EQUAL(file.trouble.n_lost, 0);
	event_file_take(&file, -1);
	event_file_write(&file, LINE, LINE_SIZE);
	CU_ASSERT_STRING_EQUAL(text_of(path), LINE LINE);
}

/* A part of a line fits, and then nothing; when there is room again, no line is joined to it. */
static void
test_a_full_disk_loses_lines_alone(void)
{
	struct rlimit was, little = { .rlim_cur = LINE_SIZE + 4 };
	struct event_file file = opened();

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	little.rlim_max = was.rlim_max;
	event_file_write(&file, LINE, LINE_SIZE);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &little), 0);
	event_file_write(&file, LINE, LINE_SIZE);
	event_file_write(&file, LINE, LINE_SIZE);
	event_file_write(&file, LINE, LINE_SIZE);
	CU_ASSERT_EQUAL(file.trouble.n_lost, 3);
	setrlimit(RLIMIT_FSIZE, &was);
	event_file_write(&file, LINE, LINE_SIZE);
	CU_ASSERT_EQUAL(file.trouble.n_lost, 0);
	CU_ASSERT_STRING_EQUAL(text_of(path), LINE "{\"nu\n" LINE);
	event_file_take(&file, -1);
}

static void
refuses(const char *name, const char *why)
{
	char problem[SINK_PROBLEM_SIZE] = "";

	CU_ASSERT_EQUAL(event_file_open(name, (uid_t)-1, (gid_t)-1, problem), -1);
	if (strstr(problem, why) == NULL)
		printf("\n  %s: %s\n", name, problem);
	CU_ASSERT_PTR_NOT_NULL(strstr(problem, why));
}

/* What could be another's file, or keep us waiting. */
static void
test_only_a_file_of_its_own_is_opened(void)
{
	struct event_file file = opened();

	event_file_take(&file, -1);
	CU_ASSERT_EQUAL(symlink(path, other), 0);
	refuses(other, strerror(ELOOP));
	unlink(other);
	CU_ASSERT_EQUAL(link(path, other), 0);
	refuses(other, "several names");
	unlink(other);
	CU_ASSERT_EQUAL(mkfifo(other, 0600), 0);
	refuses(other, strerror(ENXIO));
	int reader = open(other, O_RDONLY | O_NONBLOCK);
	refuses(other, "no regular file");
	close(reader);
	unlink(other);
	refuses("/dev/null", "no regular file");
	refuses(folder, strerror(EISDIR));
	snprintf(other, sizeof(other), "%s/none/there", folder);
	refuses(other, strerror(ENOENT));
	snprintf(other, sizeof(other), "%s/other", folder);
}

/* One that is made belongs to who will write it; one that is there, to whom it did. */
static void
test_a_new_file_has_its_owner(void)
{
	char problem[SINK_PROBLEM_SIZE];
	struct stat status;

	if (geteuid() != 0)
		return;
	unlink(path);
	close(event_file_open(path, NOBODY, NOBODY, problem));
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_uid, NOBODY);
	CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
	close(event_file_open(path, NOBODY, NOBODY, problem));
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT_EQUAL(status.st_uid, 0);
}

static int
reader_at(const char *name, int size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(address.sun_path, name, n);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(
		bind(fd, (struct sockaddr *)&address,
	             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'))),
		0);
	if (size != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static void
test_a_reader_that_goes_and_comes(void)
{
	char abstract[80];

	snprintf(abstract, sizeof(abstract), "@%s", folder);
	const char *const names[] = { other, abstract };
	for (unsigned int i = 0; i < 2; i++) {
		struct event_socket s = { .fd = -1 };
		char heard[64];

		event_socket_take(&s, names[i]);
		event_socket_send(&s, "early", 5);
		CU_ASSERT_EQUAL(s.trouble.n_lost, 1);
		int fd = reader_at(names[i], 0);
		event_socket_send(&s, "there", 5);
		CU_ASSERT_EQUAL(s.trouble.n_lost, 0);
		CU_ASSERT_EQUAL(recv(fd, heard, sizeof(heard), MSG_DONTWAIT), 5);
		CU_ASSERT_EQUAL(memcmp(heard, "there", 5), 0);
		close(fd);
		event_socket_send(&s, "gone", 4);
		event_socket_send(&s, "gone", 4);
		CU_ASSERT_EQUAL(s.trouble.n_lost, 2);
		unlink(other);
		fd = reader_at(names[i], 0);
		event_socket_send(&s, "again", 5);
		CU_ASSERT_EQUAL(s.trouble.n_lost, 0);
		CU_ASSERT_EQUAL(recv(fd, heard, sizeof(heard), MSG_DONTWAIT), 5);
		close(fd);
		unlink(other);
		event_socket_take(&s, NULL);
		CU_ASSERT_EQUAL(s.fd, -1);
		event_socket_send(&s, "none", 4);
		CU_ASSERT_EQUAL(s.trouble.n_lost, 0);
	}
}

/* One that does not read makes nobody wait. */
static void
test_a_reader_that_hangs(void)
{
	struct event_socket s = { .fd = -1 };
	int fd = reader_at(other, 1);
	unsigned int n = 0;

	event_socket_take(&s, other);
	while (s.trouble.n_lost == 0 && n++ < 100000)
		event_socket_send(&s, LINE, LINE_SIZE);
	CU_ASSERT_EQUAL(s.trouble.n_lost, 1);
	CU_ASSERT_EQUAL(s.trouble.why, EAGAIN);
	close(fd);
	unlink(other);
	event_socket_take(&s, NULL);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		CHECK_TEST(test_lines_are_added),
		CHECK_TEST(test_a_full_disk_loses_lines_alone),
		CHECK_TEST(test_only_a_file_of_its_own_is_opened),
		CHECK_TEST(test_a_new_file_has_its_owner),
		CHECK_TEST(test_a_reader_that_goes_and_comes),
		CHECK_TEST(test_a_reader_that_hangs),
		CU_TEST_INFO_NULL,
	};

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/events", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	int rc = check_run("event_sink", tests);
	unlink(path);
	rmdir(folder);
	return rc;
}
