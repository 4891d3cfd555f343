/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode handoff: cookies out, everything else through. */
#include "handoff.h"

#include "act.h"
#include "admission.h"
#include "admit.h"
#include "fragment.h"
#include "handshake.h"
#include "shield.h"
#include "signed.h"

void
handoff_set(struct core *core, struct service_state *state, bool is_first)
{
	const struct service *service = state->service;
	bool is_handoff = state->mode == MODE_HANDOFF;

	core->hands_off |= is_handoff;
	state->group = is_handoff ? service->group_id : 0;
	/* What a reload has made one may still have connections of its mode before. */
	state->keeps_nothing = service->mode == MODE_HANDOFF && (is_first || state->keeps_nothing);
	state->is_stateless = is_handoff && state->keeps_nothing;
	state->is_shielded = is_handoff && service->unknown_per_s != 0 &&
	                     core->params.known != NULL;
}

/* Does the shield, if there is one, let it pass? */
static inline bool
outside_passes(struct core *core, struct step *step)
{
	return __builtin_expect(!step->state->is_shielded, 1) || shield_admits(core, step);
}

static inline void
inside_speaks(struct core *core, const struct step *step)
{
	if (__builtin_expect(step->state->is_shielded, 0))
		shield_note_inside(core, step);
}

void
handoff_outside(struct core *core, struct step *step)
{
	if (outside_passes(core, step))
		act_forward(core, step, COUNTER_passed_handoff);
	else
		act_drop(core, step, COUNTER_drop_unknown);
}

void
handoff_inside(struct core *core, struct step *step)
{
	inside_speaks(core, step);
	act_forward(core, step, COUNTER_passed_handoff);
}

/* What passes by policy may be a flood: `in_cap` says if it may. */
static void
refuse(struct core *core, struct step *step, enum refusal how, enum counter passed,
       enum counter dropped, bool (*in_cap)(struct core *core, const struct step *step))
{
	if (how == REFUSE_RESET)
		act_reset(core, step);
	else if (how == REFUSE_PASS && in_cap(core, step))
		act_forward(core, step, passed);
	else
		act_drop(core, step, dropped);
}

static bool
denied_passes(struct core *core, const struct step *step)
{
	return bucket_take(&core->pass_bucket, PASSES_PER_S, (uint32_t)step->now->now_ms);
}

/* Denied to its source, or with a signature: true if that has settled it. */
static __attribute__((noinline)) bool
syn_is_special(struct core *core, struct step *step)
{
	const struct service *service = step->service;

	if (!admits(core, service, &step->seg->flow.client)) {
		sum_add(&step->state->refused, 1);
		refuse(core, step, service->denied, COUNTER_passed_closed, COUNTER_drop_denied,
		       denied_passes);
		return true;
	}
	if (step->seg->options & (OPTION_MD5 | OPTION_AO)) {
		refuse(core, step, service->signed_syn, COUNTER_passed_syn, COUNTER_drop_signed,
		       signed_admits);
		return true;
	}
	return false;
}

/* Half-open connections are the servers' and cannot be counted here: the rate of the SYNs that
 * pass stands for them. */
static bool
syn_passes_in_calm(struct core *core, struct step *step)
{
	struct service_state *state = step->state;

	if (step->service->calm != CALM_TRANSPARENT || state->cookies == COOKIES_ALWAYS)
		return false;
	/* Those that no answer went to, over a cap, count as well: the flood goes on. */
	if (state->cookie_mode) {
		state->n_calm++;
		return false;
	}
	if (admission_over_budget(core, step))
		return false;
	if (++state->n_calm <= receiver_share(core, step->service->calm_syn_per_s))
		return true;
	__atomic_store_n(&state->cookie_mode, true, __ATOMIC_RELAXED);
	core_count(core, COUNTER_cookie_mode_entered);
	return false;
}

void
handoff_second(struct core *core, struct service_state *state)
{
	uint32_t n = state->n_calm;

	state->n_calm = 0;
	state->n_cookies = 0;
	if (!state->cookie_mode || n > receiver_share(core, state->service->calm_syn_per_s) / 2)
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

static void
fragment_first(struct core *core, struct step *step)
{
	bool is_outside = step->seg->side == SIDE_OUTSIDE;

	/* What would be answered if it came in one piece does not pass in several. */
	if (is_outside && (step->seg->flags & (TCP_RST | TCP_SYN | TCP_ACK)) == TCP_SYN) {
		act_drop(core, step, COUNTER_drop_fragment);
		return;
	}
	if (is_outside && !outside_passes(core, step)) {
		act_drop(core, step, COUNTER_drop_unknown);
		return;
	}
	if (!is_outside)
		inside_speaks(core, step);
	fragment_note(core, step, true);
	act_forward(core, step, COUNTER_passed_fragment);
}

bool
handoff_foreign(struct core *core, struct step *step)
{
	switch ((enum segment_class)step->seg->class) {
	case SEGMENT_ICMP_ERROR:
		act_forward(core, step, COUNTER_passed_icmp);
		return true;
	case SEGMENT_FRAGMENT_FIRST:
		fragment_first(core, step);
		return true;
	default:
		return false;
	}
}

bool
handoff_fragment(struct core *core, struct step *step)
{
	/* It names no port: of a host that has such a service it may be. */
	if (!core->hands_off ||
	    !bucket_take(&core->fragment_bucket, FRAGMENTS_PER_S, (uint32_t)step->now->now_ms) ||
	    !policy_has_mode(core->policy, &step->seg->flow.server, MODE_HANDOFF))
		return false;
	act_forward(core, step, COUNTER_passed_fragment);
	return true;
}
