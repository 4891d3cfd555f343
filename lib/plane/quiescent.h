/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How control, telemetry and the live lists know that no worker uses any more what was there before
 * (rte_rcu_qsbr): they store what is new where workers look for it (struct plane), and wait until
 * each worker has passed a quiescent state, between two bursts, in which it holds nothing.
 *
 *   the one who changes               a worker
 *   store, release                    quiescent_pass(), in its housekeeping
 *   quiescent_wait() ..............>  load, acquire
 *   free what was there before
 *
 * A worker passes before it loads: what it has loaded since is the new.
 */
#ifndef SYNFRONT_QUIESCENT_H
#define SYNFRONT_QUIESCENT_H

struct plane;

/* Before workers start, for plane->n_workers. 0, or -1 with the reason logged. */
int quiescent_init(struct plane *plane);

/* A worker, from its own thread: it begins to run, it passes, it ends. Who does not run is not
 * waited for. */
void quiescent_join(struct plane *plane, unsigned int worker);
void quiescent_pass(struct plane *plane, unsigned int worker);
void quiescent_leave(struct plane *plane, unsigned int worker);

/* Any other thread: returns when each worker that runs has passed since. */
void quiescent_wait(struct plane *plane);

#endif
