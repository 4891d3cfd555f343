/* SPDX-License-Identifier: BSD-3-Clause */
#include "shield.h"

#include "admission.h"
#include "proof.h"

static void
note(const struct core *core, const struct step *step)
{
	known_note(core->params.known, step->seg->found.hash, instant_s(step->now));
}

/* As it was when the burst was looked up, or by an earlier segment of the same burst. */
static inline enum known_as
known_as(const struct core *core, const struct segment *seg)
{
	return seg->found.entry == KNOWN_FLOW
	               ? KNOWN_FLOW
	               : known_look(core->params.known, seg->found.hash, seg->ack);
}

static bool
proves(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	struct proven proven;

	if (seg->class != SEGMENT_TCP || (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK ||
	    !proof_check(core, step, &proven))
		return false;
	recent_add(&core->proven, core_net(core, &seg->flow), (uint32_t)step->now->now_ms);
	return true;
}

/*
 * Once agreed, timestamps are on every segment but RST, with an echo that is hardly ever 0
 * (RFC 7323, 3.2). What the echo should be nobody can tell who keeps nothing; but most
 * programs that flood send no options.
 */
static inline bool
is_plausible(const struct segment *seg)
{
	return (seg->options & OPTION_TIMESTAMPS) && seg->tsecr != 0 && !(seg->flags & TCP_SYN);
}

bool
shield_admits(struct core *core, struct step *step)
{
	const struct segment *seg = step->seg;
	enum known_as as = known_as(core, seg);

	if (as == KNOWN_EXPECTED) {
		known_confirm(core->params.known, seg->found.hash, seg->ack, instant_s(step->now));
		return true;
	}
	if (as == KNOWN_FLOW || proves(core, step)) {
		note(core, step);
		return true;
	}
	uint32_t rate = receiver_share(core, step->service->unknown_per_s);
	uint32_t reserve = is_plausible(seg) ? 0 : bucket_burst(rate) / 2;
	return bucket_take_above(&step->state->unknown_bucket, rate, (uint32_t)step->now->now_ms,
	                         reserve);
}

void
shield_note_inside(struct core *core, const struct step *step)
{
	const struct segment *seg = step->seg;

	/* A server answers strangers by RST: that speaks for nobody. */
	if (seg->flags & TCP_RST)
		return;
	/* Nor does what any server sends to whoever a forged segment names: a SYN-ACK, or the ACK
	 * that answers what is outside of a half-open connection's window (RFC 9293, 3.10.7.4). */
	if (seg->payload_len != 0 || known_as(core, seg) == KNOWN_FLOW)
		note(core, step);
	else
		known_expect(core->params.known, seg->found.hash, seg->seq, instant_s(step->now));
}
