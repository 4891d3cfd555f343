/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of lists: what they say, and where they are wrong. */
#include "check.h"
#include "list_line.h"
#include "prefix_text.h"

static void
plain_is(const char *text, const char *prefix)
{
	struct list_line line;
	char written[CONF_PREFIX_SIZE];

	CU_ASSERT_EQUAL_FATAL(list_line_plain(text, &line), LIST_LINE_ENTRY);
	conf_format_prefix(&line.prefix, written);
	CU_ASSERT_STRING_EQUAL(written, prefix);
}

static void
test_plain_lines(void)
{
	struct list_line line;

	plain_is("192.0.2.1\n", "192.0.2.1");
	plain_is("192.0.2.0/24 ; SBL1\r\n", "192.0.2.0/24");
	plain_is("  192.0.2.0/24# x", "192.0.2.0/24");
	plain_is("2001:db8::/32\tany words", "2001:db8::/32");
	plain_is("192.0.2.1/32", "192.0.2.1");
	CU_ASSERT_EQUAL(list_line_plain("", &line), LIST_LINE_BLANK);
	CU_ASSERT_EQUAL(list_line_plain(" \n", &line), LIST_LINE_BLANK);
	CU_ASSERT_EQUAL(list_line_plain("  # 1.2.3.4", &line), LIST_LINE_BLANK);
	CU_ASSERT_EQUAL(list_line_plain("; 1.2.3.4", &line), LIST_LINE_BLANK);
}

static void
plain_is_wrong(const char *text, uint32_t column, const char *word)
{
	struct list_line line;

	CU_ASSERT_EQUAL_FATAL(list_line_plain(text, &line), LIST_LINE_WRONG);
	CU_ASSERT_EQUAL(line.column, column);
	CU_ASSERT_PTR_NOT_NULL(strstr(line.problem, word));
}

static void
test_plain_lines_that_are_wrong(void)
{
	char longest[LIST_LINE_SIZE];

	plain_is_wrong("1.2.3", 1, "expected an address or a prefix");
	plain_is_wrong("  1.2.3.4/24", 3, "1.2.3.0/24"); /* host bits: says which prefix is meant */
	plain_is_wrong("2001:db8::1/64", 1, "2001:db8::/64");
	plain_is_wrong("1.2.3.4/33", 1, "\"1.2.3.4/33\"");
	plain_is_wrong("1.2.3.4/-1", 1, "1.2.3.4/-1");
	plain_is_wrong("1.2.3.4/", 1, "expected");
	plain_is_wrong("::/0", 1, "2000::/3");
	plain_is_wrong("::ffff:1.2.3.4", 1, "IPv4");
	plain_is_wrong("example.net", 1, "example.net");
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	plain_is_wrong(longest, 1, "expected");
}

static void
test_kept_lines_come_back_as_they_were_written(void)
{
	static const char *const texts[] = {
		"deny 203.0.113.0/24\n",
		"allow 2001:db8::/48 service=web\n",
		"deny 1.2.3.4 service=a-b.c until=2026-11-26T21:00:00Z why=has service=x, and = "
		"too\n",
		"deny 0.0.0.0/0 until=2099-01-01T00:00:00Z\n",
		"deny 1.2.3.4 why=~\n",
	};

	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct list_line line;
		char *written = NULL;
		size_t size;
		CU_ASSERT_EQUAL_FATAL(list_line_kept(texts[i], &line), LIST_LINE_ENTRY);
		FILE *out = open_memstream(&written, &size);
		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		list_line_write(out, &line);
		fclose(out);
		CU_ASSERT_STRING_EQUAL(written, texts[i]);
		free(written);
	}
	struct list_line line;
	CU_ASSERT_EQUAL(list_line_kept("# deny 1.2.3.4\n", &line), LIST_LINE_BLANK);
	CU_ASSERT_EQUAL(list_line_kept("deny 1.2.3.4 until=1970-01-02T00:00:00Z", &line),
	                LIST_LINE_ENTRY);
	CU_ASSERT_EQUAL(line.until_s, 86400);
}

static void
kept_is_wrong(const char *text, uint32_t column, const char *word)
{
	struct list_line line;

	CU_ASSERT_EQUAL_FATAL(list_line_kept(text, &line), LIST_LINE_WRONG);
	CU_ASSERT_EQUAL(line.column, column);
	CU_ASSERT_PTR_NOT_NULL(strstr(line.problem, word));
}

static void
test_kept_lines_that_are_wrong(void)
{
	char text[256];

	kept_is_wrong("1.2.3.4", 1, "deny or allow");
	kept_is_wrong("deny", 5, "expected an address");
	kept_is_wrong("deny 1.2.3.4/8", 6, "1.0.0.0/8");
	kept_is_wrong("deny 1.2.3.4 service=", 14, "name of a service");
	kept_is_wrong("deny 1.2.3.4 service=0123456789012345678901234567890123", 14, "service");
	kept_is_wrong("deny 1.2.3.4 until=tomorrow", 14, "until=2026");
	kept_is_wrong("deny 1.2.3.4 until=1960-01-01T00:00:00Z", 14, "until=2026");
	kept_is_wrong("deny 1.2.3.4 service=web since=x", 26, "why=TEXT");
	kept_is_wrong("deny 1.2.3.4 why=a\tb", 14, "printable");
	kept_is_wrong("deny 1.2.3.4 why= a", 14, "blank");
	snprintf(text, sizeof(text), "deny 1.2.3.4 why=%081d", 1);
	kept_is_wrong(text, 14, "80");
	snprintf(text, sizeof(text), "deny 1.2.3.4 why=%080d", 1);
	struct list_line line;
	CU_ASSERT_EQUAL(list_line_kept(text, &line), LIST_LINE_ENTRY);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_plain_lines),
		CHECK_TEST(test_plain_lines_that_are_wrong),
		CHECK_TEST(test_kept_lines_come_back_as_they_were_written),
		CHECK_TEST(test_kept_lines_that_are_wrong),
		CU_TEST_INFO_NULL,
	};

	return check_run("list line", tests);
}
