/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers use the published secrets while control goes through hours of epochs. Whatever
 * set a worker gets is whole: its keys are those of its epoch.
 *
 * No burst lasts as long as an epoch. That takes the place of time here, where hours are over
 * in seconds: before time goes on, each worker has begun another burst.
 */
#include <pthread.h>

#include "check.h"
#include "secret.h"

#define N_WORKERS 3u
#define BEGIN_S UINT64_C(1800000000)
#define N_STEPS 20000u /* seconds */

static const uint8_t master[MASTER_SECRET_SIZE] = { 1, 2, 3 };

static struct secret_ring ring;
static bool over; /* relaxed */

static struct reader {
	pthread_t thread;
	uint64_t n_bursts; /* release by the reader, acquire by control */
	uint64_t n_wrong, n_sets;
} readers[N_WORKERS];

/* What a ring of our own says about the same epoch. */
static bool
is_whole(const struct secret_set *set)
{
	struct secret_ring own;
	uint32_t epoch = set->epoch;
	bool lead;

	secret_init(&own, master, (uint64_t)epoch * EPOCH_S);
	const struct secret_set *want = own.current;
	lead = memcmp(&set->parity[~epoch & 1], &want->parity[~epoch & 1],
	              sizeof(set->parity[0])) != 0;
	if (memcmp(&set->parity[epoch & 1], &want->parity[epoch & 1], sizeof(set->parity[0])) != 0)
		return false;
	if (!lead)
		return true;
	/* The keys of the next epoch stand where those of the last one stood. */
	secret_init(&own, master, (uint64_t)(epoch + 1) * EPOCH_S);
	return memcmp(&set->parity[~epoch & 1], &own.current->parity[~epoch & 1],
	              sizeof(set->parity[0])) == 0;
}

static void *
work(void *arg)
{
	struct reader *r = arg;
	const struct secret_set *last = NULL;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		const struct secret_set *set = secret_current(&ring);
		if (set != last) {
			r->n_sets++;
			r->n_wrong += !is_whole(set);
			last = set;
		}
		__atomic_store_n(&r->n_bursts, r->n_bursts + 1, __ATOMIC_RELEASE);
		sched_yield();
	}
	return NULL;
}

static void
wait_for_bursts(uint64_t seen[N_WORKERS])
{
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		uint64_t now;
		while ((now = __atomic_load_n(&readers[i].n_bursts, __ATOMIC_ACQUIRE)) == seen[i])
			sched_yield();
		seen[i] = now;
	}
}

static void
test_published_sets_are_whole(void)
{
	uint64_t seen[N_WORKERS] = { 0 };

	secret_init(&ring, master, BEGIN_S);
	for (unsigned int i = 0; i < N_WORKERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&readers[i].thread, NULL, work, &readers[i]),
		                      0);
	for (unsigned int s = 1; s <= N_STEPS; s++) {
		secret_step(&ring, BEGIN_S + s);
		wait_for_bursts(seen);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		pthread_join(readers[i].thread, NULL);
		CU_ASSERT_EQUAL(readers[i].n_wrong, 0);
		/* Two sets an epoch; each stays for several bursts. */
		CU_ASSERT(readers[i].n_sets >= 2 * (N_STEPS / EPOCH_S) - 1);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_published_sets_are_whole),
		CU_TEST_INFO_NULL,
	};

	return check_run("secret_threads", tests);
}
