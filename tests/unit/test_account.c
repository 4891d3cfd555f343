/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over counters, their equations, and their JSON. */
#include <stdbool.h>
#include <stdio.h>

#include "account.h"
#include "check.h"

static void
test_account_adds_every_counter(void)
{
	static struct counters sum, a, b;

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		counter_add(&a, (enum counter)i, i + 1);
		counter_add(&b, (enum counter)i, 1000 * (uint64_t)i);
	}
	account_add(&sum, &a);
	account_add(&sum, &b);
	account_add(&sum, &b);
	for (unsigned int i = 0; i < COUNTER_COUNT; i++)
		CU_ASSERT_EQUAL(counter_read(&sum, (enum counter)i), i + 1 + 2000 * (uint64_t)i);
}

/* Which counters stand on the right of each equation, and which is on the left. */
static void
test_account_equations(void)
{
	static const enum counter half_open_ends[] = { COUNTER_half_open_completed,
		                                       COUNTER_half_open_expired,
		                                       COUNTER_half_open_reset,
		                                       COUNTER_half_open_replaced };
	static const enum counter ends[] = { COUNTER_completed, COUNTER_expired, COUNTER_evicted,
		                             COUNTER_reset, COUNTER_drained };
	struct account_equation rows[ACCOUNT_EQUATIONS];

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		struct counters c = { 0 };
		uint64_t want[3] = { counter_infos[i].class != OUTCOME_NOT ? 7 : 0, 3, 4 };

		counter_add(&c, (enum counter)i, 7);
		for (unsigned int k = 0; k < 4; k++)
			want[1] += half_open_ends[k] == i ? 7 : 0;
		for (unsigned int k = 0; k < 5; k++)
			want[2] += ends[k] == i ? 7 : 0;
		account_equations(&c, 11, 3, 4, rows);
		CU_ASSERT_EQUAL(rows[0].left, 11);
		CU_ASSERT_EQUAL(rows[1].left, i == COUNTER_half_open_made ? 7 : 0);
		CU_ASSERT_EQUAL(rows[2].left, i == COUNTER_opened ? 7 : 0);
		for (unsigned int k = 0; k < 3; k++)
			CU_ASSERT_EQUAL(rows[k].right, want[k]);
	}
}

static void
test_account_json(void)
{
	static char text[64 * 1024], want[64 * 1024];
	struct counters c = { 0 };
	size_t n = 0;

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		counter_add(&c, (enum counter)i, i * 3);
		n += (size_t)snprintf(want + n, sizeof(want) - n, "%s> \"%s\": %u",
		                      i == 0 ? "" : ",\n", counter_infos[i].name, i * 3);
	}
	FILE *out = fmemopen(text, sizeof(text), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	account_json(out, &c, "> ");
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, want);
}

/* Behind other members of an object: each begins with the comma. */
static void
test_account_would_json(void)
{
	static char text[64 * 1024], want[64 * 1024];
	struct counters c = { 0 };
	size_t n = 0;

	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		counter_add(&c, (enum counter)i, i * 3 + 1);
		n += (size_t)snprintf(want + n, sizeof(want) - n, ",\n> \"%s\": %u",
		                      counter_infos[i].would, i * 3 + 1);
	}
	FILE *out = fmemopen(text, sizeof(text), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	account_would_json(out, &c, "> ");
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, want);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_account_adds_every_counter),
	CHECK_TEST(test_account_equations),
	CHECK_TEST(test_account_json),
	CHECK_TEST(test_account_would_json),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("account", tests);
}
