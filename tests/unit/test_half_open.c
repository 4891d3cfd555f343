/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of half-open entries against an array, over the wrap of the clock. */
#include "half_open.h"
#include "trial.h"

#define CAPACITY 300u

enum place {
	FREE,
	UNLISTED,
	LISTED
};

struct model_entry {
	enum place place;
	unsigned int stage;
	uint64_t deadline_ms; /* does not wrap */
	uint32_t irs;
};

struct model {
	struct trial trial;
	struct half_open_table table;
	void *memory;
	struct model_entry entries[CAPACITY];
	uint64_t now_ms;
	uint32_t used;
};

static uint64_t
wait_ms(unsigned int stage)
{
	return 1000u << stage;
}

static void
audit(struct model *m)
{
	const struct half_open_table *t = &m->table;
	uint32_t n_listed = 0, n_walked = 0;

	for (uint32_t i = 0; i < CAPACITY; i++) {
		const struct model_entry *e = &m->entries[i];
		if (e->place == FREE)
			continue;
		TRIAL_CHECK(&m->trial, t->entries[i].irs == e->irs);
		n_listed += e->place == LISTED;
	}
	for (unsigned int stage = 0; stage < HALF_OPEN_STAGES; stage++) {
		uint32_t prev = FLOW_NONE;
		for (uint32_t i = t->head[stage]; i != FLOW_NONE; i = t->entries[i].next) {
			const struct model_entry *e = &m->entries[i];
			TRIAL_CHECK(&m->trial, e->place == LISTED && e->stage == stage);
			TRIAL_CHECK(&m->trial, t->sides[i].stage == stage);
			TRIAL_CHECK(&m->trial,
			            t->entries[i].deadline_ms == (uint32_t)e->deadline_ms);
			TRIAL_CHECK(&m->trial, t->entries[i].prev == prev);
			if (prev != FLOW_NONE)
				TRIAL_CHECK(&m->trial,
				            m->entries[prev].deadline_ms <= e->deadline_ms);
			prev = i;
			n_walked++;
			TRIAL_CHECK(&m->trial, n_walked <= n_listed);
		}
		TRIAL_CHECK(&m->trial, t->tail[stage] == prev);
	}
	TRIAL_CHECK(&m->trial, n_walked == n_listed && t->used == m->used);
}

static void
entry_wait(struct model *m, uint32_t number, unsigned int stage)
{
	struct model_entry *e = &m->entries[number];

	*e = (struct model_entry){ LISTED, stage, m->now_ms + wait_ms(stage), e->irs };
	half_open_wait(&m->table, number, stage, (uint32_t)e->deadline_ms);
}

static void
entry_give(struct model *m, uint32_t number)
{
	half_open_give(&m->table, number);
	m->entries[number].place = FREE;
	m->used--;
}

static void
entry_take(struct model *m)
{
	uint32_t number = half_open_take(&m->table);

	TRIAL_CHECK(&m->trial, (number == FLOW_NONE) == (m->used == CAPACITY));
	if (number == FLOW_NONE) {
		entry_give(m, trial_pick(&m->trial, CAPACITY));
		return;
	}
	TRIAL_CHECK(&m->trial, number < CAPACITY && m->entries[number].place == FREE);
	TRIAL_CHECK(&m->trial, m->table.entries[number].irs == 0);
	TRIAL_CHECK(&m->trial, m->table.sides[number].ts_sent == 0);
	m->entries[number] = (struct model_entry){ .place = UNLISTED, .irs = m->trial.step + 1 };
	m->table.entries[number].irs = m->trial.step + 1;
	m->table.sides[number].ts_sent = 1;
	m->used++;
	if (trial_pick(&m->trial, 16) != 0)
		entry_wait(m, number, 0);
}

/* Every due entry is found, and none other. */
static void
timers(struct model *m)
{
	uint32_t n_due = 0, number;

	for (uint32_t i = 0; i < CAPACITY; i++)
		n_due += m->entries[i].place == LISTED && m->entries[i].deadline_ms <= m->now_ms;
	while ((number = half_open_due(&m->table, (uint32_t)m->now_ms)) != FLOW_NONE) {
		struct model_entry *e = &m->entries[number];
		TRIAL_CHECK(&m->trial, e->place == LISTED && e->deadline_ms <= m->now_ms);
		TRIAL_CHECK(&m->trial, n_due-- > 0);
		if (e->stage + 1 < HALF_OPEN_STAGES)
			entry_wait(m, number, e->stage + 1);
		else
			entry_give(m, number);
	}
	TRIAL_CHECK(&m->trial, n_due == 0);
}

static void
random_run(uint64_t seed)
{
	static struct model m;

	memset(&m, 0, sizeof(m));
	m.trial = trial_start(seed);
	m.memory = trial_memory(half_open_table_size(CAPACITY));
	m.now_ms = (1ull << 32) - 200000; /* wraps on the way */
	half_open_table_init(&m.table, m.memory, CAPACITY);
	for (; m.trial.step < 30000; m.trial.step++) {
		uint32_t number = trial_pick(&m.trial, CAPACITY);
		m.now_ms += trial_pick(&m.trial, 40);
		if (trial_pick(&m.trial, 3) == 0 && m.entries[number].place != FREE)
			entry_give(&m, number);
		else if (trial_pick(&m.trial, 8) == 0 && m.entries[number].place != FREE)
			entry_wait(&m, number, trial_pick(&m.trial, HALF_OPEN_STAGES));
		else
			entry_take(&m);
		if (trial_pick(&m.trial, 4) == 0)
			timers(&m);
		if (m.trial.step % 64 == 0)
			audit(&m);
	}
	TRIAL_CHECK(&m.trial, m.now_ms > 1ull << 32);
	for (uint32_t i = 0; i < CAPACITY; i++)
		if (m.entries[i].place != FREE)
			entry_give(&m, i);
	audit(&m);
	free(m.memory);
}

static void
test_table_random_run_agrees_with_model(void)
{
	random_run(51);
	random_run(52);
	random_run(53);
}

static void
test_due_far_deadline_across_wrap_is_not_due(void)
{
	struct trial trial = trial_start(54);
	struct half_open_table table;
	void *memory = trial_memory(half_open_table_size(1));
	uint32_t number;

	half_open_table_init(&table, memory, 1);
	number = half_open_take(&table);
	TRIAL_CHECK(&trial, half_open_due(&table, 0) == FLOW_NONE);
	half_open_wait(&table, number, HALF_OPEN_STAGES - 1, 100);
	TRIAL_CHECK(&trial, half_open_due(&table, UINT32_MAX - 1000) == FLOW_NONE);
	TRIAL_CHECK(&trial, half_open_due(&table, 99) == FLOW_NONE);
	TRIAL_CHECK(&trial, half_open_due(&table, 100) == number);
	TRIAL_CHECK(&trial, half_open_due(&table, 1000) == number);
	free(memory);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_table_random_run_agrees_with_model),
		CHECK_TEST(test_due_far_deadline_across_wrap_is_not_due),
		CU_TEST_INFO_NULL,
	};
	return check_run("half_open", tests);
}
