/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates, recent keys and token buckets against exact counts. */
#include "rate.h"
#include "trial.h"

#define N_KEYS 2000u

/* Exact: events of the running second and of the one before. */
struct count {
	uint64_t second;
	uint32_t now, before;
};

static void
count_turn(struct count *count, uint64_t second)
{
	if (count->second == second)
		return;
	count->before = count->second + 1 == second ? count->now : 0;
	count->now = 0;
	count->second = second;
}

static uint32_t
count_hit(struct count *count, uint64_t now_ms)
{
	count_turn(count, now_ms / 1000);
	count->now++;
	return count->now + (uint32_t)((count->before * (1000 - now_ms % 1000) + 999) / 1000);
}

struct rate_run {
	enum trial_hash kind;
	uint32_t n_keys;
	uint32_t cells;
	bool exact;   /* no two keys share a cell in every row */
	bool one_key; /* all keys are one */
};

static void
rate_run(uint64_t seed, const struct rate_run *run)
{
	struct trial trial = trial_start(seed);
	struct count *counts = calloc(N_KEYS, sizeof(*counts));
	void *memory = trial_memory(rate_size(run->cells));
	uint64_t now_ms = (1ull << 32) / 1000 * 1000 - 30000; /* wraps on the way */
	struct rate rate;
	uint32_t n_over = 0;

	rate_init(&rate, memory, run->cells);
	for (; trial.step < 200000; trial.step++) {
		uint32_t key = trial_pick(&trial, run->n_keys);
		uint64_t hash = trial_hash(run->kind, key * 0x1000000010ull);
		uint32_t exact = count_hit(&counts[run->one_key ? 0 : key], now_ms), got;

		rate_prefetch(&rate, hash);
		got = rate_hit(&rate, hash, (uint32_t)now_ms);
		TRIAL_CHECK(&trial, got >= exact);
		if (run->exact)
			TRIAL_CHECK(&trial, got == exact);
		n_over += got > exact;
		if (trial_pick(&trial, 4) == 0)
			now_ms += trial_pick(&trial, 3);
		if (trial_pick(&trial, 4000) == 0)
			now_ms += trial_pick(&trial, 5000); /* seconds without any */
	}
	TRIAL_CHECK(&trial, now_ms > 1ull << 32);
	TRIAL_CHECK(&trial, run->exact == (n_over == 0)); /* keys did collide */
	free(counts);
	free(memory);
}

static void
test_rate_few_keys_counts_exactly(void)
{
	rate_run(71, &(struct rate_run){ HASH_GOOD, 30, 65536, true, false });
	rate_run(72, &(struct rate_run){ HASH_IDENTITY, N_KEYS, 2048, true, false });
}

static void
test_rate_colliding_keys_never_counts_too_low(void)
{
	rate_run(73, &(struct rate_run){ HASH_GOOD, N_KEYS, 256, false, false });
	rate_run(74, &(struct rate_run){ HASH_IDENTITY, N_KEYS, 512, false, false });
}

static void
test_rate_constant_hash_counts_all_as_one(void)
{
	rate_run(75, &(struct rate_run){ HASH_CONSTANT, N_KEYS, 256, true, true });
}

static void
test_rate_cell_full_stops_counting(void)
{
	void *memory = trial_memory(rate_size(1));
	struct rate rate;
	uint32_t most = 0;

	rate_init(&rate, memory, 1);
	rate_hit(&rate, 0, 0);
	for (unsigned int row = 0; row < RATE_ROWS; row++)
		rate.cells[row] = ((1ull << 22) - 2) << 42; /* `now`, one below its most */
	for (unsigned int i = 0; i < 3; i++)
		most = rate_hit(&rate, 0, 0);
	CU_ASSERT_EQUAL(most, (1u << 22) - 1);
	CU_ASSERT_EQUAL(rate_hit(&rate, 0, 1000), 1 + (1u << 22) - 1);
	CU_ASSERT_EQUAL(rate_hit(&rate, 0, 2500), 2);
	free(memory);
}

