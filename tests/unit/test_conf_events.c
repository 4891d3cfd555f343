/* SPDX-License-Identifier: BSD-3-Clause */
/* `events` of the configuration: what is taken, and where an error says that it is. */
#include "check.h"
#include "conf.h"

#define BASE                                                                   \
	"ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n" \
	"services: [{name: web, addresses: 192.0.2.1, ports: 80, mode: proxy}]\n"

static struct conf *
parse(const char *events, struct conf_error *err)
{
	char text[1024];

	snprintf(text, sizeof(text), BASE "%s", events);
	return conf_parse(text, strlen(text), "t", err);
}

static void
test_nothing_is_told_to_anybody_by_default(void)
{
	struct conf_error err;
	struct conf *conf = parse("", &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_PTR_NULL(conf->events.file);
	CU_ASSERT_PTR_NULL(conf->events.socket);
	CU_ASSERT_EQUAL(conf->events.n_hook, 0);
	CU_ASSERT_EQUAL(conf->events.hook_timeout_s, 10);
	CU_ASSERT_EQUAL(conf->events.hook_per_minute, 60);
	conf_free(conf);
}

static void
test_a_hook_is_a_path_or_a_list(void)
{
	struct conf_error err;
	struct conf *conf = parse("events: {hook: /bin/true}\n", &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_EQUAL(conf->events.n_hook, 1);
	CU_ASSERT_STRING_EQUAL(conf->events.hook[0], "/bin/true");
	conf_free(conf);
	conf = parse("events:\n  hook: [/bin/sh, -c, 'jq . >> \"/a file\"', '']\n", &err);
	CU_ASSERT_PTR_NULL(conf);
	conf = parse("events:\n  hook: [/bin/sh, -c, 'jq . >> \"/a file\"']\n", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_EQUAL(conf->events.n_hook, 3);
	CU_ASSERT_STRING_EQUAL(conf->events.hook[2], "jq . >> \"/a file\"");
	conf_free(conf);
}

static const struct {
	const char *events, *error;
} refused[] = {
	{ "events: {hook: true}\n",
	  "t:3:16: events.hook: found \"true\"; expected the whole path of a program, beginning "
	  "with /" },
	{ "events: {hook: /nonexistent/program}\n",
	  "t:3:16: events.hook: found \"/nonexistent/program\": No such file or directory; "
	  "expected the path of a program" },
	{ "events: {hook: /etc/passwd}\n",
	  "t:3:16: events.hook: found \"/etc/passwd\", which cannot be executed; expected the path "
	  "of a program" },
	{ "events: {hook: /tmp}\n",
	  "t:3:16: events.hook: found \"/tmp\", which cannot be executed; expected the path of a "
	  "program" },
	{ "events:\n  hook: [/bin/sh, \"a\\tb\"]\n",
	  "t:4:19: events.hook[1]: found \"a?b\"; expected the path of a program, or a list of it "
	  "and its arguments, without control characters" },
	{ "events: {file: /nonexistent/events}\n",
	  "t:3:16: events.file: found \"/nonexistent/events\": No such file or directory; expected "
	  "a file in a folder that exists" },
	{ "events: {file: /tmp/}\n",
	  "t:3:16: events.file: found \"/tmp/\"; expected a file in a folder that exists" },
	{ "events: {socket: run/events}\n",
	  "t:3:18: events.socket: found \"run/events\"; expected a path that begins with /, or @ "
	  "and a name" },
	{ "events: {socket: '@'}\n",
	  "t:3:18: events.socket: found \"@\"; expected a path that begins with /, or @ and a "
	  "name" },
};

static void
test_errors_say_where(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct conf_error err = { "" };
		struct conf *conf = parse(refused[i].events, &err);
		CU_ASSERT_PTR_NULL(conf);
		if (strcmp(err.text, refused[i].error) != 0)
			printf("\n  got:  %s\n  want: %s\n", err.text, refused[i].error);
		CU_ASSERT_STRING_EQUAL(err.text, refused[i].error);
		conf_free(conf);
	}
}

/* All of it changes by a reload. */
static void
test_events_are_live(void)
{
	struct conf_error err;
	struct conf *running = parse("", &err);
	struct conf *fresh = parse("events:\n  file: events\n  socket: /run/s\n  hook: /bin/true\n"
	                           "  hook_timeout: 3\n  hook_per_minute: 7\n",
	                           &err);
	uint32_t line, column;

	CU_ASSERT_PTR_NOT_NULL_FATAL(running);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fresh);
	CU_ASSERT_EQUAL(conf_compare(running, fresh, &err), 0);
	CU_ASSERT_EQUAL(conf_compare(fresh, running, &err), 0);
	conf_position(fresh, "events.file", &line, &column);
	CU_ASSERT_EQUAL(line, 4);
	CU_ASSERT_EQUAL(column, 9);
	conf_free(running);
	conf_free(fresh);
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		CHECK_TEST(test_nothing_is_told_to_anybody_by_default),
		CHECK_TEST(test_a_hook_is_a_path_or_a_list),
		CHECK_TEST(test_errors_say_where),
		CHECK_TEST(test_events_are_live),
		CU_TEST_INFO_NULL,
	};

	return check_run("conf_events", tests);
}
