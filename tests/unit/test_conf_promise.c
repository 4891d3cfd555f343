/* SPDX-License-Identifier: BSD-3-Clause */
/* What is promised in servers' name: the least of the configuration and of each file. */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "conf.h"

static char folder[] = "/tmp/synfront-promise-XXXXXX";
static char yaml[2048];

static void
path_of(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", folder, name);
}

static void
write_file(const char *name, const char *text)
{
	char path[64];

	path_of(path, name);
	FILE *f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* A service of mode handoff with these keys of its promise; `names` are files, one or two. */
static struct conf *
parse(const char *keys, const char *names, struct conf_error *err)
{
	int n = snprintf(yaml, sizeof(yaml),
	                 "ports: {outside: {device: net_null0}, inside: {device: net_null1}}\n"
	                 "services:\n- name: a\n  addresses: 192.0.2.1\n  ports: 80\n"
	                 "  mode: handoff\n  promise:\n%s    files: [",
	                 keys);

	for (const char *at = names; *at != '\0'; at++)
		n += snprintf(yaml + n, sizeof(yaml) - (size_t)n, "%s%s/%c",
		              at == names ? "" : ", ", folder, *at);
	n += snprintf(yaml + n, sizeof(yaml) - (size_t)n, "]\n");
	return conf_parse(yaml, (size_t)n, "t", err);
}

static const struct service_promise *
promise_of(const struct conf *conf)
{
	return &conf->policy.services[0].promise;
}

static void
test_promise_is_the_least_of_configuration_and_files(void)
{
	struct conf_error err;

	write_file("a", "mss: 1400\nwscale: 9\nsack: true\n");
	write_file("b", "mss: 1500\nmss6: 1300\nwscale: 5\nwindow_scaling: true\n"
	                "sack: false\ntimestamps: false\n");
	struct conf *c = parse("    mss: 1420\n", "ab", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(promise_of(c)->mss, 1400);
	CU_ASSERT_EQUAL(promise_of(c)->mss6, 1300);
	CU_ASSERT_EQUAL(promise_of(c)->wscale, 5);
	CU_ASSERT_TRUE(promise_of(c)->window_scaling);
	CU_ASSERT_FALSE(promise_of(c)->sack);
	CU_ASSERT_FALSE(promise_of(c)->timestamps);
	conf_free(c);

	c = parse("    mss: 900\n    window_scaling: false\n", "a", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(promise_of(c)->mss, 900);
	CU_ASSERT_EQUAL(promise_of(c)->mss6, 1440);
	CU_ASSERT_EQUAL(promise_of(c)->wscale, 7);
	CU_ASSERT_FALSE(promise_of(c)->window_scaling);
	CU_ASSERT_TRUE(promise_of(c)->sack && promise_of(c)->timestamps);
	conf_free(c);

	/* An empty one takes nothing away. */
	write_file("a", "");
	c = parse("    mss: 1420\n", "a", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(promise_of(c)->mss, 1420);
	conf_free(c);
}

/* What stands in a file is checked as the configuration is, by the file's own lines. */
static void
check_refused(const char *name, const char *want)
{
	struct conf_error err;
	char text[sizeof(err.text)];
	struct conf *c = parse("", name, &err);

	CU_ASSERT_PTR_NULL(c);
	snprintf(text, sizeof(text), want, folder);
	if (c == NULL && strcmp(err.text, text) != 0)
		printf("\n  got:  %s\n  want: %s\n", err.text, text);
	CU_ASSERT_STRING_EQUAL(c == NULL ? err.text : "", text);
	conf_free(c);
}

static void
test_promise_file_that_is_wrong_is_refused_by_its_place(void)
{
	static char large[5000];

	write_file("c", "mss: 1400\nmss6: 100\n");
	check_refused("c", "%s/c:2:7: mss6: found \"100\"; expected a number from 1220 to "
	                   "65475");
	write_file("c", "files: [x]\n");
	check_refused("c", "%s/c:1:1: files: found an unknown key; expected one of mss, mss6, "
	                   "wscale, window_scaling, sack, timestamps");
	write_file("c", "mss: [1\n");
	check_refused("c", "%s/c:2:1: found bad YAML (while parsing a flow sequence, did not "
	                   "find expected ',' or ']'); expected a YAML mapping");
	write_file("c", "mss: 1400\n---\nmss: 1300\n");
	check_refused("c", "%s/c:3:1: found a second document; expected one");
	memset(large, '#', sizeof(large) - 1);
	write_file("c", large);
	check_refused("c", "t:8:12: services[0].promise.files: found \"%s/c\": 4 KiB or more; "
	                   "expected a file that says what servers grant");
	char fifo[64];
	path_of(fifo, "e");
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	check_refused("e", "t:8:12: services[0].promise.files: found \"%s/e\": no regular file; "
	                   "expected a file that says what servers grant");
	unlink(fifo);
	check_refused("d", "t:8:12: services[0].promise.files: found \"%s/d\": No such file or "
	                   "directory; expected a file that says what servers grant");
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_promise_is_the_least_of_configuration_and_files),
		CHECK_TEST(test_promise_file_that_is_wrong_is_refused_by_its_place),
		CU_TEST_INFO_NULL,
	};
	char path[64];

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	int rc = check_run("conf_promise", tests);
	for (const char *name = "abc"; *name != '\0'; name++) {
		path_of(path, (char[]){ *name, '\0' });
		unlink(path);
	}
	rmdir(folder);
	return rc;
}
