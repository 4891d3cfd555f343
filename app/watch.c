/* SPDX-License-Identifier: BSD-3-Clause */
/* What is compared once a second, and how often it may be logged. */
#include "watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "runtime_path.h"

/* A step of the wall clock that NTP would not make by slewing. */
#define CLOCK_STEP_MS 1000
/* Between two looks; they are a few hundred milliseconds apart. */
#define PROCESS_STILL_MS 2000u
#define WORKER_STILL_MS 1000u

static double
seconds(uint64_t ms)
{
	return (double)ms / 1000;
}

/* Monotonic time is slewed as wall time is, so that they part only when that is set. */
static void
look_at_clock(const struct plane *plane, int64_t step_ms)
{
	bool is_far = plane->secrets->is_shared && step_ms < -(int64_t)SECRET_BACK_MAX_S * 1000;

	if (step_ms >= CLOCK_STEP_MS || is_far)
		log_warning("the wall clock went %s by %.1f s: clients that hold a cookie may "
		            "have to connect again; keep it in step (NTP)",
		            is_far ? "back" : "forward", seconds((uint64_t)llabs(step_ms)));
	else if (step_ms <= -CLOCK_STEP_MS)
		log_warning("the wall clock went back by %.1f s: secrets follow at half speed for "
		            "%.0f s; until then other nodes may refuse this one's cookies; keep it "
		            "in step (NTP)",
		            seconds((uint64_t)-step_ms), 2 * seconds((uint64_t)-step_ms));
}

static void
tell_of_worker(struct watch *watch, unsigned int id, bool is_still, uint64_t still_ms)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", id);
	struct event *e = events_edge(watch->events, EVENT_WORKER_STALLED, id, name, is_still);
	if (e == NULL)
		return;
	if (is_still)
		events_send(watch->events, e, CONF_LOG_WARNING,
		            "worker %u stands still: something else has its CPU, or its port's "
		            "driver does not return; what its queues cannot hold is lost",
		            id);
	else
		events_send(watch->events, e, CONF_LOG_WARNING, "worker %u runs again after %.1f s",
		            id, seconds(still_ms));
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
			tell_of_worker(watch, i, false, still_ms);
			*seen = (struct watched_worker){ .loops = loops, .since_ms = now_ms };
		} else if (still_ms >= WORKER_STILL_MS && !seen->is_still) {
			seen->is_still = true;
			tell_of_worker(watch, i, true, still_ms);
		}
	}
}

/* What was set when the ports came up, and whoever may change interfaces can undo. */
static void
look_at_filter(struct events *events, const struct plane_port *port, enum side side)
{
	struct event *e = events_edge(events, EVENT_PROMISCUOUS_OFF, side, side_name(side),
	                              port->link.is_deaf);

	if (e == NULL)
		return;
	event_text(e, "device", port->conf->device);
	if (port->link.is_deaf)
		events_send(events, e, CONF_LOG_WARNING,
		            "%s: promiscuous mode of %s was taken off: only frames to its own "
		            "address come in; set it again (ip link set ... promisc on)",
		            side_name(side), port->conf->device);
	else
		events_send(events, e, CONF_LOG_WARNING, "%s: promiscuous mode of %s is on again",
		            side_name(side), port->conf->device);
}

static void
look_at_link(struct events *events, const struct plane_port *port, enum side side, bool is_down)
{
	struct event *e = events_edge(events, EVENT_LINK_DOWN, side, side_name(side), is_down);

	if (e == NULL)
		return;
	event_text(e, "device", port->conf->device);
	if (is_down)
		events_send(events, e, CONF_LOG_WARNING,
		            "%s: the link of %s is down: nothing crosses", side_name(side),
		            port->conf->device);
	else
		events_send(events, e, CONF_LOG_WARNING, "%s: the link of %s is up again",
		            side_name(side), port->conf->device);
}

static void
lose_port(struct events *events, const struct plane_port *port, enum side side)
{
	struct event *e = events_once(events, EVENT_PORT_LOST, side_name(side));

	event_text(e, "device", port->conf->device);
	events_send(events, e, CONF_LOG_ERROR,
	            "%s: %s is lost: its interface, device or peer is gone, and this process "
	            "cannot have it back",
	            side_name(side), port->conf->device);
}

static void
look_at_links(struct watch *watch)
{
	for (unsigned int side = 0; side < watch->plane->n_ports; side++) {
		struct plane_port *port = &watch->plane->ports[side];
		enum port_link_state before = port_link_state(&port->link);
		enum port_link_state now = port_link_look(port);

		look_at_filter(watch->events, port, (enum side)side);
		/* One that is lost is down no longer, and never comes up. */
		if (now != PORT_LINK_LOST)
			look_at_link(watch->events, port, (enum side)side, now == PORT_LINK_DOWN);
		else if (now != before)
			lose_port(watch->events, port, (enum side)side);
		watch->is_port_lost |= now == PORT_LINK_LOST;
	}
}

/* Of workers that share a transmit queue each sees for itself whether it takes what it sends. */
static void
tell_of_queue(struct watch *watch, unsigned int id, enum side side, bool is_stuck)
{
	const struct plane_port *port = &watch->plane->ports[side];
	char name[32];

	snprintf(name, sizeof(name), "%s %u", side_name(side), id % port->n_tx);
	struct event *e = events_edge(watch->events, EVENT_QUEUE_STUCK, id * EVENTS_PORTS + side,
	                              name, is_stuck);
	if (e == NULL)
		return;
	event_text(e, "device", port->conf->device);
	event_u64(e, "worker", id);
	if (is_stuck)
		events_send(watch->events, e, CONF_LOG_ERROR,
		            "%s: transmit queue %u of %s takes nothing more: what worker %u sends "
		            "there is lost. Either its peer reads nothing, or the device has fewer "
		            "queues than its driver says (ports.%s.queues)",
		            side_name(side), id % port->n_tx, port->conf->device, id,
		            side_name(side));
	else
		events_send(watch->events, e, CONF_LOG_WARNING,
		            "%s: transmit queue %u of %s takes frames again", side_name(side),
		            id % port->n_tx, port->conf->device);
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
	                      watch->monotonic_ms))
		tell_of_queue(watch, id, side, seen->is_stuck);
	if (id < port->n_rx &&
	    queue_watch_brings(seen, __atomic_load_n(&w->account.received[side], __ATOMIC_RELAXED),
	                       received, port->n_rx))
		log_warning("%s: receive queue %u of %s has brought none of %" PRIu64
		            " frames: RSS does not spread them",
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
watch_init(struct watch *watch, struct plane *plane, struct events *events)
{
	struct sockaddr_un address;

	*watch = (struct watch){ .plane = plane, .events = events, .telemetry = -1 };
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

	look_at_clock(watch->plane, (int64_t)(wall_ms - watch->wall_ms - gone_ms));
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
