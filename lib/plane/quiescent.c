/* SPDX-License-Identifier: BSD-3-Clause */
#include "quiescent.h"

#include <pthread.h>
#include <rte_malloc.h>
#include <unistd.h>

#include "log.h"
#include "plane_state.h"

#define POLL_US 100

int
quiescent_init(struct plane *plane)
{
	size_t size = rte_rcu_qsbr_get_memsize(plane->n_workers);

	plane->quiescent = rte_zmalloc(NULL, size, RTE_CACHE_LINE_SIZE);
	if (plane->quiescent != NULL && rte_rcu_qsbr_init(plane->quiescent, plane->n_workers) == 0)
		return 0;
	log_error("no memory to publish policies with");
	return -1;
}

void
quiescent_join(struct plane *plane, unsigned int worker)
{
	rte_rcu_qsbr_thread_register(plane->quiescent, worker);
	rte_rcu_qsbr_thread_online(plane->quiescent, worker);
}

void
quiescent_pass(struct plane *plane, unsigned int worker)
{
	rte_rcu_qsbr_quiescent(plane->quiescent, worker);
}

void
quiescent_leave(struct plane *plane, unsigned int worker)
{
	rte_rcu_qsbr_thread_offline(plane->quiescent, worker);
	rte_rcu_qsbr_thread_unregister(plane->quiescent, worker);
}

void
quiescent_wait(struct plane *plane)
{
	/* rte_rcu_qsbr_check() notes what it saw: one who waits at a time. */
	static pthread_mutex_t waiting = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&waiting);
	uint64_t token = rte_rcu_qsbr_start(plane->quiescent);
	while (rte_rcu_qsbr_check(plane->quiescent, token, false) == 0)
		usleep(POLL_US);
	pthread_mutex_unlock(&waiting);
}
