/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine's live lists answer, with no plane to show them to. One for the process, so the
 * tests follow one another. */
#include "check.h"
#include "lists.h"
#include "prefix_text.h"

static struct service services[] = { { .name = "web", .id = 0 }, { .name = "mail", .id = 1 } };
static const struct policy policy = { .services = services, .n_services = 2 };

static struct list_wish
wish_of(enum list_kind kind, const char *prefix, const char *service, const char *why)
{
	struct list_wish wish = { .kind = kind, .service = service, .why = why };
	char hint[CONF_PREFIX_HINT_SIZE];

	if (!conf_parse_prefix(prefix, &wish.prefix, hint))
		abort();
	return wish;
}

static bool
count(void *arg, const struct list_view *view)
{
	uint32_t *n = arg;

	(void)view;
	++*n;
	return true;
}

static uint32_t
entries(void)
{
	uint32_t n = 0;

	CU_ASSERT_EQUAL(lists_each(0, UINT32_MAX, count, &n), 0);
	return n;
}

static void
test_nothing_is_changed_before_the_start(void)
{
	struct list_wish wish = wish_of(LIST_DENY, "1.2.3.4", "", "");
	char text[LISTS_TEXT_SIZE];

	CU_ASSERT_TRUE_FATAL(lists_begin(&policy));
	CU_ASSERT_EQUAL(lists_restore(&wish), LIST_DONE);
	CU_ASSERT_EQUAL(lists_add(&wish, text), -1);
	CU_ASSERT_EQUAL(lists_del(&wish, text), -1);
	CU_ASSERT_EQUAL(entries(), 1);
	lists_attach(NULL);
	CU_ASSERT_EQUAL(lists_del(&wish, text), 0);
	CU_ASSERT_EQUAL(entries(), 0);
}

static void
test_answers_say_what_was_done(void)
{
	struct list_wish wish = wish_of(LIST_DENY, "203.0.113.0/24", "web", "x");
	char text[LISTS_TEXT_SIZE];
	uint64_t version = lists_state().version;

	wish.until_s = 60;
	CU_ASSERT_EQUAL(lists_add(&wish, text), 0);
	CU_ASSERT_STRING_EQUAL(text, "deny 203.0.113.0/24: web, for 60 s");
	CU_ASSERT(lists_state().version > version);
	CU_ASSERT_EQUAL(lists_state().n_deny, 1);
	CU_ASSERT_EQUAL(lists_add(&wish, text), 0); /* again: a new end, no other entry */
	CU_ASSERT_EQUAL(lists_state().n_deny, 1);
	wish.kind = LIST_ALLOW;
	CU_ASSERT_EQUAL(lists_del(&wish, text), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "203.0.113.0/24 is not in the allow list of web"));
	wish.service = "ftp";
	CU_ASSERT_EQUAL(lists_add(&wish, text), -1);
	CU_ASSERT_STRING_EQUAL(text, "there is no service \"ftp\"; there is web, mail");
	wish.kind = LIST_DENY;
	wish.service = "web";
	CU_ASSERT_EQUAL(lists_del(&wish, text), 0);
	CU_ASSERT_STRING_EQUAL(text, "deny 203.0.113.0/24: web, no more");
	CU_ASSERT_EQUAL(lists_state().n_deny, 0);
}

static void
load(const struct list_wish *wish, uint32_t first, uint32_t n)
{
	char text[LISTS_TEXT_SIZE];
	uint64_t ticket = 0;

	CU_ASSERT_EQUAL_FATAL(lists_load_begin(wish, &ticket, text), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct prefix p = { ip_addr_v4(__builtin_bswap32(first + i)), 128 };
		CU_ASSERT_EQUAL_FATAL(lists_load_more(ticket, &p, 1, text), 0);
	}
	CU_ASSERT_EQUAL(lists_load_commit(ticket, text), 0);
	CU_ASSERT_EQUAL(lists_load_commit(ticket, text), -1);
}

