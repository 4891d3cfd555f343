/* SPDX-License-Identifier: BSD-3-Clause */
/* Edges: what is news, and that each is told once; the journal in the place of a line; the ring. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "event_ring.h"
#include "events_written.h"
#include "journal.h"
#include "log.h"

#define PLAIN                                                                  \
	"ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n" \
	"services: [{name: web, addresses: 192.0.2.1, ports: 80, mode: proxy}]\n"

static struct events events;
static char folder[] = "/tmp/synfront-events-XXXXXX";
static char path[64], said_path[64];

/* Says that it is so, and sends what is news. */
static bool
look(unsigned int id, bool is_so)
{
	struct event *e = events_edge(&events, EVENT_FLOOD, id, "web", is_so);

	if (e != NULL)
		events_send(&events, e, CONF_LOG_INFO, "now %d", is_so);
	return e != NULL;
}

static void
test_each_edge_is_told_once(void)
{
	events_begin(&events, path);
	CU_ASSERT_FALSE(look(3, false));
	for (int round = 0; round < 2; round++) {
		CU_ASSERT_TRUE(look(3, true));
		CU_ASSERT_TRUE(events_is_so(&events, EVENT_FLOOD, 3));
		CU_ASSERT_FALSE(look(3, true));
		CU_ASSERT_FALSE(look(3, true));
		CU_ASSERT_TRUE(look(3, false));
		CU_ASSERT_FALSE(look(3, false));
	}
	const char *text = text_of(path);
	CU_ASSERT_EQUAL(n_times(text, "\"state\":\"begin\""), 2);
	CU_ASSERT_EQUAL(n_times(text, "\"state\":\"end\""), 2);
	CU_ASSERT_EQUAL(n_times(text, "\"begin\":1,"), 1);
	CU_ASSERT_EQUAL(n_times(text, "\"number\":4,"), 1);
	CU_ASSERT_EQUAL(n_times(text, "\n"), 4);
	events_end(&events);
}

static void
test_kinds_and_ids_are_apart(void)
{
	static const struct {
		enum event_kind kind;
		unsigned int n;
	} kinds[] = { { EVENT_FLOOD, SERVICES_MAX },
		      { EVENT_BACKEND_DOWN, EVENTS_BACKENDS },
		      { EVENT_TABLE_FULL, EVENTS_TABLES },
		      { EVENT_CAP_HIT, EVENTS_CAPS },
		      { EVENT_LINK_DOWN, EVENTS_PORTS },
		      { EVENT_QUEUE_STUCK, EVENTS_QUEUES },
		      { EVENT_PROMISCUOUS_OFF, EVENTS_PORTS },
		      { EVENT_WORKER_STALLED, CONF_WORKERS_MAX },
		      { EVENT_DRAIN, 1 } };
	unsigned int n = 0;

	events_begin(&events, path);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (unsigned int id = 0; id < kinds[k].n; id++, n++)
			CU_ASSERT_PTR_NOT_NULL(events_edge(&events, kinds[k].kind, id, "x", true));
		/* There is no further one. */
		CU_ASSERT_PTR_NULL(events_edge(&events, kinds[k].kind, kinds[k].n, "x", true));
		CU_ASSERT_FALSE(events_is_so(&events, kinds[k].kind, kinds[k].n));
	}
	CU_ASSERT_EQUAL(events.n, n);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		CU_ASSERT_PTR_NOT_NULL(events_edge(&events, kinds[k].kind, 0, "x", false));
	CU_ASSERT_FALSE(events_is_so(&events, EVENT_FLOOD, 0));
	CU_ASSERT_TRUE(events_is_so(&events, EVENT_FLOOD, 1));
	memset(events.open, 0, sizeof(events.open));
	events_end(&events);
}

/* What has begun ends with the engine, and says whose it was; what is over does not end again. */
static void
test_the_end_ends_what_is_so(void)
{
	events_begin(&events, path);
	look(1, true);
	look(2, true);
	look(2, false);
	events_end(&events);
	const char *text = text_of(path);
	CU_ASSERT_EQUAL(n_times(text, "\"state\":\"end\""), 2);
	CU_ASSERT_EQUAL(n_times(text, "\"begin\":1,"), 1);
	CU_ASSERT_EQUAL(n_times(text, "\"service\":\"web\""), 4);
	CU_ASSERT_EQUAL(n_times(text, "\"why\":\"the engine ends\""), 1);
}

