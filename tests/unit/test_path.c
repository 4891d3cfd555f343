/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths against an array: same path same number, references balance. */
#include "path.h"
#include "trial.h"

#define CAPACITY 200u
#define N_PATHS 300u

struct model_path {
	uint8_t outside[6], inside[6];
	uint32_t tags;
	uint32_t n_refs;
	uint16_t number;
};

static struct model_path
model_path(uint32_t i)
{
	/* Few neighbours, and pairs that differ in one byte, or in one tag alone. */
	struct model_path p = { .outside = { 2, 0, 0, 0, 0, (uint8_t)(i % 7) },
		                .inside = { 6, 0, 0, (uint8_t)(i / 7 % 5), 0, 1 },
		                .tags = i / 35 % 3 | i / 105 << 16 };
	return p;
}

/* The path of a frame that travels it from either side. */
static uint16_t
get(struct path_table *table, const struct model_path *p, enum side side)
{
	uint8_t frame[14 + 20] = { 0 }; /* with room for an IP header, as each segment has one */
	struct segment seg = { .frame = frame, .tags = p->tags, .side = side };

	memcpy(frame, side == SIDE_OUTSIDE ? p->inside : p->outside, 6);
	memcpy(frame + 6, side == SIDE_OUTSIDE ? p->outside : p->inside, 6);
	return path_get(table, &seg);
}

static void
check_link(struct trial *trial, const struct path_table *table, const struct model_path *p)
{
	struct link out = path_link(table, p->number, SIDE_OUTSIDE);
	struct link in = path_link(table, p->number, SIDE_INSIDE);

	TRIAL_CHECK(trial, memcmp(out.dst_mac, p->outside, 6) == 0);
	TRIAL_CHECK(trial, memcmp(out.src_mac, p->inside, 6) == 0);
	TRIAL_CHECK(trial, memcmp(in.dst_mac, p->inside, 6) == 0);
	TRIAL_CHECK(trial, memcmp(in.src_mac, p->outside, 6) == 0);
	TRIAL_CHECK(trial, out.tags == p->tags && in.tags == p->tags);
}

static void
test_table_random_references_balance(void)
{
	struct trial trial = trial_start(61);
	struct path_table table;
	void *memory = trial_memory(path_table_size(CAPACITY));
	struct model_path paths[N_PATHS];
	uint32_t used = 0, n_full = 0;

	for (uint32_t i = 0; i < N_PATHS; i++)
		paths[i] = model_path(i);
	path_table_init(&table, memory, CAPACITY);
	for (; trial.step < 100000; trial.step++) {
		struct model_path *p = &paths[trial_pick(&trial, N_PATHS)];
		unsigned int bias = trial.step / 10000 % 2;
		if (trial_pick(&trial, 5) < 2 + bias) {
			uint16_t number = get(&table, p, trial_pick(&trial, SIDE_COUNT));
			if (p->n_refs == 0 && used == CAPACITY - 1) {
				TRIAL_CHECK(&trial, number == 0);
				n_full++;
				continue;
			}
			TRIAL_CHECK(&trial, number > 0 && number < CAPACITY);
			TRIAL_CHECK(&trial, p->n_refs == 0 || p->number == number);
			used += p->n_refs++ == 0;
			p->number = number;
		} else if (p->n_refs > 0) {
			check_link(&trial, &table, p);
			path_put(&table, p->number);
			used -= --p->n_refs == 0;
		}
		TRIAL_CHECK(&trial, table.used == used);
		if (p->n_refs > 0)
			TRIAL_CHECK(&trial, table.paths[p->number].n_refs == p->n_refs);
	}
	TRIAL_CHECK(&trial, n_full > 0);
	for (uint32_t i = 0; i < N_PATHS; i++)
		for (; paths[i].n_refs > 0; paths[i].n_refs--)
			path_put(&table, paths[i].number);
	TRIAL_CHECK(&trial, table.used == 0);
	for (uint32_t i = 0; i <= table.mask; i++)
		TRIAL_CHECK(&trial, table.heads[i] == 0);
	free(memory);
}

static void
test_table_largest_gives_all_its_numbers(void)
{
	struct trial trial = trial_start(62);
	struct path_table table;
	void *memory = trial_memory(path_table_size(UINT32_MAX));
	bool *seen = calloc(PATHS_MAX, sizeof(*seen));
	struct model_path p = model_path(0);

	path_table_init(&table, memory, UINT32_MAX);
	for (; trial.step < PATHS_MAX - 1; trial.step++) {
		p.outside[4] = (uint8_t)(trial.step >> 8);
		p.outside[5] = (uint8_t)trial.step;
		uint16_t number = get(&table, &p, SIDE_OUTSIDE);
		TRIAL_CHECK(&trial, number > 0 && number < PATHS_MAX && !seen[number]);
		seen[number] = true;
	}
	p.tags = 1;
	TRIAL_CHECK(&trial, get(&table, &p, SIDE_OUTSIDE) == 0);
	free(seen);
	free(memory);
}

static void
test_table_each_vlan_of_one_neighbour_has_its_path(void)
{
	struct trial trial = trial_start(63);
	struct path_table table;
	void *memory = trial_memory(path_table_size(PATHS_MAX));
	struct model_path p = model_path(0);

	path_table_init(&table, memory, PATHS_MAX);
	for (uint32_t half = 0; half < 2; half++) {
		for (uint32_t vlan = 1; vlan < 4095; vlan++, trial.step++) {
			p.tags = vlan << (16 * half);
			TRIAL_CHECK(&trial, get(&table, &p, SIDE_OUTSIDE) == trial.step + 1);
		}
	}
	free(memory);
}

static void
test_no_path_is_never_counted(void)
{
	struct path_table table;
	void *memory = trial_memory(path_table_size(2));
	struct model_path p = model_path(3);

	path_table_init(&table, memory, 2);
	path_put(&table, 0);
	path_put(&table, 0);
	CU_ASSERT_EQUAL(table.used, 0);
	CU_ASSERT_EQUAL(get(&table, &p, SIDE_INSIDE), 1);
	path_put(&table, 1);
	CU_ASSERT_EQUAL(get(&table, &p, SIDE_OUTSIDE), 1);
	free(memory);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_table_random_references_balance),
		CHECK_TEST(test_table_largest_gives_all_its_numbers),
		CHECK_TEST(test_table_each_vlan_of_one_neighbour_has_its_path),
		CHECK_TEST(test_no_path_is_never_counted),
		CU_TEST_INFO_NULL,
	};
	return check_run("path", tests);
}
