/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of flows against an array, under a good, an identity and a constant hash. */
#include "flow_index.h"
#include "trial.h"

#define N_KEYS 4096u
#define ENTRIES 1024u /* what the index is sized for */

struct key {
	uint64_t hash;
	uint32_t entry;
	uint16_t deadline_s;
	bool present;
	bool found; /* by the sweep of this pass */
};

struct model {
	struct trial trial;
	struct flow_index index;
	void *memory;
	struct key keys[N_KEYS];
	uint32_t used;
};

static struct model model;

static void
model_start(uint64_t seed, enum trial_hash kind)
{
	memset(&model, 0, sizeof(model));
	model.trial = trial_start(seed);
	model.memory = trial_memory(flow_index_size(ENTRIES));
	flow_index_init(&model.index, model.memory, ENTRIES);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		model.keys[i].hash = trial_hash(kind, i);
		model.keys[i].entry = i | (i % 3 == 0 ? FLOW_HALF_OPEN : 0);
	}
}

/* Walk as a caller does; how often the key's entry came up. */
static unsigned int
key_find(const struct key *key, struct flow_slot *at, unsigned int *n_candidates)
{
	struct flow_walk walk = flow_walk_start(&model.index, key->hash);
	unsigned int n = 0;
	uint32_t entry;

	*n_candidates = 0;
	while ((entry = flow_walk_next(&walk)) != FLOW_NONE) {
		const struct key *other = &model.keys[FLOW_NUMBER(entry)];
		++*n_candidates;
		TRIAL_CHECK(&model.trial, other->present && other->entry == entry);
		TRIAL_CHECK(&model.trial, flow_index_tag(other->hash) == walk.tag);
		TRIAL_CHECK(&model.trial, flow_index_home(&model.index, other->hash) ==
		                                  flow_index_home(&model.index, key->hash));
		if (entry == key->entry) {
			*at = walk.at;
			n++;
		}
	}
	return n;
}

static void
key_insert(struct key *key, uint16_t deadline_s)
{
	struct flow_slot at = { UINT32_MAX, UINT32_MAX }, found;
	unsigned int n_candidates;
	uint32_t home = flow_index_home(&model.index, key->hash);
	uint32_t other = flow_index_other(&model.index, home, flow_index_tag(key->hash));

	if (!flow_index_insert(&model.index, key->hash, key->entry, deadline_s, &at)) {
		TRIAL_CHECK(&model.trial, flow_bucket_match(&model.index.buckets[home], 0) == 0);
		TRIAL_CHECK(&model.trial, flow_bucket_match(&model.index.buckets[other], 0) == 0);
		return;
	}
	key->present = true;
	key->deadline_s = deadline_s;
	model.used++;
	TRIAL_CHECK(&model.trial, key_find(key, &found, &n_candidates) == 1);
	TRIAL_CHECK(&model.trial, found.bucket == at.bucket && found.slot == at.slot);
}

static void
key_remove(struct key *key, struct flow_slot at)
{
	flow_index_remove(&model.index, at);
	key->present = false;
	model.used--;
}

/* Every key is found once or not at all, and the index counts rightly. */
static void
audit(void)
{
	uint32_t *spilled = calloc(model.index.mask + 1, sizeof(*spilled));
	uint32_t used = 0;
	struct flow_slot at;
	unsigned int n;

	for (uint32_t i = 0; i < N_KEYS; i++) {
		const struct key *key = &model.keys[i];
		TRIAL_CHECK(&model.trial, key_find(key, &at, &n) == key->present);
		if (!key->present)
			continue;
		uint32_t home = flow_index_home(&model.index, key->hash);
		const struct flow_bucket *b = &model.index.buckets[at.bucket];
		TRIAL_CHECK(&model.trial, b->deadline[at.slot] == key->deadline_s);
		TRIAL_CHECK(&model.trial, (b->moved >> at.slot & 1) == (at.bucket != home));
		spilled[home] += at.bucket != home;
	}
	for (uint32_t i = 0; i <= model.index.mask; i++) {
		const struct flow_bucket *b = &model.index.buckets[i];
		TRIAL_CHECK(&model.trial, b->spilled == spilled[i]);
		used += FLOW_SLOTS - (uint32_t)__builtin_popcount(flow_bucket_match(b, 0));
	}
	TRIAL_CHECK(&model.trial, used == model.used && model.index.used == model.used);
	free(spilled);
}

