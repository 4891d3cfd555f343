/* SPDX-License-Identifier: BSD-3-Clause */
/* The pools of records and blocks; what they are for stands in pending.h. */
#include "pending.h"

/* Of blocks beyond the reserved ones: below this share of them clients are told less. */
#define SCARCE_SHARE 4u
#define WINDOW_LEAST 1460u

static size_t
line(size_t size)
{
	return (size + 63) & ~(size_t)63;
}

static uint32_t
block_count(uint32_t capacity, uint32_t hold_bytes)
{
	return capacity * PENDING_BLOCKS_EACH + hold_bytes / PENDING_BLOCK_SIZE + 1;
}

size_t
pending_table_size(uint32_t capacity, uint32_t hold_bytes)
{
	uint32_t n_blocks = block_count(capacity, hold_bytes);

	return line((size_t)capacity * sizeof(struct pending)) +
	       line((size_t)n_blocks * sizeof(struct pending_block)) +
	       (size_t)n_blocks * PENDING_BLOCK_SIZE;
}

void
pending_table_init(struct pending_table *table, void *memory, uint32_t capacity,
                   uint32_t hold_bytes)
{
	uint8_t *at = memory;

	memset(table, 0, sizeof(*table));
	table->capacity = capacity;
	table->n_blocks = table->n_free_blocks = block_count(capacity, hold_bytes);
	table->records = (struct pending *)(void *)at;
	at += line((size_t)capacity * sizeof(struct pending));
	table->blocks = (struct pending_block *)(void *)at;
	at += line((size_t)table->n_blocks * sizeof(struct pending_block));
	table->data = at;
	table->resting = FLOW_NONE;
	for (uint32_t i = 0; i < capacity; i++)
		table->records[i].next = i + 1 < capacity ? i + 1 : FLOW_NONE;
	table->free = capacity > 0 ? 0 : FLOW_NONE;
	for (uint32_t i = 0; i < table->n_blocks; i++)
		table->blocks[i].next = i + 1 < table->n_blocks ? i + 1 : FLOW_NONE;
	for (unsigned int s = 0; s < PENDING_STAGES_ROOM; s++)
		table->lists[0][s] = table->lists[1][s] = (struct pending_list){ FLOW_NONE,
			                                                         FLOW_NONE };
	table->doubtful_max = capacity / PENDING_DOUBTFUL_SHARE;
	if (table->doubtful_max == 0)
		table->doubtful_max = 1;
}

uint32_t
pending_gives_way(const struct pending_table *table, bool doubtful)
{
	unsigned int kind = doubtful && table->n_doubtful >= table->doubtful_max;
	uint32_t longest = FLOW_NONE;

	for (; kind < 2; kind++)
		for (unsigned int s = 0; s < PENDING_STAGE_ANSWERED; s++) {
			uint32_t head = table->lists[kind][s].head;

			if (head != FLOW_NONE &&
			    (longest == FLOW_NONE ||
			     table->records[head].started_ms < table->records[longest].started_ms))
				longest = head;
		}
	return longest;
}

uint32_t
pending_take(struct pending_table *table, bool doubtful)
{
	uint32_t number = table->free;

	if (number == FLOW_NONE)
		return FLOW_NONE;
	struct pending *p = &table->records[number];
	table->free = p->next;
	gauge_add(&table->used, 1);
	p->next = p->prev = FLOW_NONE;
	p->first_block = p->last_block = FLOW_NONE;
	p->held_size = 0;
	p->stage = PENDING_NO_STAGE;
	p->flags = doubtful ? PENDING_DOUBTFUL : 0;
	table->n_doubtful += doubtful;
	return number;
}

static void
blocks_free(struct pending_table *table, struct pending *p)
{
	if (p->first_block == FLOW_NONE)
		return;
	table->n_started--;
	for (uint32_t block = p->first_block; block != FLOW_NONE;) {
		uint32_t next = table->blocks[block].next;

		table->blocks[block].next = table->free_block;
		table->free_block = block;
		table->n_free_blocks++;
		block = next;
	}
	p->first_block = p->last_block = FLOW_NONE;
}

