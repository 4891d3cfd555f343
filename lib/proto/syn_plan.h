/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning the answer to a SYN: all of it but the cookie, whose profile it leaves in the
 * memo. Inside lib/proto only. */
#ifndef SYNFRONT_SYN_PLAN_H
#define SYNFRONT_SYN_PLAN_H

#include <stddef.h>

#include "admission.h"
#include "cookie.h"

/* The window of a SYN-ACK: what one connection may have held; never zero, or the first
 * data waits for a window probe. Never scaled (RFC 7323, 2.2). */
static inline uint16_t
syn_ack_window(const struct core *core, uint8_t mode)
{
	return mode == MODE_RESPOND
	               ? UINT16_MAX
	               : (uint16_t)pending_window(&core->pending, core->params.hold_bytes);
}

/* ... where nothing is held: what a kernel offers at first, whole segments (1460: 64,240). */
static inline uint16_t
syn_ack_window_of_kernel(uint32_t mss)
{
	return (uint16_t)(UINT16_MAX - UINT16_MAX % mss);
}

/* For struct service_state: services whose promise is their own (mode handoff) have a key of
 * their own, others one for each mode. Leaves bit 1, and those of a backend's address, free. */
static inline uint64_t
syn_plan_key(const struct service_state *state)
{
	const void *whose = state->mode == MODE_HANDOFF ? state : NULL;

	return (uintptr_t)whose | (unsigned int)state->mode << 2 | 1;
}

/* The last plan of a burst. A SYN that says the same to the same is answered
 * the same: in a flood most do. */
struct syn_plan_memo {
	uint64_t said; /* the option fields of struct segment */
	uint64_t to;   /* backend, syn_plan_key() and family; 0: nothing yet */
	const struct syn_plan *plan;
	struct syn_plan *next; /* where the next one goes, and those after it */
	/* The server that was last looked for, and what was found; port 0: nothing is. */
	struct ip_addr server;
	uint16_t server_port_be;
	struct backend *backend;
};

_Static_assert(offsetof(struct segment, zero) == offsetof(struct segment, options) + 7,
               "what a SYN says lies in 8 bytes");

static __attribute__((noinline)) void
syn_plan_work_out(const struct core *core, const struct segment *seg, const struct service *service,
                  const struct backend *backend, const struct instant *now, struct syn_plan *plan)
{
	const struct promise promise = admission_promise(service, backend, seg->is_v4);
	struct tcp_offer offer = admission_offer(seg, &promise);
	struct packet *answer = &plan->answer;

	plan->profile = (uint8_t)cookie_profile_of(&offer, seg->is_v4);
	/* Granted is only what the cookie can bring back. */
	const struct tcp_offer row = cookie_profile_offer(plan->profile, seg->is_v4);
	if (row.wscale == WSCALE_NONE)
		offer.wscale = WSCALE_NONE;
	offer.sack = row.sack;
	plan->offer = offer;
	*answer = (struct packet){ .mss = promise.mss,
		                   .window = service->mode == MODE_HANDOFF
		                                     ? syn_ack_window_of_kernel(promise.mss)
		                                     : syn_ack_window(core, service->mode),
		                   .flags = TCP_SYN | TCP_ACK,
		                   .options = OPTION_MSS,
		                   .wscale = WSCALE_NONE };
	if (offer.wscale != WSCALE_NONE) {
		/* Without timestamps nothing brings back which scale was promised,
		 * so it is always the same. */
		answer->wscale = offer.timestamps ? promise.wscale : PROMISE_WSCALE;
		answer->options |= OPTION_WSCALE;
	}
	if (offer.sack)
		answer->options |= OPTION_SACK_PERMITTED;
	if (offer.timestamps) {
		answer->options |= OPTION_TIMESTAMPS;
		answer->tsval = cookie_ts_make(&offer, plan->profile, seg->is_v4, answer->wscale,
		                               now->wall_ms);
	}
}

/* The server of a SYN, if it is known. */
static inline struct backend *
syn_plan_backend(struct core *core, const struct segment *seg, const struct instant *now,
                 struct syn_plan_memo *memo)
{
	const struct flow *flow = &seg->flow;

	if (memo->server_port_be != flow->server_port_be ||
	    !ip_addr_equal(&memo->server, &flow->server)) {
		memo->server = flow->server;
		memo->server_port_be = flow->server_port_be;
		memo->backend = backend_at(
			&core->backends, backend_find(&core->backends, &flow->server,
		                                      flow->server_port_be, false, instant_s(now)));
	}
	return memo->backend;
}

/* Fills *syn but for its net. */
static inline const struct syn_plan *
syn_plan_make(struct core *core, const struct segment *seg, const struct service_state *state,
              const struct instant *now, struct syn_plan_memo *memo, struct syn_planned *syn)
{
	struct backend *backend = NULL;
	uint64_t said;

	if (state->mode == MODE_PROXY)
		backend = syn_plan_backend(core, seg, now, memo);
	/* A backend is a line, as the state of a service: its low bits are free. */
	uint64_t to = (uintptr_t)backend | state->plan_key | (unsigned int)seg->is_v4 << 1;
	memcpy(&said, &seg->options, sizeof(said));
	if (__builtin_expect(said != memo->said || to != memo->to, 0)) {
		memo->said = said;
		memo->to = to;
		memo->plan = memo->next;
		syn_plan_work_out(core, seg, state->service, backend, now, memo->next++);
	}
	syn->backend = backend;
	return syn->plan = memo->plan;
}

#endif
