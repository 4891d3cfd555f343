/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking waits by polling; answering looks at a bounded part of the table at a time. */
#include "mailbox.h"

#include <stdio.h>
#include <unistd.h>

/* Table entries looked at for one question: bounds the pause of a worker. */
#define LOOKED_AT_MAX 16384u
#define WAIT_US 50

int
mailbox_init(struct mailbox *box, unsigned int id, int socket)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "mailbox%u", id);
	box->ring = rte_ring_create(name, MAILBOX_SIZE, socket, RING_F_SC_DEQ);
	return box->ring != NULL ? 0 : -1;
}

void
mailbox_fini(struct mailbox *box)
{
	rte_ring_free(box->ring);
	box->ring = NULL;
}

bool
mailbox_ask(struct worker *worker, struct mail *mail)
{
	mail->done = false;
	while (rte_ring_enqueue(worker->mailbox.ring, mail) != 0) {
		if (!__atomic_load_n(&worker->is_running, __ATOMIC_ACQUIRE))
			return false;
		usleep(WAIT_US);
	}
	while (!__atomic_load_n(&mail->done, __ATOMIC_ACQUIRE)) {
		if (!__atomic_load_n(&worker->is_running, __ATOMIC_ACQUIRE))
			return __atomic_load_n(&mail->done, __ATOMIC_ACQUIRE);
		usleep(WAIT_US);
	}
	return true;
}

bool
mailbox_post(struct worker *worker, struct mail *mail)
{
	mail->done = false;
	return __atomic_load_n(&worker->is_running, __ATOMIC_ACQUIRE) &&
	       rte_ring_enqueue(worker->mailbox.ring, mail) == 0;
}

bool
mailbox_is_done(const struct mail *mail)
{
	return __atomic_load_n(&mail->done, __ATOMIC_ACQUIRE);
}

static void
list_down(struct worker *worker, struct mail *mail)
{
	uint32_t bound = core_backend_bound(worker->core), i = mail->start;
	uint32_t end = bound - i > LOOKED_AT_MAX ? i + LOOKED_AT_MAX : bound;

	mail->n = 0;
	for (; i < end && mail->n < mail->max; i++)
		mail->n += core_down_backend(worker->core, i, &mail->down[mail->n]);
	mail->next = i < bound ? i : 0;
}

static void
list_connections(struct worker *worker, struct mail *mail)
{
	uint32_t bound = core_connection_bound(worker->core);
	uint32_t end = bound - mail->start > LOOKED_AT_MAX ? mail->start + LOOKED_AT_MAX : bound;
	uint32_t i = mail->start;

	mail->n = 0;
	for (; i < end && mail->n < mail->max; i++) {
		struct connection_view *view = &mail->views[mail->n];
		if (core_connection_view(worker->core, i, &worker->now, view) &&
		    view->state != CONN_FREE)
			mail->n++;
	}
	mail->next = i < bound ? i : 0;
}

void
mailbox_answer(struct worker *worker)
{
	void *p;

	while (rte_ring_dequeue(worker->mailbox.ring, &p) == 0) {
		struct mail *mail = p;
		if (mail->run != NULL)
			mail->run(worker, mail->arg);
		else if (mail->down != NULL && mail->start < core_backend_bound(worker->core))
			list_down(worker, mail);
		else if (mail->down == NULL && mail->start < core_connection_bound(worker->core))
			list_connections(worker, mail);
		else
			mail->n = mail->next = 0;
		__atomic_store_n(&mail->done, true, __ATOMIC_RELEASE);
	}
}
