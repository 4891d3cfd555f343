/* SPDX-License-Identifier: BSD-3-Clause */
/* Pending records and the pool of what they hold, beside a naive model: a string each. */
#include "pending.h"

#include "flow_index.h"
#include "trial.h"

#define N_RECORDS 24u
#define HOLD_BYTES 16384u
#define HELD_MAX (8u * HOLD_BYTES)
#define NO_STAGE 0xffu
#define SCARCE_SHARE 4u /* below a quarter of the shared blocks windows shrink */
#define WINDOW_LEAST 1460u

struct model_record {
	bool taken, rests, doubtful;
	unsigned int stage;
	uint64_t deadline_ms, order;
	uint32_t size;
	uint8_t bytes[HELD_MAX];
};

static struct model {
	struct pending_table table;
	struct model_record records[N_RECORDS];
	unsigned int n_taken, n_doubtful;
	uint64_t order;
} model;

static uint32_t
blocks_of(const struct model_record *r)
{
	uint32_t n = 0;

	if (!r->taken && !r->rests)
		return 0;
	for (uint32_t b = model.table.records[r - model.records].first_block; b != FLOW_NONE;
	     b = model.table.blocks[b].next)
		n++;
	return n;
}

/* What is held is what was put in, in order; and no block is in two places. */
static void
check_held(struct trial *trial)
{
	uint32_t in_use = 0, started = 0;

	for (uint32_t i = 0; i < N_RECORDS; i++) {
		const struct model_record *r = &model.records[i];
		uint32_t n = blocks_of(r), at = 0;
		in_use += n;
		started += n != 0;
		if (!r->taken)
			continue;
		const struct pending *p = &model.table.records[i];
		TRIAL_CHECK(trial, p->held_size == r->size);
		for (uint32_t b = p->first_block; b != FLOW_NONE; b = model.table.blocks[b].next) {
			uint32_t size = model.table.blocks[b].size;
			TRIAL_CHECK(trial, size > 0 && size <= PENDING_BLOCK_SIZE);
			TRIAL_CHECK(trial, at + size <= r->size);
			TRIAL_CHECK(trial, memcmp(pending_block_data(&model.table, b),
			                          r->bytes + at, size) == 0);
			at += size;
			TRIAL_CHECK(trial, (model.table.blocks[b].next == FLOW_NONE) ==
			                           (b == p->last_block));
		}
		TRIAL_CHECK(trial, at == r->size);
	}
	TRIAL_CHECK(trial, model.table.n_free_blocks == model.table.n_blocks - in_use);
	TRIAL_CHECK(trial, model.table.n_started == started);
	TRIAL_CHECK(trial, model.table.used == model.n_taken);
}

/* Blocks that nobody's first segment needs. */
static uint32_t
spare(void)
{
	uint32_t n = model.table.n_free_blocks;

	for (uint32_t i = 0; i < N_RECORDS; i++)
		n -= blocks_of(&model.records[i]) == 0;
	return n;
}

static void
step_hold(struct trial *trial, uint32_t i)
{
	struct model_record *r = &model.records[i];
	uint8_t bytes[2 * PENDING_BLOCK_SIZE];
	uint32_t size = 1 + trial_pick(trial, trial_pick(trial, 4) == 0 ? 2900 : 200);
	uint32_t before = blocks_of(r), wanted = (size - 1) / PENDING_BLOCK_SIZE + 1;

	if (r->size + size > HELD_MAX)
		return;
	for (uint32_t k = 0; k < size; k++)
		bytes[k] = (uint8_t)trial_pick(trial, 256);
	uint32_t left = spare();
	bool held = pending_hold(&model.table, i, bytes, size);
	/* A record's first block is its own, so a first segment of one block is always held. */
	if (before == 0 && wanted == 1)
		TRIAL_CHECK(trial, held);
	if (!held) {
		TRIAL_CHECK(trial, blocks_of(r) == before);
		TRIAL_CHECK(trial, wanted > left + (before == 0));
		return;
	}
	TRIAL_CHECK(trial, blocks_of(r) <= before + wanted);
	memcpy(r->bytes + r->size, bytes, size);
	r->size += size;
}

static void
check_window(struct trial *trial)
{
	static const uint32_t holds[] = { 500, WINDOW_LEAST, 4096, 65535, 1u << 20 };
	uint32_t shared = model.table.n_blocks - N_RECORDS, scarce = shared / SCARCE_SHARE;
	uint32_t left = spare();

	for (unsigned int i = 0; i < 5; i++) {
		uint32_t window = pending_window(&model.table, holds[i]);
		uint32_t least = holds[i] < WINDOW_LEAST ? holds[i] : WINDOW_LEAST;
		TRIAL_CHECK(trial, window >= least && window <= holds[i]);
		if (left >= scarce)
			TRIAL_CHECK(trial, window == holds[i]);
		else if ((uint64_t)holds[i] * left / scarce > least)
			TRIAL_CHECK(trial, window == (uint64_t)holds[i] * left / scarce);
		else
			TRIAL_CHECK(trial, window == least);
	}
}

/* The first of those that wait in this list. */
static uint32_t
head_of(bool doubtful, unsigned int stage)
{
	uint32_t head = FLOW_NONE;

	for (uint32_t i = 0; i < N_RECORDS; i++) {
		const struct model_record *r = &model.records[i];
		if (r->taken && r->doubtful == doubtful && r->stage == stage &&
		    (head == FLOW_NONE || r->order < model.records[head].order))
			head = i;
	}
	return head;
}

/* Who gives way has waited longest, and not for a second SYN-ACK; one of a doubtful server if
 * these have their share. */
