/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters as rates, rows that come and go, and their order. */
#include <stdbool.h>

#include "check.h"
#include "top_rates.h"

static const struct top_figure figures[] = {
	{ "name", TOP_VALUE },
	{ "open", TOP_VALUE },
	{ "syn", TOP_RATE },
	{ "cpu", TOP_SHARE },
};

static json_t *
row(const char *name, json_int_t open, json_int_t syn, json_int_t cpu)
{
	return json_pack("{s:s, s:I, s:I, s:I}", "name", name, "open", open, "syn", syn, "cpu",
	                 cpu);
}

/* Gives both up. */
static json_t *
rates(json_t *now, json_t *before, double seconds)
{
	json_t *rows = top_rates(now, before, "name", figures, 4, seconds);

	json_decref(now);
	json_decref(before);
	return rows;
}

static json_int_t
number(const json_t *rows, size_t i, const char *key)
{
	const json_t *value = json_object_get(json_array_get(rows, i), key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static const char *
name(const json_t *rows, size_t i)
{
	return json_string_value(json_object_get(json_array_get(rows, i), "name"));
}

static bool
is_null(const json_t *rows, size_t i, const char *key)
{
	return json_is_null(json_object_get(json_array_get(rows, i), key));
}

static void
test_rates_are_per_second_of_the_same_row(void)
{
	/* The rows have changed places, as a reload may have it. */
	json_t *rows = rates(
		json_pack("[o, o]", row("a", 7, 1500, 3000000000),
	                  row("b", 8, 1000001, 4400000000)),
		json_pack("[o, o]", row("b", 9, 1000000, 4000000000), row("a", 1, 500, 2000000000)),
		2);

	CU_ASSERT_EQUAL(json_array_size(rows), 2);
	CU_ASSERT_STRING_EQUAL(name(rows, 0), "a");
	CU_ASSERT_EQUAL(number(rows, 0, "open"), 7);
	CU_ASSERT_EQUAL(number(rows, 0, "syn"), 500);
	CU_ASSERT_EQUAL(number(rows, 0, "cpu"), 50);
	CU_ASSERT_EQUAL(number(rows, 1, "open"), 8);
	CU_ASSERT_EQUAL(number(rows, 1, "syn"), 1);
	CU_ASSERT_EQUAL(number(rows, 1, "cpu"), 20);
	json_decref(rows);
}

/* A thread's clock and ours are not read in the same moment. */
static void
test_a_share_is_no_more_than_all(void)
{
	json_t *rows = rates(json_pack("[o]", row("a", 0, 0, 1009000000)),
	                     json_pack("[o]", row("a", 0, 0, 0)), 1);

	CU_ASSERT_EQUAL(number(rows, 0, "cpu"), 100);
	json_decref(rows);
}

static void
test_what_is_not_known_is_null(void)
{
	json_t *now = json_pack("[o, o, o]", row("new", 1, 5, 5), row("again", 2, 3, 100),
	                        row("unknown", 3, 10, 10));
	json_object_set_new(json_array_get(now, 2), "syn", json_null());
	json_t *rows = rates(now,
	                     json_pack("[o, o, o]", row("gone", 1, 1, 1), row("again", 9, 4, 0),
	                               row("unknown", 9, 4, 0)),
	                     1);

	CU_ASSERT_EQUAL(json_array_size(rows), 3);
	CU_ASSERT(is_null(rows, 0, "syn") && is_null(rows, 0, "cpu"));
	CU_ASSERT(is_null(rows, 1, "syn") && is_null(rows, 2, "syn"));
	CU_ASSERT_EQUAL(number(rows, 1, "cpu"), 0);
	CU_ASSERT_EQUAL(number(rows, 2, "open"), 3);
	json_decref(rows);
	/* The first look, and two in the same moment. */
	rows = rates(json_pack("[o]", row("a", 4, 5, 6)), NULL, 1);
	CU_ASSERT(is_null(rows, 0, "syn") && number(rows, 0, "open") == 4);
	json_decref(rows);
	rows = rates(json_pack("[o]", row("a", 4, 5, 6)), json_pack("[o]", row("a", 4, 5, 6)), 0);
	CU_ASSERT(is_null(rows, 0, "syn"));
	json_decref(rows);
}

static void
test_order(void)
{
	json_t *rows = json_pack("[o, o, o, o]", row("c", 5, 1, 0), row("a", 9, 1, 0),
	                         row("d", 7, 2, 0), row("b", 5, 1, 0));

	json_object_set_new(json_array_get(rows, 0), "syn", json_null());
	top_sort(rows, "open");
	CU_ASSERT_STRING_EQUAL(name(rows, 0), "a");
	CU_ASSERT_STRING_EQUAL(name(rows, 1), "d");
	CU_ASSERT_STRING_EQUAL(name(rows, 2), "c");
	CU_ASSERT_STRING_EQUAL(name(rows, 3), "b");
	top_sort(rows, "syn");
	CU_ASSERT_STRING_EQUAL(name(rows, 0), "d");
	CU_ASSERT_STRING_EQUAL(name(rows, 1), "a");
	CU_ASSERT_STRING_EQUAL(name(rows, 2), "b");
	CU_ASSERT_STRING_EQUAL(name(rows, 3), "c");
	top_sort(rows, "name");
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(name(rows, i)[0], (char)('a' + (int)i));
	json_decref(rows);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_rates_are_per_second_of_the_same_row),
		CHECK_TEST(test_a_share_is_no_more_than_all),
		CHECK_TEST(test_what_is_not_known_is_null),
		CHECK_TEST(test_order),
		CU_TEST_INFO_NULL,
	};

	return check_run("top_rates", tests);
}
