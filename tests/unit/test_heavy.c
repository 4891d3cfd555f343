/* SPDX-License-Identifier: BSD-3-Clause */
/* The sketch of heavy hitters against exact counts, on floods of several kinds. */
#include <pthread.h>

#include "check.h"
#include "heavy.h"

#define FLOODS 200u
#define SAMPLES 4000u /* a second of a flood, as talkers.h takes them */
#define THE_ONE UINT64_C(0xcb007100)
#define KEYS 1000u

static const struct heavy_slot *
slot_of(const struct heavy *h, uint64_t key)
{
	for (unsigned int i = 0; i < HEAVY_SLOTS && h->slots[i].count != 0; i++)
		if (h->slots[i].key == key)
			return &h->slots[i];
	return NULL;
}

/* As talkers_top.h names them. */
static bool
is_named(const struct heavy *h, uint64_t key)
{
	const struct heavy_slot *s = slot_of(h, key);

	return s != NULL && 200 * (uint64_t)s->count >= h->weight &&
	       400 * (uint64_t)(s->count - s->error) >= h->weight;
}

/* One in a hundred of a flood whose other sources are all forged, each another. */
static void
test_one_percent_of_a_uniform_flood_is_named(void)
{
	uint64_t state = 20261126;
	unsigned int n_named = 0, n_others = 0;

	for (unsigned int f = 0; f < FLOODS; f++) {
		struct heavy h = { .turn = 0 };
		for (unsigned int i = 0; i < SAMPLES; i++) {
			uint64_t r = check_random(&state);
			heavy_add(&h, r % 100 == 0 ? THE_ONE : (r >> 32) | 1, 16);
		}
		n_named += is_named(&h, THE_ONE);
		for (unsigned int i = 0; i < HEAVY_SLOTS; i++)
			n_others += h.slots[i].key != THE_ONE && is_named(&h, h.slots[i].key);
	}
	CU_ASSERT_EQUAL(n_named, FLOODS);
	CU_ASSERT_EQUAL(n_others, 0);
}

/* A hundred nets of one percent each: the worst that can be asked. All of them, each time. */
static void
test_a_hundred_of_one_percent_are_all_named(void)
{
	uint64_t state = 7;

	for (unsigned int f = 0; f < 20; f++) {
		struct heavy h = { .turn = 0 };
		unsigned int n_named = 0;
		for (unsigned int i = 0; i < 10 * SAMPLES; i++)
			heavy_add(&h, 1 + (check_random(&state) >> 32) % 100, 1);
		for (unsigned int k = 1; k <= 100; k++)
			n_named += is_named(&h, k);
		CU_ASSERT_EQUAL(n_named, 100);
	}
}

/* Shares fall as 1/k: each bound of the head comment, for each key. */
static void
test_bounds_hold_on_a_skewed_flood(void)
{
	static uint64_t exact[KEYS];
	uint64_t state = 99, total = 0;
	struct heavy h = { .turn = 0 };

	memset(exact, 0, sizeof(exact));
	for (unsigned int i = 0; i < 100000; i++) {
		double u = (double)(check_random(&state) >> 11) / (double)(1ull << 53);
		double power = 1;
		/* KEYS to the power of u, without a library of mathematics. */
		for (unsigned int bit = 0; bit < 10; bit++)
			power += power * u * 0.99;
		unsigned int key = (unsigned int)power % KEYS;
		uint32_t weight = 1u << (check_random(&state) >> 61);
		heavy_add(&h, key + 1, weight);
		exact[key] += weight;
		total += weight;
	}
	CU_ASSERT_EQUAL(h.weight, total);
	CU_ASSERT_EQUAL(h.n_samples, 100000);
	for (unsigned int k = 0; k < KEYS; k++) {
		const struct heavy_slot *s = slot_of(&h, k + 1);
		if (s == NULL) {
			CU_ASSERT(exact[k] * HEAVY_SLOTS <= total);
			continue;
		}
		CU_ASSERT(s->count >= exact[k]);
		CU_ASSERT(s->count - s->error <= exact[k]);
		CU_ASSERT((uint64_t)s->error * HEAVY_SLOTS <= total);
	}
}

static void
test_few_keys_are_exact(void)
{
	struct heavy h = { .turn = 0 };

	for (unsigned int i = 0; i < 10000; i++)
		heavy_add(&h, i % HEAVY_SLOTS, 3); /* 0 is a key as any other */
	for (unsigned int k = 0; k < HEAVY_SLOTS; k++) {
		const struct heavy_slot *s = slot_of(&h, k);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(s->error, 0);
		CU_ASSERT_EQUAL(s->count, 3 * (10000 / HEAVY_SLOTS + (k < 10000 % HEAVY_SLOTS)));
	}
	heavy_clear(&h);
	CU_ASSERT_PTR_NULL(slot_of(&h, 0));
	CU_ASSERT_EQUAL(h.weight, 0);
}

static void
test_sums_of_two_workers(void)
{
	static struct heavy_sum sums[2 * HEAVY_SLOTS];
	struct heavy a = { .turn = 0 }, b = { .turn = 0 };

	heavy_add(&a, 5, 10);
	heavy_add(&a, 6, 30);
	heavy_add(&b, 5, 25);
	heavy_add(&b, 7, 1);
	uint32_t n = heavy_sum_add(sums, heavy_sum_add(sums, 0, &a), &b);
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_EQUAL_FATAL(heavy_sum_finish(sums, n), 3);
	CU_ASSERT_EQUAL(sums[0].key, 5);
	CU_ASSERT_EQUAL(sums[0].count, 35);
	CU_ASSERT_EQUAL(sums[1].key, 6);
	CU_ASSERT_EQUAL(sums[2].key, 7);
	CU_ASSERT_EQUAL(heavy_sum_finish(sums, 0), 0);
}

/* One that writes all the time, a reader beside it: what he has copied is of one moment. */
struct shared {
	struct heavy heavy;
	bool stop;
};

static void *
write_on(void *arg)
{
	struct shared *s = arg;

	for (uint64_t i = 0; !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++) {
		heavy_add(&s->heavy, i, 1);
		if (i % 1000 == 999)
			heavy_clear(&s->heavy);
	}
	return NULL;
}

static void
test_a_copy_is_of_one_moment(void)
{
	static struct shared shared;
	unsigned int n = 0;
	pthread_t writer;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_on, &shared), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		struct heavy copy;
		uint64_t sum = 0;
		if (!heavy_copy(&shared.heavy, &copy))
			continue;
		n++;
		for (unsigned int k = 0; k < HEAVY_SLOTS; k++)
			sum += copy.slots[k].count;
		CU_ASSERT_EQUAL(copy.n_samples, copy.weight);
		/* Each sample is in one counter: with what they inherited, no more and no less. */
		CU_ASSERT_EQUAL(sum, copy.weight);
	}
	__atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	CU_ASSERT(n > 0);
	/* Somebody stands still in mid-change: it is given up. */
	shared.heavy.turn |= 1;
	struct heavy copy;
	CU_ASSERT_FALSE(heavy_copy(&shared.heavy, &copy));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_one_percent_of_a_uniform_flood_is_named),
		CHECK_TEST(test_a_hundred_of_one_percent_are_all_named),
		CHECK_TEST(test_bounds_hold_on_a_skewed_flood),
		CHECK_TEST(test_few_keys_are_exact),
		CHECK_TEST(test_sums_of_two_workers),
		CHECK_TEST(test_a_copy_is_of_one_moment),
		CU_TEST_INFO_NULL,
	};

	return check_run("heavy", tests);
}
