/* SPDX-License-Identifier: BSD-3-Clause */
/* Which services take over connections after a reload. */
#include <stdio.h>

#include "check.h"
#include "conf.h"

#define LIST "ports: {outside: {device: net_null0}, inside: {device: net_null1}}\nservices:\n"
#define LINE(name, addresses, ports, mode) \
	"- {name: " name ", addresses: " addresses ", ports: " ports ", mode: " mode "}\n"
#define RUNNING LINE("a", "[192.0.2.1, 192.0.2.9]", "[1, 9]", "proxy")

static struct conf *
parse(const char *services)
{
	struct conf_error err;
	char text[1024];

	snprintf(text, sizeof(text), LIST "%s", services);
	struct conf *conf = conf_parse(text, strlen(text), "t", &err);
	if (conf == NULL)
		printf("\n  %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

/* Does the first service of this line adopt, when the running ones are those? */
static bool
adopts(const char *running_line, const char *line)
{
	struct conf_ids ids = { { 0 } };
	struct conf_error err;
	struct conf *running = parse(running_line), *fresh = parse(line);

	conf_mark_ids(&ids, &running->policy);
	CU_ASSERT_FALSE(fresh->policy.services[0].adopts);
	CU_ASSERT_EQUAL(conf_adopt_ids(&running->policy, fresh, &ids, &err), 0);
	bool does = fresh->policy.services[0].adopts;
	conf_free(running);
	conf_free(fresh);
	return does;
}

/* It is put before connections that crossed: added, moved, widened, or of a mode that kept
 * nothing. */
static void
test_who_is_put_before_connections_adopts(void)
{
	static const char *const lines[] = {
		LINE("b", "[192.0.2.1, 192.0.2.9]", "[1, 9]", "proxy"),
		LINE("a", "[192.0.2.2, 192.0.2.9]", "[1, 9]", "proxy"),
		LINE("a", "[192.0.2.1, 192.0.2.8/31]", "[1, 9]", "proxy"),
		LINE("a", "[192.0.2.1, 192.0.2.9/32, 192.0.2.3]", "[1, 9]", "proxy"),
		LINE("a", "[192.0.2.1, 192.0.2.9]", "[1, 9-10]", "proxy"),
		LINE("a", "[192.0.2.1, 192.0.2.9]", "[1, 8-9]", "proxy"),
		LINE("a", "[192.0.2.1, 192.0.2.9]", "[1, 9, 20]", "proxy"),
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		CU_ASSERT_TRUE(adopts(RUNNING, lines[i]));
	CU_ASSERT_TRUE(adopts(LINE("a", "192.0.2.1", "1", "bypass"),
	                      LINE("a", "192.0.2.1", "1", "proxy")));
	CU_ASSERT_TRUE(adopts(LINE("a", "192.0.2.1", "1", "handoff"),
	                      LINE("a", "192.0.2.1", "1", "proxy")));
}

static void
test_who_is_not_does_not(void)
{
	CU_ASSERT_FALSE(adopts(RUNNING, RUNNING));
	CU_ASSERT_FALSE(adopts(RUNNING, LINE("a", "192.0.2.1", "1", "bypass")));
	CU_ASSERT_FALSE(adopts(RUNNING, LINE("b", "192.0.2.1", "1", "handoff")));
	CU_ASSERT_FALSE(adopts(LINE("a", "192.0.2.1", "1", "proxy, observe: true"),
	                       LINE("a", "192.0.2.1", "1", "proxy")));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_who_is_put_before_connections_adopts),
		CHECK_TEST(test_who_is_not_does_not),
		CU_TEST_INFO_NULL,
	};

	return check_run("conf_reload", tests);
}
