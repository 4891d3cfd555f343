/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data plane: ports, workers and what they share.
 *
 *   plane_start(conf)   EAL, ports, memory, cores; workers begin to run
 *   plane_publish(...)  another policy for all workers
 *   plane_drain/reset   how a run ends
 *   plane_stop          workers end, ports close; accounts stay readable
 *
 */
#ifndef SYNFRONT_PLANE_H
#define SYNFRONT_PLANE_H

#include "plane_state.h"

/* 0, or -1 with the reason logged. conf stays in use until plane_fini(). `eal_args`: n
 * more arguments for EAL. */
int plane_start(struct plane *plane, const struct conf *conf, char *const *eal_args,
                unsigned int n_eal_args, const uint8_t master[MASTER_SECRET_SIZE]);

/* Make `policy` everybody's; returns when nobody uses the one before any more. */
void plane_publish(struct plane *plane, const struct policy *policy);

/* The same of the live lists: another set, or one that has changed in place. NULL: there are
 * none. */
void plane_publish_lists(struct plane *plane, const struct live_set *live);
/* Until each worker has looked at what is published: none uses what was there before. */
void plane_wait(struct plane *plane);

/* No new splices from now on, or again; returns when that is so for each frame to come. */
void plane_drain(struct plane *plane, bool on);
bool plane_is_draining(const struct plane *plane);
/* Reset what remains; goes on until plane_live() is 0. */
void plane_reset_remaining(struct plane *plane);
/* Sum of core_live() of all workers, as of their last housekeeping. */
uint64_t plane_live(const struct plane *plane);

/* How its workers rest: idle_text(). */
const char *plane_idle(const struct plane *plane);

/* Stop workers and ports. Everything that was received is accounted for then. */
void plane_stop(struct plane *plane);
/* Give memory back; nothing can be read any more. */
void plane_fini(struct plane *plane);

#endif
