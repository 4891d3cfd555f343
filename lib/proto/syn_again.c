/* SPDX-License-Identifier: BSD-3-Clause */
#include "syn_again.h"

#include "act.h"
#include "admission.h"
#include "entry.h"
#include "syn_plan.h"
#include "unfinished.h"

_Static_assert(HALF_OPEN_STAGES == SYN_ACK_RETRIES_MAX + 1, "a stage for each SYN-ACK");
_Static_assert(RETRY_MS * ((1u << SYN_ACK_RETRIES_MAX) - 1) < COOKIE_LIFE_MIN_S * 1000u,
               "the last SYN-ACK of an entry still carries a good cookie");

void
syn_again_fill(const struct core *core, struct packet *p, const struct half_open *h,
               const struct half_open_side *side, const struct instant *now, uint8_t mode)
{
	p->ttl = admission_ttl(core, &h->flow);
	p->seq = h->iss;
	p->ack = h->irs + 1;
	p->tsval = cookie_ts_again(side->ts_sent, now->wall_ms);
	p->tsecr = h->tsval;
	p->window = syn_ack_window(core, mode);
	p->mss = side->promised_mss;
	p->options = side->options;
	p->wscale = side->promised_wscale;
}

void
syn_again_timers(struct core *core, const struct instant *now, struct actions *out)
{
	uint32_t now_ms = (uint32_t)now->now_ms, number, left = TIMERS_PER_TICK;

	while (left-- > 0 && out->n + CORE_BURST_MAX < out->max &&
	       (number = half_open_due(&core->half_open, now_ms)) != FLOW_NONE) {
		struct half_open *h = &core->half_open.entries[number];
		struct half_open_side *side = &core->half_open.sides[number];
		const struct service *service = core->services[h->service].service;
		unsigned int sent = side->stage + 1u;

		if (service == NULL || sent > core->policy->syn_ack_retries) {
			struct flow_slot at;
			uint32_t tags = core->paths.paths[h->path].tags;
			core_count(core, COUNTER_half_open_expired);
			unfinished_note(core, &h->flow, h->path, false, now);
			if (entry_find(core, &h->flow, tags,
			               flow_hash(&core->hash_key, &h->flow, tags),
			               &at) == (FLOW_HALF_OPEN | number))
				half_open_drop(core, number, at);
			continue;
		}
		half_open_wait(&core->half_open, number, sent, now_ms + (RETRY_MS << sent));
		if (core->services[h->service].cookie_mode ||
		    !admission_reflect(core, core_net(core, &h->flow), now)) {
			core_count(core, COUNTER_syn_ack_capped);
			continue;
		}
		struct packet *p = act_send(core, out, &h->flow, h->path, NULL, SIDE_OUTSIDE,
		                            TCP_SYN | TCP_ACK);
		if (p == NULL)
			continue;
		core_count(core, COUNTER_syn_ack_sent);
		core_count(core, COUNTER_syn_ack_again);
		syn_again_fill(core, p, h, side, now, service->mode);
	}
}