static void
test_a_load_takes_the_place_of_the_one_before(void)
{
	struct list_wish wish = wish_of(LIST_DENY, "::1", "", "drop.txt");
	struct list_wish own = wish_of(LIST_DENY, "9.9.9.9", "", "");
	char text[LISTS_TEXT_SIZE];

	CU_ASSERT_EQUAL(lists_add(&own, text), 0);
	load(&wish, 1000, 5000);
	CU_ASSERT_EQUAL(lists_state().n_deny, 5001);
	load(&wish, 2000, 100); /* some are in both */
	CU_ASSERT_EQUAL(lists_state().n_deny, 101);
	wish.why = "other.txt";
	load(&wish, 5000, 7);
	CU_ASSERT_EQUAL(lists_state().n_deny, 108);
	load(&wish, 0, 0);
	wish.why = "drop.txt";
	load(&wish, 0, 0);
	CU_ASSERT_EQUAL(lists_state().n_deny, 1);
	CU_ASSERT_EQUAL(lists_del(&own, text), 0);
}

static void
test_one_load_at_a_time(void)
{
	struct list_wish wish = wish_of(LIST_DENY, "::1", "", "a");
	char text[LISTS_TEXT_SIZE];
	uint64_t ticket, other;

	CU_ASSERT_EQUAL_FATAL(lists_load_begin(&wish, &ticket, text), 0);
	CU_ASSERT_EQUAL(lists_load_begin(&wish, &other, text), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "another load"));
	CU_ASSERT_EQUAL(lists_load_more(ticket + 1, &wish.prefix, 1, text), -1);
	CU_ASSERT_EQUAL(lists_load_more(0, &wish.prefix, 1, text), -1);
	CU_ASSERT_EQUAL(lists_state().n_deny, 0);
	CU_ASSERT_EQUAL(lists_load_commit(ticket, text), 0);
	wish.service = "ftp";
	CU_ASSERT_EQUAL(lists_load_begin(&wish, &ticket, text), -1);
}

static void
test_a_reload_keeps_them(void)
{
	struct service left = { .name = "mail", .id = 1 };
	struct policy fresh = { .services = &left, .n_services = 1 };
	struct list_wish wish = wish_of(LIST_DENY, "1.2.3.4", "web", "");
	char text[LISTS_TEXT_SIZE];

	CU_ASSERT_EQUAL(lists_add(&wish, text), 0);
	lists_before_policy(&fresh);
	lists_after_policy(&fresh);
	CU_ASSERT_EQUAL(entries(), 1);
	CU_ASSERT_EQUAL(lists_add(&wish, text), -1); /* there is no such service now */
	lists_before_policy(&policy);
	lists_after_policy(&policy);
	CU_ASSERT_EQUAL(lists_del(&wish, text), 0);
}

static void
test_an_end_is_kept(void)
{
	struct list_wish wish = wish_of(LIST_ALLOW, "1.2.3.4", "", "");
	char text[LISTS_TEXT_SIZE];
	const struct timespec pause = { .tv_sec = 1, .tv_nsec = 100000000 };

	wish.until_s = 1;
	CU_ASSERT_EQUAL(lists_add(&wish, text), 0);
	CU_ASSERT_EQUAL(lists_state().n_allow, 1);
	nanosleep(&pause, NULL);
	lists_step();
	CU_ASSERT_EQUAL(lists_state().n_allow, 0);
	lists_detach();
	CU_ASSERT_EQUAL(lists_add(&wish, text), -1);
	lists_end();
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_nothing_is_changed_before_the_start),
		CHECK_TEST(test_answers_say_what_was_done),
		CHECK_TEST(test_a_load_takes_the_place_of_the_one_before),
		CHECK_TEST(test_one_load_at_a_time),
		CHECK_TEST(test_a_reload_keeps_them),
		CHECK_TEST(test_an_end_is_kept),
		CU_TEST_INFO_NULL,
	};

	return check_run("lists", tests);
}
