/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions that only a worker can answer, because it alone may read its
 * tables: put in a ring by any thread, answered between two bursts.
 *
 * Memory order: the ring orders the question before its reading; `done` is a
 * release by the worker and an acquire by the asker, which orders the answer.
 */
#ifndef SYNFRONT_MAILBOX_H
#define SYNFRONT_MAILBOX_H

#include "worker_state.h"

#define MAILBOX_SIZE 16u

/* `run`; or up to `max` connections from number `start` of the table upwards; or, with `down`,
 * servers that are down. */
struct mail {
	/* On the worker's thread, between two bursts: let it be short. NULL: the list. */
	void (*run)(struct worker *worker, void *arg);
	void *arg;
	uint32_t start, max;
	struct connection_view *views;
	struct backend_view *down; /* in place of views */
	uint32_t n;                /* answer: how many there are in views */
	uint32_t next;             /* answer: where to go on; 0: this was the end */
	bool done;
};

int mailbox_init(struct mailbox *box, unsigned int id, int socket);
void mailbox_fini(struct mailbox *box);

/* Any thread but the worker's; waits for the answer. False when the worker is
 * not running any more. */
bool mailbox_ask(struct worker *worker, struct mail *mail);

/* The same in two steps, for who may not wait: `mail` is the worker's from mailbox_post() until
 * mailbox_is_done(), however long. False: there is no room now, or it does not run. */
bool mailbox_post(struct worker *worker, struct mail *mail);
bool mailbox_is_done(const struct mail *mail);

/* The worker: answer what is there. */
void mailbox_answer(struct worker *worker);

#endif
