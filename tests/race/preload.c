/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before DPDK's libraries (LD_PRELOAD, or linked into a test):
 *
 * 1. SYNFRONT_SHUFFLE in the environment: every frame that a port receives goes to a random
 *    one of its queues, whatever the flow. No hash brings a segment to its owner
 *    then, and segments of one flow overtake each other.
 *
 * 2. Built with -fsanitize=thread: what DPDK's own libraries order, and which the sanitizer
 *    cannot see because they are not built with it, is said to it:
 *      - a thread that is launched, and waited for (rte_eal_remote_launch,
 *        rte_eal_mp_wait_lcore);
 *      - the registration of telemetry commands, by a name that suppressions can tell: in some
 *        releases what it calls has none;
 *      - the sanitizer's own thread takes no signals: it is passed over when all threads are
 *        sent one (app/privilege.c);
 *      - a signal interrupts nobody who waits in accept(): the sanitizer keeps it until that
 *        returns, and telemetry waits there for as long as no client comes. So its waiting is
 *        done in poll(), where the sanitizer lets signals through;
 *      - a buffer that one thread frees and another takes: the ring behind a pool of
 *        buffers, by the same rte_ring code in its C11 form, compiled here. A pool
 *        uses it with --mbuf-pool-ops-name=seen.
 */
#include <dlfcn.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_telemetry.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- frames on random queues ------------------------------------------ */

#define QUEUES_MAX 16u
#define QUEUE_SIZE 2048u

/* One ring from each queue to each, as between workers: no two write to one, so that
 * nothing orders threads here that the engine does not order. */
static struct shuffled {
	struct rte_ring *to[QUEUES_MAX][QUEUES_MAX]; /* [to][from] */
	uint16_t n;
} shuffled[RTE_MAX_ETHPORTS];

/* A callback of the port's receive function: what came goes to any queue, and what
 * others have sent to ours comes out. */
static uint16_t
shuffle(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, uint16_t max, void *arg)
{
	static __thread unsigned int state;
	const struct shuffled *s = arg;
	unsigned int got = 0;

	(void)port;
	if (state == 0)
		state = queue + 1u;
	for (uint16_t i = 0; i < n; i++)
		if (rte_ring_sp_enqueue(s->to[(unsigned int)rand_r(&state) % s->n][queue],
		                        mbufs[i]) != 0)
			rte_pktmbuf_free(mbufs[i]);
	for (uint16_t from = 0; from < s->n; from++)
		got += rte_ring_sc_dequeue_burst(s->to[queue][from], (void **)mbufs + got,
		                                 max - got, NULL);
	return (uint16_t)got;
}

