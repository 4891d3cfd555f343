/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode handoff: cookies out, everything else through. */
#include "handoff.h"

#include "act.h"
#include "admission.h"
#include "decision.h"
#include "handshake.h"

void
handoff_decide(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;

	decision_handlers[STATE_HANDOFF][seg->side][decision_event(seg)](core, step);
}

void
handoff_pass(struct core *core, struct step *step)
{
	act_forward(core, step, COUNTER_passed_handoff);
}

/* Under the cap of SYNs that pass by policy; else dropped. */
static void
pass_or_drop(struct core *core, struct step *step, enum counter passed, enum counter dropped)
{
	if (bucket_take(&core->pass_bucket, PASSES_PER_S, (uint32_t)step->now->now_ms))
		act_forward(core, step, passed);
	else
		act_drop(core, step, dropped);
}

static void
refuse(struct core *core, struct step *step, enum refusal how, enum counter passed,
       enum counter dropped)
{
	if (how == REFUSE_RESET)
		act_reset(core, step);
	else if (how == REFUSE_PASS)
		pass_or_drop(core, step, passed, dropped);
	else
		act_drop(core, step, dropped);
}

/* Denied to its source, or with a signature: true if that has settled it. */
static __attribute__((noinline)) bool
syn_is_special(struct core *core, struct step *step)
{
	const struct service *service = step->service;

	if (!policy_admits(core->policy, service, &step->seg->flow.client)) {
		sum_add(&step->state->refused, 1);
		refuse(core, step, service->denied, COUNTER_passed_closed, COUNTER_drop_denied);
		return true;
	}
	if (step->seg->options & (OPTION_MD5 | OPTION_AO)) {
		refuse(core, step, service->signed_syn, COUNTER_passed_syn, COUNTER_drop_signed);
		return true;
	}
	return false;
}

/* What the workers may let pass together, as this one's part; a port may bring to fewer
 * workers than there are, and nobody hands such a SYN on. */
static uint32_t
calm_share(const struct core *core, const struct service *service)
{
	uint32_t n = core->params.n_receivers != 0 ? core->params.n_receivers
	                                           : core->params.n_workers;

	return (service->calm_syn_per_s + n - 1) / n;
}

/* Half-open connections are the servers' and cannot be counted here: the rate of the SYNs that
 * pass stands for them. */
static bool
syn_passes_in_calm(struct core *core, struct step *step)
{
	struct service_state *state = step->state;

	if (step->service->calm != CALM_TRANSPARENT || state->cookies == COOKIES_ALWAYS ||
	    state->cookie_mode || admission_over_budget(core, step))
		return false;
	if (state->n_passed < calm_share(core, step->service)) {
		state->n_passed++;
		return true;
	}
	__atomic_store_n(&state->cookie_mode, true, __ATOMIC_RELAXED);
	core_count(core, COUNTER_cookie_mode_entered);
	return false;
}

void
handoff_second(struct core *core, struct service_state *state)
{
	uint32_t answered = state->n_cookies;

	state->n_passed = 0;
	state->n_cookies = 0;
	if (!state->cookie_mode || answered > calm_share(core, state->service) / 2)
		return;
	__atomic_store_n(&state->cookie_mode, false, __ATOMIC_RELAXED);
	core_count(core, COUNTER_cookie_mode_left);
}

void
handoff_syn(struct core *core, struct step *step)
{
	struct segment *seg = step->seg;

	/* It is answered, so it must be whole (RFC 9293, MUST-3) and one station's. */
	if (!segment_checksum_ok(seg)) {
		act_drop(core, step, COUNTER_drop_checksum);
		return;
	}
	if (seg->frame[0] & 1) {
		act_drop(core, step, COUNTER_drop_address);
		return;
	}
	core_count(core, COUNTER_syn_received);
	sum_add(&step->state->syn, 1);
	if (__builtin_expect(step->state->is_listed || (seg->options & (OPTION_MD5 | OPTION_AO)),
	                     0) &&
	    syn_is_special(core, step))
		return;
	if (syn_passes_in_calm(core, step))
		act_forward(core, step, COUNTER_passed_syn);
	else
		handshake_syn_under_caps(core, step);
}

bool
handoff_foreign(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;

	switch ((enum segment_class)seg->class) {
	case SEGMENT_ICMP_ERROR:
		act_forward(core, step, COUNTER_passed_icmp);
		return true;
	case SEGMENT_FRAGMENT_FIRST:
		/* What would be answered if it came in one piece does not pass in several. */
		if (seg->side == SIDE_OUTSIDE && decision_event(seg) == EVENT_SYN)
			act_drop(core, step, COUNTER_drop_fragment);
		else
			act_forward(core, step, COUNTER_passed_fragment);
		return true;
	default:
		return false;
	}
}

bool
handoff_fragment(struct core *core, struct step *step)
{
	if (!core->hands_off || !bucket_take(&core->fragment_bucket, FRAGMENTS_PER_S,
	                                     (uint32_t)step->now->now_ms))
		return false;
	act_forward(core, step, COUNTER_passed_fragment);
	return true;
}
