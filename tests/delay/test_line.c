/* SPDX-License-Identifier: BSD-3-Clause */
/* A line's delays, shares, order and rate; and how its settings are written. */
#include "check.h"
#include "line.h"
#include "pool.h"
#include "settings.h"

#define MS 1000000ull
#define N_FRAMES 20000u

/* What came out of a line. */
struct run {
	struct line_counts counts;
	uint64_t out_ns[2 * N_FRAMES];
	uint64_t number[2 * N_FRAMES];
	uint64_t in_ns[N_FRAMES + 1];
	unsigned int n;
};

static void
take_due(struct run *run, struct line *line, struct pool *pool, uint64_t until_ns)
{
	while (line_due(line) <= until_ns) {
		uint64_t due_ns = line_due(line);
		struct frame *frame = line_take(line, due_ns);

		run->out_ns[run->n] = due_ns;
		run->number[run->n++] = frame->number;
		pool_put(pool, frame);
	}
}

/* Send N_FRAMES frames of a length, one each `gap_ns`, through a line. */
static struct run *
run_line(const char *text, uint64_t seed, uint32_t length, uint64_t gap_ns)
{
	struct run *run = calloc(1, sizeof(*run));
	struct pool pool = { .most = (size_t)1 << 30 };
	struct line_settings settings;
	struct line line;
	char error[SETTINGS_ERROR_SIZE];
	uint64_t now_ns = 5 * MS;

	if (!run)
		abort();
	CU_ASSERT_TRUE_FATAL(settings_parse(&settings, text, error));
	line_init(&line, &settings, seed);
	for (unsigned int i = 1; i <= N_FRAMES; i++, now_ns += gap_ns) {
		struct line_copy copies[LINE_COPIES];
		unsigned int n = line_plan(&line, length, now_ns, copies);

		run->in_ns[i] = now_ns;
		for (unsigned int copy = 0; copy < n; copy++)
			CU_ASSERT_TRUE_FATAL(
				line_put(&line, pool_get(&pool, length), &copies[copy]));
		take_due(run, &line, &pool, now_ns);
	}
	take_due(run, &line, &pool, UINT64_MAX - 1);
	run->counts = line.counts;
	CU_ASSERT_EQUAL(run->counts.received, N_FRAMES);
	CU_ASSERT_EQUAL(run->counts.sent, run->n);
	CU_ASSERT_EQUAL(run->counts.sent, N_FRAMES - run->counts.lost + run->counts.duplicated -
	                                          run->counts.queue_dropped);
	line_fini(&line);
	pool_fini(&pool);
	return run;
}

static bool
in_order(const struct run *run)
{
	for (unsigned int i = 1; i < run->n; i++)
		if (run->number[i] < run->number[i - 1])
			return false;
	return true;
}

static void
test_line_plain_forwards_at_once(void)
{
	struct run *run = run_line("wire", 1, 60, 1000);

	for (unsigned int i = 0; i < run->n; i++)
		CU_ASSERT_EQUAL(run->out_ns[i], run->in_ns[run->number[i]]);
	CU_ASSERT_EQUAL(run->n, N_FRAMES);
	CU_ASSERT_TRUE(in_order(run));
	free(run);
}

static void
test_line_delay_is_exact(void)
{
	struct run *run = run_line("delay=50ms", 1, 60, 1000);

	for (unsigned int i = 0; i < run->n; i++)
		CU_ASSERT_EQUAL(run->out_ns[i], run->in_ns[run->number[i]] + 50 * MS);
	CU_ASSERT_EQUAL(run->n, N_FRAMES);
	CU_ASSERT_TRUE(in_order(run));
	free(run);
}

static void
test_line_jitter_keeps_order_and_bounds(void)
{
	/* One frame each 10 ms: none waits for the one before it. */
	struct run *run = run_line("delay=50ms,jitter=2ms", 3, 60, 10 * MS);
	uint64_t least = UINT64_MAX, most = 0, sum = 0;

	for (unsigned int i = 0; i < run->n; i++) {
		uint64_t taken = run->out_ns[i] - run->in_ns[run->number[i]];

		least = taken < least ? taken : least;
		most = taken > most ? taken : most;
		sum += taken;
	}
	CU_ASSERT_TRUE(least >= 48 * MS && least < 48 * MS + MS / 50);
	CU_ASSERT_TRUE(most <= 52 * MS && most > 52 * MS - MS / 50);
	CU_ASSERT_TRUE(sum / run->n > 50 * MS - MS / 25 && sum / run->n < 50 * MS + MS / 25);
	free(run);

	run = run_line("delay=50ms,jitter=2ms", 3, 60, 1000);
	CU_ASSERT_TRUE(in_order(run));
	CU_ASSERT_EQUAL(run->counts.reordered, 0);
	for (unsigned int i = 0; i < run->n; i++)
		CU_ASSERT_TRUE(run->out_ns[i] <= run->in_ns[run->number[i]] + 52 * MS);
	free(run);
}