void
pending_settle_last(struct pending_table *table, uint32_t number)
{
	struct pending *p = &table->records[number];

	/* One that held nothing is free already. */
	if (table->resting != number)
		return;
	table->resting = p->next;
	blocks_free(table, p);
	p->next = table->free;
	table->free = number;
}

void
pending_settle(struct pending_table *table)
{
	while (table->resting != FLOW_NONE)
		pending_settle_last(table, table->resting);
}

void
pending_wait(struct pending_table *table, uint32_t number, unsigned int stage, uint64_t deadline_ms)
{
	struct pending *p = &table->records[number];

	pending_unlink(table, p);
	p->stage = (uint8_t)stage;
	p->deadline_ms = deadline_ms;
	pending_append(table, pending_list_of(table, p->flags, stage), number);
}

uint32_t
pending_due(const struct pending_table *table, uint64_t now_ms)
{
	for (unsigned int i = 0; i < 2 * PENDING_STAGES; i++) {
		uint32_t head = table->lists[i & 1][i / 2].head;

		if (head != FLOW_NONE && table->records[head].deadline_ms <= now_ms)
			return head;
	}
	return FLOW_NONE;
}

uint64_t
pending_next_ms(const struct pending_table *table)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < 2 * PENDING_STAGES; i++) {
		uint32_t head = table->lists[i & 1][i / 2].head;

		if (head != FLOW_NONE && table->records[head].deadline_ms < least)
			least = table->records[head].deadline_ms;
	}
	return least;
}

/* Free blocks that are reserved for nobody. */
static uint32_t
blocks_spare(const struct pending_table *table)
{
	return table->n_free_blocks - (table->capacity - table->n_started);
}

static void
block_append(struct pending_table *table, struct pending *p)
{
	uint32_t block = table->free_block;

	table->free_block = table->blocks[block].next;
	table->n_free_blocks--;
	table->blocks[block] = (struct pending_block){ .next = FLOW_NONE };
	if (p->first_block == FLOW_NONE) {
		p->first_block = block;
		table->n_started++;
	} else {
		table->blocks[p->last_block].next = block;
	}
	p->last_block = block;
}

bool
pending_hold(struct pending_table *table, uint32_t number, const uint8_t *bytes, uint32_t size)
{
	struct pending *p = &table->records[number];
	bool starts = p->first_block == FLOW_NONE;
	bool fits = !starts && table->blocks[p->last_block].size + size <= PENDING_BLOCK_SIZE;
	uint32_t wanted = fits ? 0 : (size + PENDING_BLOCK_SIZE - 1) / PENDING_BLOCK_SIZE;

	/* The first block of a record is its own. */
	if (wanted > blocks_spare(table) + (starts ? 1u : 0u))
		return false;
	p->held_size += size;
	while (size > 0) {
		if (!fits)
			block_append(table, p);
		struct pending_block *b = &table->blocks[p->last_block];
		uint32_t room = PENDING_BLOCK_SIZE - b->size, n = size < room ? size : room;

		memcpy(table->data + (size_t)p->last_block * PENDING_BLOCK_SIZE + b->size, bytes,
		       n);
		b->size += n;
		bytes += n;
		size -= n;
		fits = false;
	}
	return true;
}

uint32_t
pending_window(const struct pending_table *table, uint32_t hold_bytes)
{
	uint32_t scarce = (table->n_blocks - table->capacity) / SCARCE_SHARE;
	uint32_t spare = blocks_spare(table);

	if (spare >= scarce)
		return hold_bytes;
	uint32_t window = (uint32_t)((uint64_t)hold_bytes * spare / scarce);
	uint32_t least = hold_bytes < WINDOW_LEAST ? hold_bytes : WINDOW_LEAST;
	return window > least ? window : least;
}
