/* SPDX-License-Identifier: BSD-3-Clause */
#include "wakeup.h"

#include <rte_ethdev.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"
#include "plane_state.h"
#include "worker_state.h"

/* Beside the sides: other workers. */
#define BY_OTHERS SIDE_COUNT
#define EVENTS_MAX 4
#define US_PER_MS 1000u

static inline uint64_t
bit_of(const struct worker *w)
{
	return UINT64_C(1) << w->id;
}

/* Edges, not levels: what is there is polled for anyway, and nobody has to read it away. */
static bool
add(struct worker *w, int fd, unsigned int by)
{
	struct wakeup *wakeup = &w->wakeup;
	struct rte_epoll_event *event = &wakeup->descriptors[wakeup->n_descriptors++];

	event->epdata = (struct rte_epoll_data){
		.event = EPOLLIN | EPOLLET,
		.data = (void *)(uintptr_t)by,
	};
	return fd >= 0 && rte_epoll_ctl(w->wakeup.epoll, EPOLL_CTL_ADD, fd, event) == 0;
}

/* Can this queue of a port wake us? Its driver tells by an interrupt, a TAP's by its descriptor
 * without being asked; AF_PACKET and AF_XDP have a socket for each queue, in that order, and
 * DPDK does not tell us of it (port_link.c). */
static bool
add_queue(struct worker *w, enum side side, uint16_t queue)
{
	const struct plane_port *port = &w->plane->ports[side];
	void *by = (void *)(uintptr_t)side;

	if (port->is_af_packet || strcmp(port->driver, "net_af_xdp") == 0)
		return port->link.n_fds >= (unsigned int)port->n_rx + port->syns.n &&
		       add(w, port->link.fds[queue], side);
	if (!port->rx_interrupts)
		return false;
	/* Before the driver is asked for any: vmxnet3 by uio_pci_generic has no vector, takes the error
	 * that stands for its number as one, and writes outside of the NIC's registers. */
	if (rte_eth_dev_rx_intr_ctl_q(port->id, queue, w->wakeup.epoll, RTE_INTR_EVENT_ADD, by) !=
	    0)
		return false;
	if (strcmp(port->driver, "net_tap") == 0)
		return true;
	if (rte_eth_dev_rx_intr_enable(port->id, queue) != 0) {
		rte_eth_dev_rx_intr_ctl_q(port->id, queue, w->wakeup.epoll, RTE_INTR_EVENT_DEL, by);
		return false;
	}
	w->wakeup.armable |= (uint8_t)(1u << side);
	rte_eth_dev_rx_intr_disable(port->id, queue);
	return true;
}

static bool
add_all(struct worker *w)
{
	struct wakeup *wakeup = &w->wakeup;
	bool is_whole = true;

	wakeup->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (wakeup->epoll < 0)
		return false;
	for (unsigned int side = 0; side < w->plane->n_ports; side++) {
		struct plane_port *port = &w->plane->ports[side];
		if (w->id >= port->n_rx)
			continue;
		uint16_t syn_queue = side == SIDE_OUTSIDE ? w->syn_queue : 0;
		port->rx_interrupts = add_queue(w, (enum side)side, (uint16_t)w->id) &&
		                      (syn_queue == 0 || add_queue(w, (enum side)side, syn_queue));
		is_whole &= port->rx_interrupts;
	}
	if (!is_whole || w->plane->n_workers == 1)
		return is_whole;
	wakeup->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return add(w, wakeup->event, BY_OTHERS);
}

enum idle_way
wakeup_open(struct worker *w)
{
	w->wakeup = (struct wakeup){ .epoll = -1, .event = -1 };
	if (w->plane->conf->workers.idle == CONF_IDLE_POLL)
		return IDLE_POLL;
	return add_all(w) ? IDLE_INTERRUPTS : IDLE_PAUSES;
}

void
wakeup_close(struct worker *w)
{
	if (w->wakeup.epoll >= 0)
		close(w->wakeup.epoll);
	if (w->wakeup.event >= 0)
		close(w->wakeup.event);
	w->wakeup.epoll = w->wakeup.event = -1;
}

static bool
is_armable(const struct worker *w, unsigned int side)
{
	return (w->wakeup.armable >> side & 1) != 0 && w->id < w->plane->ports[side].n_rx;
}

/* All our queues whose interrupts are enabled each time. */
static void
enable(const struct worker *w, int (*set)(uint16_t port, uint16_t queue))
{
	for (unsigned int side = 0; side < w->plane->n_ports; side++) {
		if (!is_armable(w, side))
			continue;
		set(w->plane->ports[side].id, (uint16_t)w->id);
		if (side == SIDE_OUTSIDE && w->syn_queue != 0)
			set(w->plane->ports[side].id, w->syn_queue);
	}
}

void
wakeup_arm(struct worker *w)
{
	enable(w, rte_eth_dev_rx_intr_enable);
	/* A full barrier: see wakeup.h. Whether interrupts are armed before frames are looked for is
	 * the driver's care. */
	__atomic_fetch_or(&w->plane->waiting, bit_of(w), __ATOMIC_SEQ_CST);
	w->wakeup.is_armed = true;
}

void
wakeup_disarm(struct worker *w)
{
	__atomic_fetch_and(&w->plane->waiting, ~bit_of(w), __ATOMIC_RELAXED);
	enable(w, rte_eth_dev_rx_intr_disable);
	w->wakeup.is_armed = false;
}

void
wakeup_wait(struct worker *w, unsigned int most_us)
{
	struct wakeup *wakeup = &w->wakeup;
	struct rte_epoll_event events[EVENTS_MAX];
	int n = rte_epoll_wait(wakeup->epoll, events, EVENTS_MAX,
	                       (int)((most_us + US_PER_MS - 1) / US_PER_MS));

	wakeup->has_timed_out = n <= 0;
	wakeup->told = 0;
	for (int i = 0; i < n; i++)
		wakeup->told |= (uint8_t)(1u << (uintptr_t)events[i].epdata.data);
}

void
wakeup_judge(struct worker *w, unsigned int found)
{
	struct wakeup *wakeup = &w->wakeup;

	/* A frame that came after the rest had ended, before this worker had its CPU again, has told
	 * of itself since. */
	if (wakeup->has_timed_out)
		wakeup_wait(w, 0);
	/* By the constant: gcc 14 takes n_ports for more than there can be. */
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		if ((found >> side & 1) == 0)
			continue;
		if (wakeup->told >> side & 1)
			idle_told(&w->idle, (enum side)side);
		else if (wakeup->has_timed_out && idle_late(&w->idle, (enum side)side))
			log_warning("%s: no interrupts come from %s: worker %u pauses by the clock "
			            "when idle",
			            side_name(side), w->plane->ports[side].conf->device, w->id);
	}
	wakeup->has_timed_out = false;
	wakeup->told = 0;
}

void
wakeup_others(struct plane *plane, uint64_t others)
{
	uint64_t one = 1;

	rte_smp_mb(); /* see wakeup.h */
	others &= __atomic_load_n(&plane->waiting, __ATOMIC_RELAXED);
	for (; unlikely(others != 0); others &= others - 1) {
		uint64_t bit = others & -others;
		const struct worker *other = plane->workers[__builtin_ctzll(others)];
		/* One signal is enough: whoever takes the bit away sends it. */
		if ((__atomic_fetch_and(&plane->waiting, ~bit, __ATOMIC_RELAXED) & bit) != 0 &&
		    write(other->wakeup.event, &one, sizeof(one)) != sizeof(one))
			log_debug("worker %u is not woken: %m", other->id);
	}
}