static void
check_gives_way(struct trial *trial, bool doubtful)
{
	bool alone = doubtful && model.n_doubtful >= N_RECORDS / PENDING_DOUBTFUL_SHARE;
	uint64_t longest = UINT64_MAX;

	for (unsigned int stage = 0; stage < PENDING_STAGE_ANSWERED; stage++)
		for (unsigned int kind = alone; kind < 2; kind++) {
			uint32_t head = head_of(kind, stage);
			if (head != FLOW_NONE && model.table.records[head].started_ms < longest)
				longest = model.table.records[head].started_ms;
		}
	uint32_t number = pending_gives_way(&model.table, doubtful);
	if (number == FLOW_NONE) {
		TRIAL_CHECK(trial, longest == UINT64_MAX);
		return;
	}
	TRIAL_CHECK(trial, model.records[number].stage < PENDING_STAGE_ANSWERED);
	TRIAL_CHECK(trial, model.table.records[number].started_ms == longest);
	TRIAL_CHECK(trial, !alone || model.records[number].doubtful);
}

/* The first whose time has come, by stages; and the earliest of all. */
static void
check_due(struct trial *trial, uint64_t now_ms)
{
	uint64_t least = UINT64_MAX;
	uint32_t due = FLOW_NONE;

	for (unsigned int list = 2 * PENDING_STAGES; list-- > 0;) {
		uint32_t head = head_of(list & 1, list / 2);
		if (head == FLOW_NONE)
			continue;
		if (model.records[head].deadline_ms <= now_ms)
			due = head;
		if (model.records[head].deadline_ms < least)
			least = model.records[head].deadline_ms;
	}
	TRIAL_CHECK(trial, pending_due(&model.table, now_ms) == due);
	TRIAL_CHECK(trial, pending_next_ms(&model.table) == least);
}

static void
step(struct trial *trial, uint64_t now_ms)
{
	uint32_t i = trial_pick(trial, N_RECORDS), what = trial_pick(trial, 16);
	struct model_record *r = &model.records[i];

	if (what == 0) {
		pending_settle(&model.table);
		for (uint32_t k = 0; k < N_RECORDS; k++)
			model.records[k].rests = false;
	} else if (what < 4) {
		bool doubtful = trial_pick(trial, 4) == 0;
		bool room = pending_has_room(&model.table, doubtful);
		bool starts = room && trial_pick(trial, 2) == 0;
		uint8_t flags = doubtful ? PENDING_DOUBTFUL : 0;
		uint64_t deadline_ms = now_ms + trial_pick(trial, 1000);
		uint32_t number = starts ? pending_start(&model.table, flags, deadline_ms)
		                         : pending_take(&model.table, doubtful);
		unsigned int n_free = 0;
		for (uint32_t k = 0; k < N_RECORDS; k++)
			n_free += !model.records[k].taken && !model.records[k].rests;
		TRIAL_CHECK(trial, (number == FLOW_NONE) == (n_free == 0));
		TRIAL_CHECK(trial,
		            room == (n_free != 0 &&
		                     (!doubtful ||
		                      model.n_doubtful < N_RECORDS / PENDING_DOUBTFUL_SHARE)));
		if (number == FLOW_NONE)
			return;
		TRIAL_CHECK(trial, number < N_RECORDS && !model.records[number].taken &&
		                           !model.records[number].rests);
		TRIAL_CHECK(trial, model.table.records[number].flags == flags);
		model.table.records[number].started_ms = now_ms;
		model.records[number] = (struct model_record){ .taken = true,
			                                       .stage = starts ? 0 : NO_STAGE,
			                                       .deadline_ms = deadline_ms,
			                                       .order = ++model.order,
			                                       .doubtful = doubtful };
		model.n_taken++;
		model.n_doubtful += doubtful;
	} else if (r->taken && what == 4) {
		bool holds = blocks_of(r) != 0;
		pending_give(&model.table, i);
		r->taken = false;
		r->rests = holds && trial_pick(trial, 2) == 0;
		if (!r->rests)
			pending_settle_last(&model.table, i);
		model.n_taken--;
		model.n_doubtful -= r->doubtful;
	} else if (r->taken && what < 8) {
		r->stage = trial_pick(trial, PENDING_STAGES);
		r->deadline_ms = now_ms + trial_pick(trial, 1000);
		r->order = ++model.order;
		pending_wait(&model.table, i, r->stage, r->deadline_ms);
	} else if (r->taken) {
		step_hold(trial, i);
	}
}

static void
test_pending_is_the_model(void)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct trial trial = trial_start(seed * 7919);
		size_t size = pending_table_size(N_RECORDS, HOLD_BYTES);
		void *memory = trial_memory(size);

		memset(&model, 0, sizeof(model));
		pending_table_init(&model.table, memory, N_RECORDS, HOLD_BYTES);
		CU_ASSERT(model.table.n_blocks >=
		          N_RECORDS * PENDING_BLOCKS_EACH + HOLD_BYTES / PENDING_BLOCK_SIZE);
		/* All of it lies in the memory that it was given. */
		CU_ASSERT((uint8_t *)model.table.data +
		                  (size_t)model.table.n_blocks * PENDING_BLOCK_SIZE <=
		          (uint8_t *)memory + size);
		for (trial.step = 0; trial.step < 3000; trial.step++) {
			uint64_t now_ms = 1000 + trial.step;
			step(&trial, now_ms);
			check_due(&trial, now_ms);
			check_gives_way(&trial, trial.step & 1);
			check_window(&trial);
			if (trial.step % 16 == 0)
				check_held(&trial);
		}
		check_held(&trial);
		free(memory);
	}
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_pending_is_the_model),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	return check_run("pending", tests);
}