/* Counting in bursts beside counting one by one: the same answers, and the same cells. */
static void
burst_run(uint64_t seed, uint32_t n_keys, uint32_t cells, uint32_t most)
{
	struct trial trial = trial_start(seed);
	void *memory[2] = { trial_memory(rate_size(cells)), trial_memory(rate_size(cells)) };
	uint32_t now_ms = UINT32_MAX - 20000, n_over = 0; /* wraps on the way */
	struct rate single, many;

	rate_init(&single, memory[0], cells);
	rate_init(&many, memory[1], cells);
	while (trial.step < 200000) {
		struct rate_burst burst = rate_burst_start(&many, now_ms, most);

		for (unsigned int n = trial_pick(&trial, 32); n > 0; n--, trial.step++) {
			uint32_t key = trial_pick(&trial, n_keys);
			uint64_t hash = trial_hash(HASH_GOOD, key * 0x1000000010ull);
			bool fits = rate_hit_up_to(&single, hash, now_ms, most) <= most;
			uint64_t at = rate_prefetch(&many, hash);

			TRIAL_CHECK(&trial, rate_burst_hit(&burst, &hash, at) == fits);
			n_over += !fits;
		}
		trial.step++;
		now_ms += trial_pick(&trial, 3);
		if (trial_pick(&trial, 200) == 0)
			now_ms += trial_pick(&trial, 4000); /* seconds without any */
		TRIAL_CHECK(&trial, memcmp(memory[0], memory[1], rate_size(cells)) == 0);
	}
	TRIAL_CHECK(&trial, (n_over != 0) == (most < 1000));
	free(memory[0]);
	free(memory[1]);
}

static void
test_rate_burst_as_one_by_one(void)
{
	burst_run(81, N_KEYS, 256, 2);
	burst_run(82, 30, 1024, 40);
	burst_run(83, 300, 512, 1u << 30);
}

/* At the bound of a cell, which `most` may be beyond. */
static void
test_rate_burst_cell_full_stops_counting(void)
{
	void *memory = trial_memory(rate_size(1));
	const uint64_t hash = 0;
	struct rate rate;

	rate_init(&rate, memory, 1);
	rate_hit(&rate, hash, 5000);
	for (unsigned int row = 0; row < RATE_ROWS; row++)
		rate.cells[row] |= ((1ull << 22) - 2) << 42;
	for (unsigned int i = 0; i < 3; i++) {
		struct rate_burst burst = rate_burst_start(&rate, 5000, UINT32_MAX);

		CU_ASSERT_TRUE(rate_burst_hit(&burst, &hash, rate_at(&rate, hash)));
		CU_ASSERT_EQUAL(rate_cell_now(rate.cells[0]), (1u << 22) - 1);
	}
	struct rate_burst burst = rate_burst_start(&rate, 5000, (1u << 22) - 2);

	CU_ASSERT_FALSE(rate_burst_hit(&burst, &hash, rate_at(&rate, hash)));
	free(memory);
}

static void
recent_run(uint64_t seed, enum trial_hash kind, bool few)
{
	enum {
		PERIOD = 1000
	};
	struct trial trial = trial_start(seed);
	uint64_t *added_ms = calloc(N_KEYS, sizeof(*added_ms)); /* 0: never */
	uint32_t bits = few ? 1u << 17 : 512;
	void *memory = trial_memory(recent_size(bits));
	uint64_t now_ms = (1ull << 32) - 20000, start_ms = now_ms;
	uint32_t n_strangers = 0, n_false = 0;
	struct recent recent;

	recent_init(&recent, memory, bits, PERIOD);
	recent_turn(&recent, (uint32_t)now_ms);
	for (; trial.step < 100000; trial.step++) {
		uint32_t key = trial_pick(&trial, N_KEYS);
		uint64_t hash = trial_hash(kind, key * 0x1000000010ull);
		uint64_t period = (now_ms - start_ms) / PERIOD;

		recent_turn(&recent, (uint32_t)now_ms);
		if (added_ms[key] != 0 && (added_ms[key] - start_ms) / PERIOD + 1 >= period) {
			TRIAL_CHECK(&trial, recent_has(&recent, hash));
		} else {
			n_strangers++;
			n_false += recent_has(&recent, hash);
		}
		if (trial_pick(&trial, 8) == 0) {
			recent_add(&recent, hash, (uint32_t)now_ms);
			added_ms[key] = now_ms;
		}
		now_ms += trial_pick(&trial, 4) == 0;
		if (trial_pick(&trial, 5000) == 0)
			now_ms += trial_pick(&trial, 4 * PERIOD);
	}
	TRIAL_CHECK(&trial, now_ms > 1ull << 32 && n_strangers > 1000);
	if (few) /* 128 bits for each key of a period */
		TRIAL_CHECK(&trial, n_false * 100 < n_strangers);
	free(added_ms);
	free(memory);
}

static void
test_recent_keys_are_remembered_a_period(void)
{
	recent_run(81, HASH_GOOD, true);
	recent_run(82, HASH_GOOD, false);
	recent_run(83, HASH_IDENTITY, false);
	recent_run(84, HASH_CONSTANT, false);
}

