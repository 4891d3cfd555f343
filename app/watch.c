/* SPDX-License-Identifier: BSD-3-Clause */
/* What is compared once a second, and how often it may be logged. */
#include "watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "runtime_path.h"

/* A step of the wall clock that NTP would not make by slewing. */
#define CLOCK_STEP_MS 1000
/* Between two looks; they are a few hundred milliseconds apart. */
#define PROCESS_STILL_MS 2000u
#define WORKER_STILL_MS 1000u

static uint64_t
clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static double
seconds(uint64_t ms)
{
	return (double)ms / 1000;
}

/* Monotonic time is slewed as wall time is, so that they part only when that is set. */
static void
look_at_clock(int64_t step_ms)
{
	if (step_ms >= CLOCK_STEP_MS)
		log_warning("the wall clock went forward by %.1f s: clients that hold a cookie may "
		            "have to connect again; keep it in step (NTP)",
		            seconds((uint64_t)step_ms));
	else if (step_ms <= -CLOCK_STEP_MS)
		log_warning("the wall clock went back by %.1f s: secrets follow at half speed for "
		            "%.0f s; until then other nodes may refuse this one's cookies; keep it "
		            "in step (NTP)",
		            seconds((uint64_t)-step_ms), 2 * seconds((uint64_t)-step_ms));
}

static void
look_at_workers(struct watch *watch, uint64_t now_ms, bool was_stopped)
{
	watch->all_move = true;
	for (unsigned int i = 0; i < watch->plane->n_workers; i++) {
		const struct worker *w = watch->plane->workers[i];
		struct watched_worker *seen = &watch->workers[i];
		uint64_t loops = __atomic_load_n(&w->account.loops, __ATOMIC_RELAXED);
		uint64_t still_ms = now_ms - seen->since_ms;

		watch->all_move &= loops != seen->loops;
		if (loops != seen->loops || was_stopped) {
			if (seen->is_still)
				log_warning("worker %u runs again after %.1f s", i,
				            seconds(still_ms));
			*seen = (struct watched_worker){ .loops = loops, .since_ms = now_ms };
		} else if (still_ms >= WORKER_STILL_MS && !seen->is_still) {
			seen->is_still = true;
			log_warning("worker %u stands still: something else has its CPU, or its "
			            "port's driver does not return; what its queues cannot hold "
			            "is lost",
			            i);
		}
	}
}

/* What was set when the ports came up, and whoever may change interfaces can undo. */
static void
look_at_filter(struct plane_port *port, const char *name, bool was_deaf)
{
	if (port->link.is_deaf && !was_deaf)
		log_warning("%s: promiscuous mode of %s was taken off: only frames to its own "
		            "address come in; set it again (ip link set ... promisc on)",
		            name, port->conf->device);
	else if (was_deaf && !port->link.is_deaf)
		log_warning("%s: promiscuous mode of %s is on again", name, port->conf->device);
}

static void
look_at_links(struct watch *watch)
{
	for (unsigned int side = 0; side < watch->plane->n_ports; side++) {
		struct plane_port *port = &watch->plane->ports[side];
		enum port_link_state before = port_link_state(&port->link);
		bool was_deaf = port->link.is_deaf;
		enum port_link_state now = port_link_look(port);

		look_at_filter(port, side_name(side), was_deaf);
		if (now == before)
			continue;
		switch (now) {
		case PORT_LINK_UP:
			log_warning("%s: the link of %s is up again", side_name(side),
			            port->conf->device);
			break;
		case PORT_LINK_DOWN:
			log_warning("%s: the link of %s is down: nothing crosses", side_name(side),
			            port->conf->device);
			break;
		case PORT_LINK_LOST:
			watch->is_port_lost = true;
			log_error("%s: %s is lost: its interface, device or peer is gone, and this "
			          "process cannot have it back",
			          side_name(side), port->conf->device);
			break;
		}
	}
}

