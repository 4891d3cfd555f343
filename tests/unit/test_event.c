/* SPDX-License-Identifier: BSD-3-Clause */
/* An event as JSON and as fields of the journal. */
#include "check.h"
#include "event.h"

static struct event
flood(void)
{
	struct event e = { .kind = EVENT_FLOOD,
		           .state = EVENT_BEGIN,
		           .number = 7,
		           .wall_ms = UINT64_C(1764186077250),
		           .subject = "web",
		           .text = "service web: enters cookie mode" };

	event_u64(&e, "syn_per_s", 18000);
	return e;
}

static const char *
json_of(const struct event *e, uint64_t held_back)
{
	static char json[EVENT_JSON_SIZE];
	size_t size = event_json(e, "edge", held_back, json);

	CU_ASSERT_EQUAL(size, strlen(json));
	return json;
}

static void
test_a_beginning_is_one_line(void)
{
	struct event e = flood();

	CU_ASSERT_STRING_EQUAL(
		json_of(&e, 0),
		"{\"time\":\"2025-11-26T19:41:17.250Z\",\"number\":7,\"instance\":\"edge\","
		"\"event\":\"flood\",\"state\":\"begin\",\"service\":\"web\",\"syn_per_s\":18000,"
		"\"text\":\"service web: enters cookie mode\"}\n");
}

static void
test_an_end_names_its_beginning(void)
{
	struct event e = flood();

	e.state = EVENT_END;
	e.begin = 5;
	e.lasted_ms = 61349;
	const char *json = json_of(&e, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"state\":\"end\",\"service\":\"web\",\"begin\":5,"
	                                    "\"seconds\":61.3,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"held_back\":3,\"text\":"));
}

static void
test_prefixes_are_there_if_they_are_known(void)
{
	struct event e = flood();

	CU_ASSERT_PTR_NULL(strstr(json_of(&e, 0), "prefixes"));
	e.n_prefixes = 2;
	e.prefixes[0] = (struct event_prefix){ "192.0.2.0/24", 61.25 };
	e.prefixes[1] = (struct event_prefix){ "2001:db8::/48", 1 };
	CU_ASSERT_PTR_NOT_NULL(strstr(
		json_of(&e, 0), ",\"prefixes\":[{\"prefix\":\"192.0.2.0/24\",\"percent\":61.2},"
				"{\"prefix\":\"2001:db8::/48\",\"percent\":1.0}],"));
}

static void
test_a_number_is_no_string(void)
{
	struct event e = { .kind = EVENT_WORKER_STALLED, .state = EVENT_BEGIN, .subject = "3" };

	CU_ASSERT_PTR_NOT_NULL(strstr(json_of(&e, 0), "\"worker\":3,"));
	e = (struct event){ .kind = EVENT_RELOAD, .state = EVENT_ONCE };
	CU_ASSERT_PTR_NOT_NULL(
		strstr(json_of(&e, 0), "\"event\":\"reload\",\"state\":\"once\",\"text\":\"\"}\n"));
}

/* What a text is made of, and what JSON makes of it. */
static const struct {
	const char *text, *json;
} escapes[] = {
	{ "a\"b\\c", "a\\\"b\\\\c" },
	{ "tab\tend\nnull\x01\x1f", "tab\\u0009end\\u000anull\\u0001\\u001f" },
	{ "\x7f", "\x7f" },
	{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
	  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
	/* No UTF-8: alone, cut short, too long, a surrogate, beyond the last. */
	{ "\x80z", "\\ufffdz" },
	{ "\xe2\x82", "\\ufffd\\ufffd" },
	{ "\xc0\xaf", "\\ufffd\\ufffd" },
	{ "\xc1\x81", "\\ufffd\\ufffd" },
	{ "\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd" },
	{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },
	{ "\xf0\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xff", "\\ufffd" },
};

static void
test_texts_are_escaped(void)
{
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		struct event e = flood();
		char want[128];
		snprintf(e.text, sizeof(e.text), "%s", escapes[i].text);
		snprintf(want, sizeof(want), "\"text\":\"%s\"}\n", escapes[i].json);
		if (strstr(json_of(&e, 0), want) == NULL)
			printf("\n  got: %s  want: %s", json_of(&e, 0), want);
		CU_ASSERT_PTR_NOT_NULL(strstr(json_of(&e, 0), want));
	}
}

/* All that an event can hold, of bytes that take the most room. */
static void
test_the_largest_event_fits(void)
{
	struct event e = { .kind = EVENT_FLOOD, .state = EVENT_END, .number = UINT64_MAX };
	char value[2 * EVENT_VALUE_SIZE];

	memset(value, 1, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	memset(e.text, 1, sizeof(e.text) - 1);
	memset(e.subject, 1, sizeof(e.subject) - 1);
	for (unsigned int i = 0; i < EVENT_FIELDS_MAX + 2; i++)
		event_text(&e, "a_rather_long_name", value);
	CU_ASSERT_EQUAL(e.n_fields, EVENT_FIELDS_MAX);
	e.n_prefixes = EVENT_PREFIXES_MAX;
	for (unsigned int i = 0; i < EVENT_PREFIXES_MAX; i++)
		memset(e.prefixes[i].text, 1, EVENT_PREFIX_SIZE - 1);
	const char *json = json_of(&e, UINT64_MAX);
	CU_ASSERT_STRING_EQUAL(json + strlen(json) - 9, "\\u0001\"}\n");
	char fields[EVENT_FIELDS_SIZE];
	size_t size = event_journal(&e, fields);
	CU_ASSERT(size < EVENT_FIELDS_SIZE - 1);
	CU_ASSERT_EQUAL(fields[size - 1], '\n');
}

static void
test_fields_of_the_journal(void)
{
	struct event e = flood();
	char fields[EVENT_FIELDS_SIZE];

	event_text(&e, "counter", "two\nlines");
	size_t size = event_journal(&e, fields);
	CU_ASSERT_EQUAL(size, strlen(fields));
	CU_ASSERT_STRING_EQUAL(fields, "SYNFRONT_EVENT=flood\nSYNFRONT_STATE=begin\n"
	                               "SYNFRONT_NUMBER=7\nSYNFRONT_SERVICE=web\n"
	                               "SYNFRONT_SYN_PER_S=18000\nSYNFRONT_COUNTER=two lines\n");
}

int
main(void)
{
	static CU_TestInfo tests[] = {
		CHECK_TEST(test_a_beginning_is_one_line),
		CHECK_TEST(test_an_end_names_its_beginning),
		CHECK_TEST(test_prefixes_are_there_if_they_are_known),
		CHECK_TEST(test_a_number_is_no_string),
		CHECK_TEST(test_texts_are_escaped),
		CHECK_TEST(test_the_largest_event_fits),
		CHECK_TEST(test_fields_of_the_journal),
		CU_TEST_INFO_NULL,
	};

	return check_run("event", tests);
}
