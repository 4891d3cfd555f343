/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of connections against an array. */
#include "conn_table.h"
#include "trial.h"

#define CAPACITY 500u

static bool
all_bytes(const void *memory, size_t size, uint8_t value)
{
	const uint8_t *bytes = memory;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void
test_table_random_takes_agree_with_model(void)
{
	struct trial trial = trial_start(41);
	struct conn_table table;
	void *memory = trial_memory(conn_table_size(CAPACITY));
	uint32_t stamp[CAPACITY] = { 0 }; /* 0: free */
	uint32_t used = 0;

	conn_table_init(&table, memory, CAPACITY);
	for (; trial.step < 100000; trial.step++) {
		/* Long swings between empty and full. */
		bool give = trial_pick(&trial, 8) < (trial.step / 5000 % 2 ? 5u : 3u);
		if (!give) {
			uint32_t number = conn_table_take(&table);
			TRIAL_CHECK(&trial, (number == FLOW_NONE) == (used == CAPACITY));
			if (number == FLOW_NONE)
				continue;
			TRIAL_CHECK(&trial, number < CAPACITY && stamp[number] == 0);
			stamp[number] = trial.step + 1;
			table.conns[number].irs = stamp[number];
			table.conns[number].state = CONN_SPLICED;
			table.sides[number].service = stamp[number] & 0xfff;
			used++;
		} else {
			uint32_t number = trial_pick(&trial, CAPACITY);
			if (stamp[number] == 0)
				continue;
			TRIAL_CHECK(&trial, table.conns[number].irs == stamp[number]);
			TRIAL_CHECK(&trial, table.sides[number].service == (stamp[number] & 0xfff));
			conn_table_give(&table, number);
			TRIAL_CHECK(&trial, table.conns[number].state == CONN_FREE);
			stamp[number] = 0;
			used--;
		}
		TRIAL_CHECK(&trial, table.used == used);
	}
	free(memory);
}

static void
test_table_never_used_entries_stay_untouched(void)
{
	struct trial trial = trial_start(42);
	struct conn_table table;
	void *memory = trial_memory(conn_table_size(CAPACITY));

	conn_table_init(&table, memory, CAPACITY);
	for (unsigned int i = 0; i < 300; i++)
		conn_table_give(&table, conn_table_take(&table));
	TRIAL_CHECK(&trial, table.fresh == 1);
	for (unsigned int i = 0; i < 100; i++)
		conn_table_take(&table);
	TRIAL_CHECK(&trial, table.fresh == 100);
	TRIAL_CHECK(&trial, all_bytes(&table.conns[100], 400 * sizeof(struct conn), 0xa5));
	TRIAL_CHECK(&trial, all_bytes(&table.sides[100], 400 * sizeof(struct conn_side), 0xa5));
	free(memory);
}

static void
test_table_sixteen_million_and_index_fit_memory(void)
{
	size_t size = conn_table_size(16u << 20) + flow_index_size(16u << 20);

	CU_ASSERT_TRUE(size <= (size_t)1536 << 20);
}

static void
test_conn_fields_hold_their_largest_values(void)
{
	struct conn conn;

	memset(&conn, 0, sizeof(conn));
	conn.client_lag = CONN_LAG_MAX;
	conn.path = 0x3fff;
	conn.server_wscale = 15;
	conn.flags = 0x3ff;
	CU_ASSERT_EQUAL(conn.client_lag, CONN_LAG_MAX);
	CU_ASSERT_EQUAL(conn.server_lag, 0);
	CU_ASSERT_EQUAL(conn.path, 0x3fff);
	CU_ASSERT_EQUAL(conn.client_wscale, 0);
	CU_ASSERT_EQUAL(conn.server_wscale, 15);
	CU_ASSERT_EQUAL(conn.state, CONN_FREE);
	CU_ASSERT_EQUAL(conn.flags, 0x3ff);
	conn.state = CONN_SPENT;
	CU_ASSERT_EQUAL(conn.state, CONN_SPENT);
	conn.flags = CONN_RESET;
	CU_ASSERT_EQUAL(conn.flags, CONN_RESET);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_table_random_takes_agree_with_model),
		CHECK_TEST(test_table_never_used_entries_stay_untouched),
		CHECK_TEST(test_table_sixteen_million_and_index_fit_memory),
		CHECK_TEST(test_conn_fields_hold_their_largest_values),
		CU_TEST_INFO_NULL,
	};
	return check_run("conn_table", tests);
}