/* What a worker gave to a port and got from it, and whether that goes on. */
static void
look_at_queues(struct watch *watch, unsigned int id, enum side side, uint64_t received)
{
	const struct plane_port *port = &watch->plane->ports[side];
	const struct worker *w = watch->plane->workers[id];
	struct queue_watch *seen = &watch->queues[id][side];
	uint64_t sent = __atomic_load_n(&w->account.sent[side], __ATOMIC_RELAXED);
	bool is_up = port_link_state(&port->link) == PORT_LINK_UP;

	if (queue_watch_sends(seen, sent,
	                      __atomic_load_n(&w->account.tx_full[side], __ATOMIC_RELAXED), is_up,
	                      watch->monotonic_ms)) {
		if (seen->is_stuck)
			log_error("%s: transmit queue %u of %s takes nothing more: what worker %u "
			          "sends "
			          "there is lost. Either its peer reads nothing, or the device has "
			          "fewer "
			          "queues than its driver says (ports.%s.queues)",
			          side_name(side), id % port->n_tx, port->conf->device, id,
			          side_name(side));
		else
			log_warning("%s: transmit queue %u of %s takes frames again",
			            side_name(side), id % port->n_tx, port->conf->device);
	}
	if (id < port->n_rx &&
	    queue_watch_brings(seen, __atomic_load_n(&w->account.received[side], __ATOMIC_RELAXED),
	                       received, port->n_rx))
		log_warning("%s: receive queue %u of %s has brought none of %" PRIu64
		            " frames: RSS "
		            "does not spread them",
		            side_name(side), id, port->conf->device, received);
}

static void
look_at_all_queues(struct watch *watch)
{
	const struct plane *plane = watch->plane;

	for (unsigned int side = 0; side < plane->n_ports; side++) {
		uint64_t received = 0;
		for (unsigned int i = 0; i < plane->n_workers; i++)
			received += __atomic_load_n(&plane->workers[i]->account.received[side],
			                            __ATOMIC_RELAXED);
		for (unsigned int i = 0; i < plane->n_workers; i++)
			look_at_queues(watch, i, (enum side)side, received);
	}
}

/* DPDK makes its socket once. A descriptor of the file tells of it to whoever may not look
 * into its directory any more. */
static void
look_at_telemetry(struct watch *watch)
{
	struct stat status;

	if (watch->telemetry < 0 || fstat(watch->telemetry, &status) != 0 || status.st_nlink != 0)
		return;
	log_warning("telemetry: its socket was deleted: synfrontctl finds it no more, until a "
	            "restart");
	close(watch->telemetry);
	watch->telemetry = -1;
}

void
watch_init(struct watch *watch, struct plane *plane)
{
	struct sockaddr_un address;

	*watch = (struct watch){ .plane = plane, .telemetry = -1 };
	if (plane->conf->telemetry && runtime_telemetry(&address, plane->conf->instance) == 0)
		watch->telemetry = open(address.sun_path, O_PATH | O_CLOEXEC);
}

void
watch_begin(struct watch *watch)
{
	watch->monotonic_ms = clock_ms(CLOCK_MONOTONIC);
	watch->wall_ms = clock_ms(CLOCK_REALTIME);
	for (unsigned int i = 0; i < watch->plane->n_workers; i++)
		watch->workers[i].since_ms = watch->monotonic_ms;
}

void
watch_step(struct watch *watch)
{
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC), wall_ms = clock_ms(CLOCK_REALTIME);
	uint64_t gone_ms = now_ms - watch->monotonic_ms;
	bool was_stopped = gone_ms >= PROCESS_STILL_MS;

	look_at_clock((int64_t)(wall_ms - watch->wall_ms - gone_ms));
	watch->monotonic_ms = now_ms;
	watch->wall_ms = wall_ms;
	if (was_stopped)
		log_warning(
			"control stood still for %.1f s: the process was stopped, its CPUs were "
			"somebody else's, or a worker did not take a reload",
			seconds(gone_ms));
	look_at_workers(watch, now_ms, was_stopped);
	look_at_links(watch);
	look_at_all_queues(watch);
	look_at_telemetry(watch);
}
