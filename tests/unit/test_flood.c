/* SPDX-License-Identifier: BSD-3-Clause */
/* Floods that come in bursts: one beginning, one end, and what these say; on a clock of its own. */
#include <stdlib.h>
#include <unistd.h>

#include "events_written.h"
#include "flood.h"
#include "stats.h"
#include "talkers_top.h"

#define LOOK_MS 200u

static struct events events;
static struct flood flood;
static struct policy policy;
static struct service_view view;
static const struct plane *const plane = NULL; /* only handed on */
static uint64_t now_ms, talkers_prefix;
static char path[] = "/tmp/synfront-flood-XXXXXX";

/* In the place of the engine's. */
struct service_view
stats_service(const struct plane *p, uint16_t service)
{
	(void)p;
	(void)service;
	return view;
}

/* As they forget: nobody is named once the flood has rested. */
unsigned int
talkers_of_service(const struct plane *p, uint16_t service, struct talker *list, unsigned int max)
{
	(void)p;
	(void)service;
	(void)max;
	if (talkers_prefix == 0)
		return 0;
	list[0] = (struct talker){ .prefix = { ip_addr_v4(__builtin_bswap32(0xc0000200)), 120 },
		                   .share = 0.5 };
	return 1;
}

static void
begin(void)
{
	events_begin(&events, path);
	memset(&view, 0, sizeof(view));
	talkers_prefix = 0;
	now_ms = 1000000;
	flood_begin(&flood, now_ms);
}

static unsigned int
n_told(const char *what)
{
	return n_times(text_of(path), what);
}

/* So many SYNs a second, in cookie mode or out of it. */
static void
pass(uint32_t ms, bool cookie_mode, uint32_t syn_per_s)
{
	for (uint32_t gone = 0; gone < ms; gone += LOOK_MS) {
		now_ms += LOOK_MS;
		view.cookie_mode = cookie_mode;
		view.syn += syn_per_s * LOOK_MS / 1000;
		talkers_prefix = cookie_mode || gone < 5000;
		flood_look(&flood, plane, &policy, &events, now_ms);
	}
}

static void
end(void)
{
	events_end(&events);
	unlink(path);
}

static void
check_bursts(uint32_t burst_ms, uint32_t rest_ms, const char *lasted, const char *syns)
{
	begin();
	pass(2000, false, 10);
	for (unsigned int i = 0; i < 6; i++) {
		pass(burst_ms, true, i == 3 ? 90000 : 50000);
		pass(rest_ms, false, 10);
	}
	CU_ASSERT_EQUAL(n_told("\"state\":\"begin\""), 1);
	CU_ASSERT_EQUAL(n_told("\"state\":\"end\""), 0);
	pass(FLOOD_CALM_MS, false, 10);
	pass(60000, false, 10);
	CU_ASSERT_EQUAL(n_told("\"state\":\"begin\""), 1);
	CU_ASSERT_EQUAL(n_told("\"state\":\"end\""), 1);
	/* The whole of it, and nothing of the calm after it. */
	const char *last = strstr(text_of(path), "\"state\":\"end\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(last);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, lasted));
	CU_ASSERT_PTR_NOT_NULL(strstr(last, syns));
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "\"syn_per_s_max\":90000,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "\"calm_ms\":10000,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "{\"prefix\":\"192.0.2.0/24\",\"percent\":50.0}"));
	end();
}

/* From the first look in the first burst to the last in the last; SYNs since that first look. */
static void
test_bursts_of_a_second_are_one_flood(void)
{
	check_bursts(1000, 1000, "\"seconds\":10.8,", "\"syns\":330050,");
}

static void
test_bursts_of_five_seconds_are_one_flood(void)
{
	check_bursts(5000, 5000, "\"seconds\":54.8,", "\"syns\":1690250,");
}

/* A first look at a flood, of so many SYNs, between two times at which rates are counted. */
static void
begin_between(uint32_t syns)
{
	begin();
	pass(2000, false, 0);
	now_ms += 50;
	view.cookie_mode = true;
	view.syn += syns;
	flood_look(&flood, plane, &policy, &events, now_ms);
}

/* The rate that is told is not of the time before it. */
static void
test_beginning_has_its_rate(void)
{
	begin_between(512);
	CU_ASSERT_EQUAL(n_told("\"state\":\"begin\""), 0);
	now_ms += LOOK_MS - 50;
	view.syn += 1488;
	flood_look(&flood, plane, &policy, &events, now_ms);
	CU_ASSERT_EQUAL(n_told("\"state\":\"begin\""), 1);
	CU_ASSERT_EQUAL(n_told("\"syn_per_s\":10000,"), 1);
	pass(FLOOD_CALM_MS, false, 0);
	CU_ASSERT_EQUAL(n_told("\"seconds\":0.1,"), 1);
	CU_ASSERT_EQUAL(n_told("\"syns\":1488,"), 1);
	end();
}

/* The first look comes when all of a burst has come. */
static void
test_flood_at_the_start_has_its_rate(void)
{
	begin();
	now_ms += 400;
	view.cookie_mode = true;
	view.syn = 20000;
	flood_look(&flood, plane, &policy, &events, now_ms);
	CU_ASSERT_EQUAL(n_told("\"syn_per_s\":50000,"), 1);
	end();
}

/* Cookie mode is over before rates are counted: it is told all the same. */
static void
test_flash_is_told(void)
{
	begin_between(2000);
	now_ms += 50;
	view.cookie_mode = false;
	flood_look(&flood, plane, &policy, &events, now_ms);
	pass(FLOOD_CALM_MS, false, 0);
	CU_ASSERT_EQUAL(n_told("\"state\":\"begin\""), 1);
	CU_ASSERT_EQUAL(n_told("\"state\":\"end\""), 1);
	end();
}

static void
test_floods_apart_are_two(void)
{
	begin();
	for (unsigned int i = 0; i < 2; i++) {
		pass(3000, true, 50000);
		CU_ASSERT_EQUAL(n_told("\"state\":\"begin\""), i + 1);
		pass(FLOOD_CALM_MS - LOOK_MS, false, 10);
		CU_ASSERT_EQUAL(n_told("\"state\":\"end\""), i);
		pass(LOOK_MS, false, 10);
		CU_ASSERT_EQUAL(n_told("\"state\":\"end\""), i + 1);
	}
	CU_ASSERT_EQUAL(n_told("\"seconds\":2.8,"), 2);
	end();
}

/* The service goes in the calm after it: that is the end, and it is told once. */
static void
test_service_that_goes_ends_it(void)
{
	const struct policy none = { 0 };

	begin();
	pass(3000, true, 50000);
	pass(2000, false, 10);
	flood_forget(&policy, &none, &events);
	CU_ASSERT_EQUAL(n_told("\"state\":\"end\""), 1);
	CU_ASSERT_EQUAL(n_told("\"why\":\"the service is gone\""), 1);
	end();
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_bursts_of_a_second_are_one_flood),
		CHECK_TEST(test_bursts_of_five_seconds_are_one_flood),
		CHECK_TEST(test_beginning_has_its_rate),
		CHECK_TEST(test_flood_at_the_start_has_its_rate),
		CHECK_TEST(test_flash_is_told),
		CHECK_TEST(test_floods_apart_are_two),
		CHECK_TEST(test_service_that_goes_ends_it),
		CU_TEST_INFO_NULL,
	};
	static struct service service = { .name = "web", .mode = MODE_PROXY };
	int fd = mkstemp(path);

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	policy = (struct policy){ .services = &service, .n_services = 1 };
	return check_run("flood", tests);
}
