/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose a segment is, where several workers share the flows. */
#include "core.h"
#include "handshake.h"

enum core_whose
core_whose(struct core *core, const struct segment *seg, const struct instant *now)
{
	uint16_t id;

	if (seg->class == SEGMENT_OTHER || seg->class == SEGMENT_MALFORMED)
		return CORE_HERE;
	id = destination_service(&core->destinations, core->policy, &seg->flow, seg->is_v4);
	/* After a reload there may be connections of services that are no more. */
	if (id == SERVICE_NONE && core->policy->generation == 1)
		return CORE_HERE;
	/* Nothing is kept of its flows, whatever the segment is. */
	if (id < SERVICES_MAX && core->services[id].is_stateless)
		return CORE_ANY;
	if (id < SERVICES_MAX && segment_opens(seg) &&
	    handshake_answers_anywhere(core, &core->services[id], seg, now))
		return CORE_ANY;
	return CORE_OWNER;
}