static void
test_line_loss_and_duplicates_have_their_shares(void)
{
	struct run *run = run_line("loss=1%,dup=2%", 4, 60, 1000);
	unsigned int twice = 0;

	/* 200 and 400 expected; standard deviations 14 and 20. */
	CU_ASSERT_TRUE(run->counts.lost > 140 && run->counts.lost < 260);
	CU_ASSERT_TRUE(run->counts.duplicated > 320 && run->counts.duplicated < 480);
	for (unsigned int i = 1; i < run->n; i++)
		twice += run->number[i] == run->number[i - 1];
	CU_ASSERT_EQUAL(twice, run->counts.duplicated);
	free(run);

	run = run_line("loss=100%", 4, 60, 1000);
	CU_ASSERT_EQUAL(run->n, 0);
	free(run);
}

static void
test_line_reorder_lets_others_overtake(void)
{
	struct run *run = run_line("delay=5ms,reorder=5%:10ms", 5, 60, MS / 10);
	uint64_t highest = 0;
	unsigned int overtaken = 0, held = 0;

	for (unsigned int i = 0; i < run->n; i++) {
		uint64_t taken = run->out_ns[i] - run->in_ns[run->number[i]];

		overtaken += run->number[i] < highest;
		highest = run->number[i] > highest ? run->number[i] : highest;
		CU_ASSERT_TRUE(taken >= 5 * MS && taken <= 15 * MS);
		held += taken > 5 * MS;
	}
	CU_ASSERT_EQUAL(run->n, N_FRAMES);
	CU_ASSERT_EQUAL(overtaken, run->counts.reordered);
	/* 1000 expected; standard deviation 31. Nearly all of them wait longer than a gap. */
	CU_ASSERT_TRUE(run->counts.held > 870 && run->counts.held < 1130);
	CU_ASSERT_TRUE(held <= run->counts.held && held + 20 > run->counts.held);
	CU_ASSERT_TRUE(overtaken > 820 && overtaken <= run->counts.held);
	free(run);
}

static void
test_line_rate_paces_and_bounds_its_queue(void)
{
	/* 1250 bytes take 1 ms at 10 Mbit/s, and come each 0.5 ms: half find no room. */
	struct run *run = run_line("rate=10mbit,queue=12500", 6, 1250, MS / 2);
	uint64_t longest = 0;

	for (unsigned int i = 1; i < run->n; i++) {
		uint64_t taken = run->out_ns[i] - run->in_ns[run->number[i]];

		CU_ASSERT_TRUE(run->out_ns[i] - run->out_ns[i - 1] >= MS);
		longest = taken > longest ? taken : longest;
	}
	CU_ASSERT_TRUE(run->n > N_FRAMES / 2 && run->n <= N_FRAMES / 2 + 11);
	CU_ASSERT_TRUE(longest > 9 * MS && longest <= 10 * MS);
	free(run);

	run = run_line("rate=10mbit,queue=20ms", 6, 1250, MS / 2);
	longest = 0;
	for (unsigned int i = 1; i < run->n; i++) {
		uint64_t taken = run->out_ns[i] - run->in_ns[run->number[i]];

		longest = taken > longest ? taken : longest;
	}
	CU_ASSERT_TRUE(longest > 20 * MS && longest <= 21 * MS);
	free(run);
}

static void
test_line_odd_rate_loses_no_part_of_a_bit(void)
{
	/* 60 bytes at 7 Gbit/s take 68 and 4/7 ns. */
	struct run *run = run_line("rate=7gbit,queue=10s", 7, 60, 1);

	CU_ASSERT_EQUAL(run->out_ns[run->n - 1] - run->in_ns[1], N_FRAMES * 480ull / 7);
	free(run);
}

static void
test_line_same_seed_repeats(void)
{
	const char *text = "delay=50ms,jitter=20ms,loss=3%,dup=3%,reorder=5%:30ms";
	struct run *a = run_line(text, 8, 60, MS), *b = run_line(text, 8, 60, MS),
		   *c = run_line(text, 9, 60, MS);

	CU_ASSERT_EQUAL(memcmp(a, b, sizeof(*a)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a, c, sizeof(*a)), 0);
	free(a);
	free(b);
	free(c);
}