static void
random_step(uint32_t n_keys)
{
	struct key *key = &model.keys[trial_pick(&model.trial, n_keys)];
	uint16_t deadline_s = (uint16_t)trial_pick(&model.trial, 65536);
	struct flow_slot at;
	unsigned int n;

	if (!key->present) {
		key_insert(key, deadline_s);
		return;
	}
	TRIAL_CHECK(&model.trial, key_find(key, &at, &n) == 1);
	if (trial_pick(&model.trial, 2) == 0) {
		flow_index_touch(&model.index, at, deadline_s);
		key->deadline_s = deadline_s;
	} else {
		key_remove(key, at);
	}
}

static void
random_run(enum trial_hash kind, uint64_t seed, uint32_t n_keys)
{
	model_start(seed, kind);
	for (; model.trial.step < 60000; model.trial.step++) {
		random_step(n_keys);
		if (model.trial.step % 4000 == 0)
			audit();
	}
	audit();
	for (uint32_t i = 0; i < N_KEYS; i++) {
		struct flow_slot at;
		unsigned int n;
		if (model.keys[i].present && key_find(&model.keys[i], &at, &n) == 1)
			key_remove(&model.keys[i], at);
	}
	audit();
	TRIAL_CHECK(&model.trial, model.index.used == 0);
	free(model.memory);
}

static void
test_index_good_hash_agrees_with_model(void)
{
	random_run(HASH_GOOD, 1, 1500);
	random_run(HASH_GOOD, 2, N_KEYS); /* more than it holds */
}

static void
test_index_identity_hash_agrees_with_model(void)
{
	random_run(HASH_IDENTITY, 3, 1500);
	random_run(HASH_IDENTITY, 4, N_KEYS);
}

static void
test_index_constant_hash_agrees_with_model(void)
{
	random_run(HASH_CONSTANT, 5, 20);
	random_run(HASH_CONSTANT, 6, N_KEYS);
}

static void
test_index_constant_hash_refuses_fifteenth(void)
{
	struct flow_slot at;
	unsigned int n;

	model_start(7, HASH_CONSTANT);
	for (uint32_t i = 0; i < 100; i++)
		key_insert(&model.keys[i], 0);
	TRIAL_CHECK(&model.trial, model.used == 2 * FLOW_SLOTS);
	audit();
	TRIAL_CHECK(&model.trial, key_find(&model.keys[99], &at, &n) == 0);
	TRIAL_CHECK(&model.trial, n == 2 * FLOW_SLOTS);
	free(model.memory);
}

/* A hash whose tag would be that of a free slot has another one, in whichever slot it comes to stand:
 * it is found there, and where it is not nothing is. */
static void
test_index_first_finds_tag_zero_in_each_slot(void)
{
	struct flow_slot at, found;

	for (uint32_t before = 0; before < FLOW_SLOTS; before++) {
		model_start(13, HASH_GOOD);
		for (uint32_t i = 0; i < before; i++)
			CU_ASSERT_TRUE(flow_index_insert(&model.index, (uint64_t)(i + 2) << 48,
			                                 100 + i, 0, &at));
		CU_ASSERT_EQUAL(flow_index_first(&model.index, 0, &found), FLOW_NONE);
		CU_ASSERT_TRUE(flow_index_insert(&model.index, 0, 7, 0, &at));
		CU_ASSERT_EQUAL(at.slot, before);
		CU_ASSERT_EQUAL(flow_index_first(&model.index, 0, &found), 7);
		CU_ASSERT_EQUAL(found.slot, before);
		free(model.memory);
	}
}

static void
test_index_sized_for_entries_takes_them_all(void)
{
	uint32_t n_away = 0;

	for (uint64_t seed = 10; seed < 20; seed++) {
		/* The fullest that a power of two allows: 60 % of the slots. */
		uint32_t n = 256 * 42 / 10;
		model_start(seed, HASH_GOOD);
		TRIAL_CHECK(&model.trial, flow_index_size(n) == 256 * sizeof(struct flow_bucket));
		for (uint32_t i = 0; i < N_KEYS; i++)
			model.keys[i].hash = trial_hash(HASH_GOOD, i + seed * N_KEYS);
		for (uint32_t i = 0; i < n; i++)
			key_insert(&model.keys[i], 0);
		TRIAL_CHECK(&model.trial, model.used == n);
		audit();
		for (uint32_t i = 0; i <= model.index.mask; i++)
			n_away += (uint32_t)__builtin_popcount(model.index.buckets[i].moved);
		free(model.memory);
	}
	CU_ASSERT_TRUE(n_away > 0); /* so the second bucket was needed */
}

static void
test_index_sixteen_million_entries_fit_300_megabytes(void)
{
	CU_ASSERT_TRUE(flow_index_size(16u << 20) <= (size_t)300 << 20);
	CU_ASSERT_TRUE(flow_index_size(17500000) <= (size_t)300 << 20); /* with half-open ones */
	CU_ASSERT_EQUAL(flow_index_size(0), 2 * sizeof(struct flow_bucket));
}