static void
test_recent_keys_are_forgotten_after_two_periods(void)
{
	void *memory = trial_memory(recent_size(4096));
	struct recent recent;

	recent_init(&recent, memory, 4096, 1000);
	CU_ASSERT_FALSE(recent_has(&recent, 12345));
	recent_add(&recent, 12345, 0);
	recent_turn(&recent, 1999);
	CU_ASSERT_TRUE(recent_has(&recent, 12345));
	recent_turn(&recent, 2000);
	CU_ASSERT_FALSE(recent_has(&recent, 12345));
	recent_add(&recent, 12345, 2500);
	recent_turn(&recent, 900000);
	CU_ASSERT_FALSE(recent_has(&recent, 12345));
	free(memory);
}

static uint64_t
burst_of(uint32_t per_s)
{
	return per_s / 10 < 8 ? 8 : per_s / 10;
}

static void
test_bucket_greedy_taker_gets_rate_and_burst(void)
{
	static const uint32_t rates[] = { 1, 3, 7, 80, 81, 999, 1500, 100000 };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct trial trial = trial_start(91 + i);
		struct bucket bucket = { 0, UINT32_MAX - 5000 };
		uint64_t start_ms = bucket.refilled_ms, now_ms = start_ms, taken = 0, full;
		for (; trial.step < 20000; trial.step++) {
			while (bucket_take(&bucket, rates[i], (uint32_t)now_ms))
				taken++;
			now_ms += 1;
		}
		full = (now_ms - 1 - start_ms) * rates[i] / 1000;
		TRIAL_CHECK(&trial, taken == full); /* not one lost to rounding */
		now_ms += 1000 * burst_of(rates[i]);
		for (taken = 0; bucket_take(&bucket, rates[i], (uint32_t)now_ms);)
			taken++;
		TRIAL_CHECK(&trial, taken == burst_of(rates[i]));
	}
}

static void
test_bucket_random_taker_never_exceeds_rate_and_burst(void)
{
	struct trial trial = trial_start(99);
	struct bucket bucket = { 0 };
	const uint32_t per_s = 500;
	uint64_t now_ms = 0, taken = 0;

	for (; trial.step < 100000; trial.step++) {
		taken += bucket_take(&bucket, per_s, (uint32_t)now_ms);
		TRIAL_CHECK(&trial, taken <= burst_of(per_s) + now_ms * per_s / 1000);
		now_ms += trial_pick(&trial, 5) == 0 ? trial_pick(&trial, 10) : 0;
	}
	TRIAL_CHECK(&trial, taken > 0);
}

/* Who must leave a reserve gets the rate too, if nobody else takes; who need not gets it all. */
static void
test_bucket_take_above_leaves_reserve(void)
{
	struct bucket bucket = { 0 };
	unsigned int taken = 0;

	while (bucket_take_above(&bucket, 100, 1000000, 4))
		taken++;
	CU_ASSERT_EQUAL(taken, 6);
	CU_ASSERT_FALSE(bucket_take_above(&bucket, 100, 1000009, 4));
	CU_ASSERT_TRUE(bucket_take_above(&bucket, 100, 1000010, 4));
	CU_ASSERT_FALSE(bucket_take_above(&bucket, 100, 1000010, 4));
	for (taken = 0; bucket_take(&bucket, 100, 1000010);)
		taken++;
	CU_ASSERT_EQUAL(taken, 4);
}

static void
test_bucket_rate_zero_always_gives(void)
{
	struct bucket bucket = { 0 };

	for (unsigned int i = 0; i < 1000; i++)
		CU_ASSERT_TRUE(bucket_take(&bucket, 0, 0));
}

static void
test_bucket_largest_rate_keeps_its_bounds(void)
{
	struct bucket bucket = { 0 };

	CU_ASSERT_FALSE(bucket_take(&bucket, UINT32_MAX, 0));
	CU_ASSERT_TRUE(bucket_take(&bucket, UINT32_MAX, 1));
	CU_ASSERT_TRUE(bucket_take(&bucket, UINT32_MAX, UINT32_MAX));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_rate_few_keys_counts_exactly),
		CHECK_TEST(test_rate_colliding_keys_never_counts_too_low),
		CHECK_TEST(test_rate_constant_hash_counts_all_as_one),
		CHECK_TEST(test_rate_cell_full_stops_counting),
		CHECK_TEST(test_rate_burst_as_one_by_one),
		CHECK_TEST(test_rate_burst_cell_full_stops_counting),
		CHECK_TEST(test_recent_keys_are_remembered_a_period),
		CHECK_TEST(test_recent_keys_are_forgotten_after_two_periods),
		CHECK_TEST(test_bucket_greedy_taker_gets_rate_and_burst),
		CHECK_TEST(test_bucket_random_taker_never_exceeds_rate_and_burst),
		CHECK_TEST(test_bucket_take_above_leaves_reserve),
		CHECK_TEST(test_bucket_rate_zero_always_gives),
		CHECK_TEST(test_bucket_largest_rate_keeps_its_bounds),
		CU_TEST_INFO_NULL,
	};
	return check_run("rate", tests);
}