static void
test_settings_all_are_read(void)
{
	struct line_settings settings;
	char error[SETTINGS_ERROR_SIZE];

	CU_ASSERT_TRUE(settings_parse(&settings,
	                              "delay=50ms,jitter=250us,loss=1%,dup=2.5%,reorder=5%:10ms,"
	                              "rate=200mbit,queue=256k",
	                              error));
	CU_ASSERT_EQUAL(settings.delay_ns, 50 * MS);
	CU_ASSERT_EQUAL(settings.jitter_ns, MS / 4);
	CU_ASSERT_DOUBLE_EQUAL(settings.loss, 0.01, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(settings.duplicate, 0.025, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(settings.reorder, 0.05, 1e-9);
	CU_ASSERT_EQUAL(settings.hold_ns, 10 * MS);
	CU_ASSERT_EQUAL(settings.rate_bps, 200000000);
	CU_ASSERT_EQUAL(settings.queue_bytes, 262144);
	CU_ASSERT_TRUE(settings_parse(&settings, "rate=1.5gbit,queue=20ms", error));
	CU_ASSERT_EQUAL(settings.rate_bps, 1500000000);
	CU_ASSERT_EQUAL(settings.queue_ns, 20 * MS);
	CU_ASSERT_EQUAL(settings.delay_ns, 0);
	CU_ASSERT_TRUE(settings_parse(&settings, "rate=1gbit", error));
	CU_ASSERT_EQUAL(settings.queue_ns, 100 * MS);
	CU_ASSERT_TRUE(settings_parse(&settings, "", error));
}

static void
test_settings_wrong_are_refused(void)
{
	static const char *const wrong[][2] = {
		{ "delay=50", "delay" },
		{ "delay=61s", "delay" },
		{ "delay", "delay" },
		{ "delay=", "delay" },
		{ "delay=-1ms", "delay" },
		{ "loss=101%", "loss" },
		{ "loss=0.5", "loss" },
		{ "reorder=5%", "reorder" },
		{ "reorder=5%:10", "reorder" },
		{ "rate=0mbit", "rate" },
		{ "rate=1mbit,queue=0", "queue" },
		{ "queue=1k", "rate is missing" },
		{ "delay=1ms,jitter=2ms", "no more than delay" },
		{ "latency=1ms", "no setting \"latency\"" },
		{ "delay=1ms,", "no setting" },
	};
	struct line_settings settings;
	char error[SETTINGS_ERROR_SIZE];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		error[0] = '\0';
		CU_ASSERT_FALSE(settings_parse(&settings, wrong[i][0], error));
		CU_ASSERT_PTR_NOT_NULL(strstr(error, wrong[i][1]));
	}
}

static void
test_pool_bounds_its_memory(void)
{
	struct pool pool = { .most = 5000 };
	struct frame *small = pool_get(&pool, 60), *large;

	CU_ASSERT_PTR_NOT_NULL_FATAL(small);
	CU_ASSERT_PTR_NULL(pool_get(&pool, 9000));
	large = pool_get(&pool, 1518);
	CU_ASSERT_PTR_NOT_NULL_FATAL(large);
	pool_put(&pool, small);
	CU_ASSERT_PTR_EQUAL(pool_get(&pool, 100), small);
	CU_ASSERT_PTR_NULL(pool_get(&pool, 1 << 20));
	pool_put(&pool, small);
	pool_put(&pool, large);
	pool_fini(&pool);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_line_plain_forwards_at_once),
		CHECK_TEST(test_line_delay_is_exact),
		CHECK_TEST(test_line_jitter_keeps_order_and_bounds),
		CHECK_TEST(test_line_loss_and_duplicates_have_their_shares),
		CHECK_TEST(test_line_reorder_lets_others_overtake),
		CHECK_TEST(test_line_rate_paces_and_bounds_its_queue),
		CHECK_TEST(test_line_odd_rate_loses_no_part_of_a_bit),
		CHECK_TEST(test_line_same_seed_repeats),
		CHECK_TEST(test_settings_all_are_read),
		CHECK_TEST(test_settings_wrong_are_refused),
		CHECK_TEST(test_pool_bounds_its_memory),
		CU_TEST_INFO_NULL,
	};
	return check_run("delay", tests);
}
