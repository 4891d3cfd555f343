/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock's work for the core, and what control wants of a worker. */
#include "housekeeping.h"

#include <rte_branch_prediction.h>

#include "capture.h"
#include "egress.h"
#include "mailbox.h"
#include "plane_state.h"
#include "quiescent.h"

/* Index buckets that a tick sweeps, and how often: at 1 kHz a table of 16 million
 * entries is seen once in about ten seconds, a small one many times a second. */
#define TICK_BUDGET 256u
#define TICK_MS 1u
#define RESET_MAX 16u

/* The quiescent state is reported before the policy is read: whoever waits for the report to
 * free an old policy has published the new one before, so that the reading finds the new. */
static void
follow_policy(struct worker *w)
{
	quiescent_pass(w->plane, w->id);
	const struct policy *policy = __atomic_load_n(&w->plane->policy, __ATOMIC_ACQUIRE);

	if (policy != w->policy) {
		core_set_policy(w->core, policy);
		core_adopt_anew(w->core, &w->now);
		w->policy = policy;
	}
	uint32_t changes = __atomic_load_n(&w->plane->live_changes, __ATOMIC_ACQUIRE);
	if (changes != w->live_changes) {
		core_set_lists(w->core, __atomic_load_n(&w->plane->live, __ATOMIC_RELAXED));
		w->live_changes = changes;
	}
}

/* What the clock wants sent. */
static void
act(struct worker *w)
{
	struct capture *capture = __atomic_load_n(&w->plane->capture, __ATOMIC_ACQUIRE);

	if (likely(capture == NULL))
		egress_act(w, NULL);
	else
		capture_tick(w, capture);
}

void
housekeeping(struct worker *w)
{
	struct plane *plane = w->plane;

	follow_policy(w);
	/* After the quiescent state reported there: plane_drain() waits for it. */
	bool draining = __atomic_load_n(&plane->draining, __ATOMIC_RELAXED);
	if (draining != w->draining) {
		core_drain(w->core, draining);
		w->draining = draining;
	}
	if (w->now.now_ms - w->last_tick_ms >= TICK_MS) {
		w->last_tick_ms = w->now.now_ms;
		core_tick(w->core, &w->now, TICK_BUDGET, &w->actions);
		act(w);
		if (__atomic_load_n(&plane->resetting, __ATOMIC_RELAXED)) {
			core_reset_remaining(w->core, &w->now, RESET_MAX, &w->actions);
			act(w);
		}
		egress_flush(w);
		__atomic_store_n(&w->account.remaining, core_live(w->core), __ATOMIC_RELAXED);
	}
	mailbox_answer(w);
}
