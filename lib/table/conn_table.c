/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of connections: storage and free list. Finding is flow_index.h's. */
#include "conn_table.h"

#include <assert.h>

#include "gauge.h"

size_t
conn_table_size(uint32_t capacity)
{
	size_t size = (size_t)capacity * (sizeof(struct conn) + sizeof(struct conn_side));
	return (size + 63) & ~(size_t)63;
}

void
conn_table_init(struct conn_table *table, void *memory, uint32_t capacity)
{
	struct conn *conns = memory;

	*table = (struct conn_table){
		.conns = conns,
		.sides = (struct conn_side *)(conns + capacity),
		.capacity = capacity,
		.free = FLOW_NONE,
	};
}

uint32_t
conn_table_take(struct conn_table *table)
{
	uint32_t number = table->free;

	if (number != FLOW_NONE)
		table->free = table->conns[number].next_free;
	else if (table->fresh < table->capacity)
		number = table->fresh++;
	else
		return FLOW_NONE;
	gauge_add(&table->used, 1);
	return number;
}

void
conn_table_give(struct conn_table *table, uint32_t number)
{
	struct conn *conn = &table->conns[number];

	assert(number < table->fresh && table->used > 0);
	conn->state = CONN_FREE;
	conn->next_free = table->free;
	table->free = number;
	gauge_sub(&table->used, 1);
}