/* One whole pass in pieces; due entries are removed or touched as they come. */
static void
sweep_pass(uint16_t now_s)
{
	uint32_t n_buckets = model.index.mask + 1, swept = 0;
	struct flow_slot out[8];

	while (swept < n_buckets) {
		uint32_t piece = 1 + trial_pick(&model.trial, 40), before = model.index.cursor;
		unsigned int max = 1 + trial_pick(&model.trial, 8);
		if (piece > n_buckets - swept)
			piece = n_buckets - swept;
		unsigned int n = flow_index_sweep(&model.index, piece, now_s, out, max);
		TRIAL_CHECK(&model.trial, n <= max);
		swept += (model.index.cursor - before) & model.index.mask;
		for (unsigned int i = 0; i < n; i++) {
			const struct flow_bucket *b = &model.index.buckets[out[i].bucket];
			struct key *key = &model.keys[FLOW_NUMBER(b->entry[out[i].slot])];
			TRIAL_CHECK(&model.trial, key->present && !key->found);
			TRIAL_CHECK(&model.trial, (key->entry & FLOW_HALF_OPEN) == 0);
			TRIAL_CHECK(&model.trial, (int16_t)(now_s - key->deadline_s) >= 0);
			key->found = true;
			if (trial_pick(&model.trial, 2) == 0) {
				key_remove(key, out[i]);
			} else {
				uint32_t more_s = 1 + trial_pick(&model.trial, 900);
				key->deadline_s = (uint16_t)(now_s + more_s);
				flow_index_touch(&model.index, out[i], key->deadline_s);
			}
		}
	}
}

static void
sweep_run(enum trial_hash kind, uint64_t seed)
{
	uint32_t now_s = 65000; /* passes 2^16 on the way */

	model_start(seed, kind);
	for (unsigned int pass = 0; pass < 40; pass++, now_s += 100) {
		bool due[N_KEYS] = { false };
		for (uint32_t i = 0; i < N_KEYS && model.used < ENTRIES; i++) {
			if (!model.keys[i].present)
				key_insert(&model.keys[i],
				           (uint16_t)(now_s + trial_pick(&model.trial, 1000)));
		}
		now_s += 200;
		for (uint32_t i = 0; i < N_KEYS; i++) {
			struct key *key = &model.keys[i];
			key->found = false;
			due[i] = key->present && !(key->entry & FLOW_HALF_OPEN) &&
			         (int16_t)((uint16_t)now_s - key->deadline_s) >= 0;
		}
		sweep_pass((uint16_t)now_s);
		for (uint32_t i = 0; i < N_KEYS; i++)
			TRIAL_CHECK(&model.trial, model.keys[i].found == due[i]);
		audit();
		model.trial.step++;
	}
	free(model.memory);
}

static void
test_sweep_one_pass_finds_each_expired_once(void)
{
	sweep_run(HASH_GOOD, 21);
	sweep_run(HASH_IDENTITY, 22);
	sweep_run(HASH_CONSTANT, 23);
}

static void
test_sweep_deadline_across_wrap_follows_distance(void)
{
	static const int32_t steps[] = { -32767, -1000, -1, 0, 1, 1000, 32767 };
	static const uint16_t nows[] = { 0, 1, 500, 0x7fff, 0x8000, 0xffff };

	for (size_t i = 0; i < sizeof(nows) / sizeof(nows[0]); i++) {
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			struct flow_slot out[2];
			model_start(30, HASH_GOOD);
			key_insert(&model.keys[1], (uint16_t)(nows[i] + steps[j]));
			TRIAL_CHECK(&model.trial,
			            flow_index_sweep(&model.index, model.index.mask + 1, nows[i],
			                             out, 2) == (steps[j] <= 0));
			free(model.memory);
		}
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_index_good_hash_agrees_with_model),
		CHECK_TEST(test_index_identity_hash_agrees_with_model),
		CHECK_TEST(test_index_constant_hash_agrees_with_model),
		CHECK_TEST(test_index_constant_hash_refuses_fifteenth),
		CHECK_TEST(test_index_first_finds_tag_zero_in_each_slot),
		CHECK_TEST(test_index_sized_for_entries_takes_them_all),
		CHECK_TEST(test_index_sixteen_million_entries_fit_300_megabytes),
		CHECK_TEST(test_sweep_one_pass_finds_each_expired_once),
		CHECK_TEST(test_sweep_deadline_across_wrap_follows_distance),
		CU_TEST_INFO_NULL,
	};
	return check_run("flow_index", tests);
}
