/* SPDX-License-Identifier: BSD-3-Clause */
/* Records in lists: the free ones, those that rest, and one for each stage. */
#include "pending.h"

#include "flow_index.h"
#include "gauge.h"

#define NO_STAGE 0xffu

size_t
pending_table_size(uint32_t capacity, uint32_t data_size)
{
	size_t records = (size_t)capacity * sizeof(struct pending);

	return ((records + 63) & ~(size_t)63) + (((size_t)capacity * data_size + 63) & ~(size_t)63);
}

void
pending_table_init(struct pending_table *table, void *memory, uint32_t capacity, uint32_t data_size)
{
	size_t records = (size_t)capacity * sizeof(struct pending);

	memset(table, 0, sizeof(*table));
	table->records = memory;
	table->data = (uint8_t *)memory + ((records + 63) & ~(size_t)63);
	table->data_size = data_size;
	table->capacity = capacity;
	table->resting = FLOW_NONE;
	for (uint32_t i = 0; i < capacity; i++)
		table->records[i].next = i + 1 < capacity ? i + 1 : FLOW_NONE;
	table->free = capacity > 0 ? 0 : FLOW_NONE;
	for (unsigned int s = 0; s < PENDING_STAGES; s++)
		table->head[s] = table->tail[s] = FLOW_NONE;
}

uint32_t
pending_take(struct pending_table *table)
{
	uint32_t number = table->free;

	if (number == FLOW_NONE)
		return FLOW_NONE;
	struct pending *p = &table->records[number];
	table->free = p->next;
	gauge_add(&table->used, 1);
	memset(p, 0, sizeof(*p));
	p->next = p->prev = FLOW_NONE;
	p->stage = NO_STAGE;
	return number;
}

static void
pending_unlink(struct pending_table *table, uint32_t number)
{
	struct pending *p = &table->records[number];

	if (p->stage == NO_STAGE)
		return;
	if (p->prev != FLOW_NONE)
		table->records[p->prev].next = p->next;
	else
		table->head[p->stage] = p->next;
	if (p->next != FLOW_NONE)
		table->records[p->next].prev = p->prev;
	else
		table->tail[p->stage] = p->prev;
	p->stage = NO_STAGE;
}

void
pending_give(struct pending_table *table, uint32_t number)
{
	pending_unlink(table, number);
	table->records[number].next = table->resting;
	table->resting = number;
	gauge_sub(&table->used, 1);
}

void
pending_settle(struct pending_table *table)
{
	while (table->resting != FLOW_NONE) {
		struct pending *p = &table->records[table->resting];
		uint32_t next = p->next;

		p->next = table->free;
		table->free = table->resting;
		table->resting = next;
	}
}

void
pending_wait(struct pending_table *table, uint32_t number, unsigned int stage, uint64_t deadline_ms)
{
	struct pending *p = &table->records[number];

	pending_unlink(table, number);
	p->stage = (uint8_t)stage;
	p->deadline_ms = deadline_ms;
	p->next = FLOW_NONE;
	p->prev = table->tail[stage];
	if (p->prev != FLOW_NONE)
		table->records[p->prev].next = number;
	else
		table->head[stage] = number;
	table->tail[stage] = number;
}

uint32_t
pending_due(const struct pending_table *table, uint64_t now_ms)
{
	for (unsigned int s = 0; s < PENDING_STAGES; s++) {
		uint32_t head = table->head[s];

		if (head != FLOW_NONE && table->records[head].deadline_ms <= now_ms)
			return head;
	}
	return FLOW_NONE;
}