static int
shuffle_start(struct shuffled *s, uint16_t port, uint16_t n)
{
	char name[RTE_RING_NAMESIZE];

	s->n = n;
	for (uint16_t to = 0; to < n; to++) {
		for (uint16_t from = 0; from < n; from++) {
			snprintf(name, sizeof(name), "shuffled%u-%u-%u", port, from, to);
			s->to[to][from] = rte_ring_create(name, QUEUE_SIZE, SOCKET_ID_ANY,
			                                  RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (s->to[to][from] == NULL)
				return -ENOMEM;
		}
	}
	for (uint16_t queue = 0; queue < n; queue++)
		if (rte_eth_add_rx_callback(port, queue, shuffle, s) == NULL)
			return -ENOMEM;
	return 0;
}

int
rte_eth_dev_start(uint16_t port)
{
	int (*real)(uint16_t) = dlsym(RTLD_NEXT, "rte_eth_dev_start");
	struct rte_eth_dev_info info;
	int rc = 0;

	if (getenv("SYNFRONT_SHUFFLE") != NULL && rte_eth_dev_info_get(port, &info) == 0 &&
	    info.nb_rx_queues <= QUEUES_MAX)
		rc = shuffle_start(&shuffled[port], port, info.nb_rx_queues);
	return rc != 0 ? rc : real(port);
}

int
rte_eth_dev_stop(uint16_t port)
{
	int (*real)(uint16_t) = dlsym(RTLD_NEXT, "rte_eth_dev_stop");
	struct shuffled *s = &shuffled[port];
	void *m;

	/* No worker runs any more. */
	for (uint16_t to = 0; to < s->n; to++)
		for (uint16_t from = 0; from < s->n; from++)
			while (rte_ring_dequeue(s->to[to][from], &m) == 0)
				rte_pktmbuf_free(m);
	return real(port);
}

#ifdef __SANITIZE_THREAD__

/* ---- the order that the sanitizer does not see ------------------------ */

void __tsan_acquire(void *at);
void __tsan_release(void *at);

static struct launch {
	lcore_function_t *function;
	void *arg;
} launches[RTE_MAX_LCORE];

static int
launched(void *arg)
{
	struct launch *launch = arg;

	__tsan_acquire(launch);
	int rc = launch->function(launch->arg);
	__tsan_release(launch);
	return rc;
}

int
rte_eal_remote_launch(lcore_function_t *f, void *arg, unsigned int lcore)
{
	int (*real)(lcore_function_t *, void *, unsigned int) = dlsym(RTLD_NEXT,
	                                                              "rte_eal_remote_launch");

	launches[lcore] = (struct launch){ f, arg };
	__tsan_release(&launches[lcore]);
	return real(launched, &launches[lcore], lcore);
}

void
rte_eal_mp_wait_lcore(void)
{
	void (*real)(void) = dlsym(RTLD_NEXT, "rte_eal_mp_wait_lcore");

	real();
	for (unsigned int i = 0; i < RTE_MAX_LCORE; i++)
		__tsan_acquire(&launches[i]);
}

int
rte_telemetry_register_cmd(const char *cmd, telemetry_cb fn, const char *help)
{
	int (*real)(const char *, telemetry_cb, const char *) = dlsym(RTLD_NEXT,
	                                                              "rte_telemetry_register_cmd");

	return real(cmd, fn, help);
}

/* Does this thread block all signals that can be? */
static bool
blocks_all(long pid, long tid)
{
	char path[64], line[256];
	unsigned long long blocked = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/status", pid, tid);
	f = fopen(path, "r");
	if (f == NULL)
		return false;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
			break;
	fclose(f);
	return blocked >> (SIGRTMIN - 1) == UINT64_MAX >> (SIGRTMIN - 1);
}

/* And goes on doing so: one that is about to be made, or in a handler, does for a moment. */
static bool
is_deaf(long pid, long tid)
{
	for (unsigned int ms = 0; ms < 50; ms++) {
		if (!blocks_all(pid, tid))
			return false;
		usleep(1000);
	}
	return true;
}

/* Signal 0 asks whether a thread is there: one that has been sent a signal and has not had it
 * yet must not seem to be gone, since what the signal does is taken back then. */
long
syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list list;
	long a[6];

	va_start(list, number);
	for (unsigned int i = 0; i < RTE_DIM(a); i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (real == NULL)
		real = dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_tgkill && a[2] != 0 && is_deaf(a[0], a[1])) {
		errno = ESRCH;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int
accept(int fd, struct sockaddr *restrict from, socklen_t *restrict size)
{
	int (*real)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "accept");
	struct pollfd waited = { .fd = fd, .events = POLLIN };

	while (poll(&waited, 1, -1) < 0 && errno == EINTR)
		;
	return real(fd, from, size);
}

static int
seen_alloc(struct rte_mempool *pool)
{
	char name[RTE_RING_NAMESIZE];

	/* As librte_mempool_ring does. */
	if (snprintf(name, sizeof(name), "seen_%s", pool->name) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	/* The head-tail mode: in the usual one a producer that waits for another does so by
	 * a relaxed load, which x86 orders and the language does not. */
	pool->pool_data = rte_ring_create(name, rte_align32pow2(pool->size + 1), pool->socket_id,
	                                  RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ);
	return pool->pool_data != NULL ? 0 : -rte_errno;
}

static void
seen_free(struct rte_mempool *pool)
{
	rte_ring_free(pool->pool_data);
}

static int
seen_enqueue(struct rte_mempool *pool, void *const *objects, unsigned int n)
{
	return rte_ring_mp_hts_enqueue_bulk(pool->pool_data, objects, n, NULL) == 0 ? -ENOBUFS : 0;
}

static int
seen_dequeue(struct rte_mempool *pool, void **objects, unsigned int n)
{
	return rte_ring_mc_hts_dequeue_bulk(pool->pool_data, objects, n, NULL) == 0 ? -ENOBUFS : 0;
}

static unsigned int
seen_count(const struct rte_mempool *pool)
{
	const struct rte_ring *r = pool->pool_data;

	/* As rte_ring_count(), which reads plainly what others write. */
	return (__atomic_load_n(&r->prod.tail, __ATOMIC_RELAXED) -
	        __atomic_load_n(&r->cons.tail, __ATOMIC_RELAXED)) &
	       r->mask;
}

static const struct rte_mempool_ops seen_ops = {
	.name = "seen",
	.alloc = seen_alloc,
	.free = seen_free,
	.enqueue = seen_enqueue,
	.dequeue = seen_dequeue,
	.get_count = seen_count,
};

RTE_MEMPOOL_REGISTER_OPS(seen_ops);

#endif
