/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that nothing is open for. */
#include "stray.h"

#include "act.h"
#include "pass.h"

void
stray_syn_ack(struct core *core, struct step *step)
{
	act_drop(core, step, COUNTER_drop_stray_syn_ack);
}

void
stray_rst(struct core *core, struct step *step)
{
	act_drop(core, step, COUNTER_drop_stray_rst);
}

void
stray_drop(struct core *core, struct step *step)
{
	act_drop(core, step, COUNTER_drop_stray);
}

void
stray_inside(struct core *core, struct step *step)
{
	if (step->entry == FLOW_NONE &&
	    (!(step->seg->flags & TCP_SYN) || pass_resumes(core, step)) && pass_adopt(core, step))
		return;
	act_reset(core, step);
}