/* A reload opens the file anew, and one that cannot be opened changes nothing. */
static void
test_a_reload_opens_the_file_anew(void)
{
	struct conf_error err;
	struct conf *running = conf_parse(PLAIN, strlen(PLAIN), "t", &err), conf;
	char other[80], missing[80];

	CU_ASSERT_PTR_NOT_NULL_FATAL(running);
	conf = *running;

	snprintf(other, sizeof(other), "%s.1", path);
	snprintf(missing, sizeof(missing), "%s/none/there", folder);
	events_begin(&events, path);
	look(1, true);
	CU_ASSERT_EQUAL(rename(path, other), 0);
	look(1, false);
	CU_ASSERT_EQUAL(n_times(text_of(other), "\n"), 2);
	conf.events = (struct events_conf){ .file = path, .hook_per_minute = 1 };
	CU_ASSERT_EQUAL(events_configure(&events, &conf, &err), 0);
	look(1, true);
	CU_ASSERT_EQUAL(n_times(text_of(path), "\n"), 1);
	/* The same with a reload that is refused. */
	CU_ASSERT_EQUAL(rename(path, other), 0);
	events_reopen(&events, &conf);
	look(1, false);
	CU_ASSERT_EQUAL(n_times(text_of(path), "\n"), 1);

	conf.events.file = missing;
	CU_ASSERT_EQUAL(events_configure(&events, &conf, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": events.file: found \""));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "No such file or directory; expected a file"));
	events_reopen(&events, &conf);
	look(1, true);
	CU_ASSERT_EQUAL(n_times(text_of(path), "\n"), 2);
	conf.events.file = NULL;
	CU_ASSERT_EQUAL(events_configure(&events, &conf, &err), 0);
	look(1, false);
	CU_ASSERT_EQUAL(n_times(text_of(path), "\n"), 2);
	events_end(&events);
	conf_free(running);
	unlink(other);
}

static void
test_the_ring_keeps_the_last(void)
{
	struct event_record records[EVENT_RING_SIZE];

	events_begin(&events, path);
	/* Numbers begin anew with this process's next engine, which there is none of. */
	for (unsigned int i = 0; i < EVENT_RING_SIZE + 10; i++)
		look(1, i % 2 == 0);
	CU_ASSERT_EQUAL(event_ring_read(0, records, EVENT_RING_SIZE), EVENT_RING_SIZE);
	CU_ASSERT_EQUAL(records[0].number, 11);
	CU_ASSERT_EQUAL(records[EVENT_RING_SIZE - 1].number, EVENT_RING_SIZE + 10);
	CU_ASSERT_STRING_EQUAL(records[0].event, "flood");
	CU_ASSERT_STRING_EQUAL(records[0].state, "begin");
	CU_ASSERT_STRING_EQUAL(records[1].state, "end");
	CU_ASSERT_STRING_EQUAL(records[1].subject, "web");
	CU_ASSERT_STRING_EQUAL(records[1].text, "now 0");
	CU_ASSERT_EQUAL(event_ring_read(EVENT_RING_SIZE + 8, records, EVENT_RING_SIZE), 3);
	CU_ASSERT_EQUAL(event_ring_read(20, records, 5), 5);
	CU_ASSERT_EQUAL(records[4].number, 24);
	CU_ASSERT_EQUAL(event_ring_read(EVENT_RING_SIZE + 11, records, 5), 0);
	events_end(&events);
}

/* Standard error is a file of ours, which is or is not the journal's. */
static void
say(bool is_journal, const char *text)
{
	int stderr_was = dup(STDERR_FILENO), fd = open(said_path, O_CREAT | O_TRUNC | O_RDWR, 0600);
	char stream[64], address[80];
	struct stat status;

	fstat(fd, &status);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
	         (unsigned long long)status.st_ino + !is_journal);
	setenv("JOURNAL_STREAM", stream, 1);
	snprintf(address, sizeof(address), "%s/journal", folder);
	dup2(fd, STDERR_FILENO);
	journal_open(address);
	log_fields(CONF_LOG_WARNING, text, "SYNFRONT_EVENT=flood\n", 21);
	log_fields(CONF_LOG_DEBUG, "too much", "", 0);
	unsetenv("JOURNAL_STREAM");
	journal_open(address);
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	close(fd);
}

static void
test_the_journal_has_fields_in_place_of_a_line(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char heard[256];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/journal", folder);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	say(true, "two\nlines");
	ssize_t n = recv(fd, heard, sizeof(heard) - 1, MSG_DONTWAIT);
	heard[n > 0 ? n : 0] = '\0';
	CU_ASSERT_STRING_EQUAL(heard, "MESSAGE=two lines\nPRIORITY=4\nSYSLOG_IDENTIFIER=synfront\n"
	                              "SYNFRONT_EVENT=flood\n");
	CU_ASSERT_EQUAL(recv(fd, heard, sizeof(heard), MSG_DONTWAIT), -1);
	CU_ASSERT_STRING_EQUAL(text_of(said_path), "");
	/* Elsewhere a line, and where the journal does not take it. */
	say(false, "a line");
	CU_ASSERT_EQUAL(recv(fd, heard, sizeof(heard), MSG_DONTWAIT), -1);
	CU_ASSERT_STRING_EQUAL(text_of(said_path), "synfront: warning: a line\n");
	close(fd);
	say(true, "nobody there");
	CU_ASSERT_STRING_EQUAL(text_of(said_path), "synfront: warning: nobody there\n");
	unlink(address.sun_path);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		CHECK_TEST(test_each_edge_is_told_once),
		CHECK_TEST(test_kinds_and_ids_are_apart),
		CHECK_TEST(test_the_end_ends_what_is_so),
		CHECK_TEST(test_a_reload_opens_the_file_anew),
		CHECK_TEST(test_the_ring_keeps_the_last),
		CHECK_TEST(test_the_journal_has_fields_in_place_of_a_line),
		CU_TEST_INFO_NULL,
	};

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/events", folder);
	snprintf(said_path, sizeof(said_path), "%s/said", folder);
	int rc = check_run("events", tests);
	unlink(path);
	unlink(said_path);
	rmdir(folder);
	return rc;
}
