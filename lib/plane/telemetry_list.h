/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list is a dict of columns, { "name": [...], "syn": [...] }: an array of
 * dicts is beyond this version of DPDK. Each row gives its cells in the same order.
 */
#ifndef SYNFRONT_TELEMETRY_LIST_H
#define SYNFRONT_TELEMETRY_LIST_H

#include <rte_telemetry.h>
#include <stdint.h>

#define LIST_COLUMNS_MAX 24u

struct list {
	struct rte_tel_data *columns[LIST_COLUMNS_MAX];
	const char *names[LIST_COLUMNS_MAX];
	unsigned int n, at; /* at: the cell of the row that comes next; 0 begins a row */
};

void list_text(struct list *list, const char *name, const char *text);
void list_u64(struct list *list, const char *name, uint64_t value);

/* The answer: the columns, and where the next page begins, 0 if this was the last. */
int list_answer(struct rte_tel_data *d, struct list *list, uint64_t next);

#endif
