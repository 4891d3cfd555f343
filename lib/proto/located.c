/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking the index again, after a change. */
#include "located.h"

/* Would the same be found of this one? */
static inline bool
located_still(const struct core *core, struct segment *s)
{
	struct flow_slot at;

	if (flow_index_first(&core->index, s->found.hash, &at) != s->found.entry)
		return false;
	if (s->found.entry != FLOW_NONE) {
		s->found.at_bucket = at.bucket;
		s->found.at_slot = (uint8_t)at.slot;
	}
	return true;
}

unsigned int
located_until(const struct core *core, struct segment *seg, unsigned int first, unsigned int n)
{
	const uint8_t plain = seg[first].found.plain;

	while (first < n && seg[first].found.plain == plain && located_still(core, &seg[first]))
		first++;
	return first;
}
