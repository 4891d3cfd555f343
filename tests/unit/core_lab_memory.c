/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a lab: its core's, and the list of its actions. */
#include "core_lab.h"

#define ACTIONS_MAX 16384u

/* What the last lab had: most want as much, and new pages cost more than a test. */
static struct {
	void *memory;
	size_t size;
	struct action *actions;
} left_over;

void
lab_memory_take(struct lab *lab)
{
	size_t size = (core_size(&lab->params) + 63) & ~(size_t)63;

	lab->actions.max = ACTIONS_MAX;
	lab->actions.list = left_over.actions;
	left_over.actions = NULL;
	if (lab->actions.list == NULL)
		lab->actions.list = calloc(ACTIONS_MAX, sizeof(struct action));
	if (left_over.size == size) {
		lab->memory = left_over.memory;
		left_over.memory = NULL;
		left_over.size = 0;
	} else {
		lab->memory = aligned_alloc(64, size);
	}
	if (lab->memory == NULL || lab->actions.list == NULL)
		abort();
}

void
lab_memory_leave(struct lab *lab)
{
	if (lab->memory == NULL)
		return;
	free(left_over.memory);
	left_over.memory = lab->memory;
	left_over.size = (core_size(&lab->params) + 63) & ~(size_t)63;
	free(left_over.actions);
	left_over.actions = lab->actions.list;
}
