/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of half-open entries: storage, free list, and a list in order of
 * time for each stage. An entry in no list has its own number as `next`. */
#include "half_open.h"

#include <assert.h>
#include <string.h>

#include "gauge.h"
#include "seq.h"

size_t
half_open_table_size(uint32_t capacity)
{
	size_t size = (size_t)capacity * (sizeof(struct half_open) + sizeof(struct half_open_side));
	return (size + 63) & ~(size_t)63;
}

void
half_open_table_init(struct half_open_table *table, void *memory, uint32_t capacity)
{
	struct half_open *entries = memory;

	*table = (struct half_open_table){
		.entries = entries,
		.sides = (struct half_open_side *)(entries + capacity),
		.capacity = capacity,
		.free = FLOW_NONE,
	};
	for (unsigned int i = 0; i < HALF_OPEN_STAGES; i++)
		table->head[i] = table->tail[i] = FLOW_NONE;
}

uint32_t
half_open_take(struct half_open_table *table)
{
	uint32_t number = table->free;

	if (number != FLOW_NONE)
		table->free = table->entries[number].next;
	else if (table->fresh < table->capacity)
		number = table->fresh++;
	else
		return FLOW_NONE;
	memset(&table->entries[number], 0, sizeof(table->entries[number]));
	memset(&table->sides[number], 0, sizeof(table->sides[number]));
	table->entries[number].next = table->entries[number].prev = number;
	gauge_add(&table->used, 1);
	return number;
}

static void
half_open_unlink(struct half_open_table *table, uint32_t number)
{
	struct half_open *entry = &table->entries[number];
	unsigned int stage = table->sides[number].stage;

	if (entry->next == number)
		return;
	if (entry->prev != FLOW_NONE)
		table->entries[entry->prev].next = entry->next;
	else
		table->head[stage] = entry->next;
	if (entry->next != FLOW_NONE)
		table->entries[entry->next].prev = entry->prev;
	else
		table->tail[stage] = entry->prev;
}

void
half_open_give(struct half_open_table *table, uint32_t number)
{
	assert(number < table->fresh && table->used > 0);
	half_open_unlink(table, number);
	table->entries[number].next = table->free;
	table->free = number;
	gauge_sub(&table->used, 1);
}

void
half_open_wait(struct half_open_table *table, uint32_t number, unsigned int stage,
               uint32_t deadline_ms)
{
	struct half_open *entry = &table->entries[number];
	uint32_t last;

	assert(stage < HALF_OPEN_STAGES);
	half_open_unlink(table, number);
	last = table->tail[stage];
	assert(last == FLOW_NONE || seq_before_eq(table->entries[last].deadline_ms, deadline_ms));
	entry->deadline_ms = deadline_ms;
	entry->prev = last;
	entry->next = FLOW_NONE;
	table->sides[number].stage = (uint8_t)stage;
	if (last != FLOW_NONE)
		table->entries[last].next = number;
	else
		table->head[stage] = number;
	table->tail[stage] = number;
}

uint32_t
half_open_due(const struct half_open_table *table, uint32_t now_ms)
{
	for (unsigned int i = 0; i < HALF_OPEN_STAGES; i++) {
		uint32_t first = table->head[i];
		if (first != FLOW_NONE && seq_before_eq(table->entries[first].deadline_ms, now_ms))
			return first;
	}
	return FLOW_NONE;
}

uint32_t
half_open_left(const struct half_open_table *table, uint32_t now_ms)
{
	uint32_t least = UINT32_MAX;

	for (unsigned int i = 0; i < HALF_OPEN_STAGES; i++) {
		if (table->head[i] == FLOW_NONE)
			continue;
		uint32_t deadline_ms = table->entries[table->head[i]].deadline_ms;
		uint32_t left = seq_before(now_ms, deadline_ms) ? deadline_ms - now_ms : 0;
		if (left < least)
			least = left;
	}
	return least;
}
