/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture's begin and end, and its reader's part: rings become blocks of a file. */
#include "capture.h"

#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pcapng.h"
#include "quiescent.h"
#include "wall_clock.h"

static uint64_t
now_ms(const struct plane *plane)
{
	return (rte_rdtsc() - plane->base_tsc) / plane->tsc_per_ms;
}

static void
renew_lease(const struct plane *plane, struct capture *c)
{
	__atomic_store_n(&c->lease_ms, now_ms(plane) + CAPTURE_LEASE_MS, __ATOMIC_RELAXED);
}

static bool
is_abandoned(const struct plane *plane, const struct capture *c)
{
	return now_ms(plane) >= __atomic_load_n(&c->lease_ms, __ATOMIC_RELAXED);
}

/* The memory is written to here, so that no worker meets a page that is not there. */
static struct capture *
make(const struct plane *plane, const struct capture_filter *filter)
{
	struct capture *c = calloc(1, sizeof(*c));
	size_t size = (size_t)plane->n_workers * CAPTURE_RING_SIZE;

	if (c == NULL)
		return NULL;
	c->filter = *filter;
	c->n_rings = plane->n_workers;
	c->rings = aligned_alloc(64, c->n_rings * sizeof(*c->rings));
	c->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (c->rings == NULL || c->memory == MAP_FAILED) {
		if (c->memory != MAP_FAILED)
			munmap(c->memory, size);
		free(c->rings);
		free(c);
		return NULL;
	}
	for (unsigned int i = 0; i < c->n_rings; i++)
		capture_ring_init(&c->rings[i], c->memory + (size_t)i * CAPTURE_RING_SIZE);
	return c;
}

struct capture *
capture_begin(struct plane *plane, const struct capture_filter *filter,
              char error[CAPTURE_NAME_MAX])
{
	struct capture *c = plane->own_capture;

	if (c != NULL && !is_abandoned(plane, c)) {
		snprintf(error, CAPTURE_NAME_MAX,
		         "there is a capture already (number %llu), and there is one at a time",
		         (unsigned long long)c->id);
		return NULL;
	}
	capture_free(plane);
	c = make(plane, filter);
	if (c == NULL) {
		snprintf(error, CAPTURE_NAME_MAX, "no memory: %u MB are wanted",
		         plane->n_workers * (CAPTURE_RING_SIZE >> 20));
		return NULL;
	}
	c->id = ++plane->n_captures;
	plane->own_capture = c;
	renew_lease(plane, c);
	__atomic_store_n(&plane->capture, c, __ATOMIC_RELEASE);
	return c;
}

struct capture *
capture_find(struct plane *plane, uint64_t id)
{
	struct capture *c = plane->own_capture;

	if (c == NULL || c->id != id || is_abandoned(plane, c))
		return NULL;
	renew_lease(plane, c);
	return c;
}

void
capture_end(struct plane *plane, struct capture *c)
{
	if (c->is_ended)
		return;
	__atomic_store_n(&plane->capture, NULL, __ATOMIC_RELEASE);
	quiescent_wait(plane);
	c->is_ended = true;
}

void
capture_fini(struct plane *plane)
{
	struct capture *c = plane->own_capture;

	if (c == NULL)
		return;
	munmap(c->memory, (size_t)c->n_rings * CAPTURE_RING_SIZE);
	free(c->rings);
	free(c);
	plane->own_capture = plane->capture = NULL;
}

void
capture_free(struct plane *plane)
{
	if (plane->own_capture != NULL)
		capture_end(plane, plane->own_capture);
	capture_fini(plane);
}

void
capture_sums(const struct capture *c, uint64_t *n_taken, uint64_t *n_lost)
{
	*n_taken = *n_lost = 0;
	for (unsigned int i = 0; i < c->n_rings; i++)
		for (unsigned int side = 0; side < SIDE_COUNT; side++) {
			*n_taken += __atomic_load_n(&c->rings[i].n_taken[side], __ATOMIC_RELAXED);
			*n_lost += __atomic_load_n(&c->rings[i].n_lost[side], __ATOMIC_RELAXED);
		}
}

/* ---- reading ----------------------------------------------------------- */

static size_t
head_of_file(const struct plane *plane, uint8_t *out, size_t room)
{
	size_t n = pcapng_section(out, room, "synfront");

	for (unsigned int side = 0; side < plane->n_ports; side++) {
		const struct plane_port *port = &plane->ports[side];
		n += pcapng_interface(out + n, room - n, side_name(side),
		                      port->conf != NULL ? port->conf->device : NULL, CAPTURE_SNAP);
	}
	return n;
}

static size_t
end_of_file(const struct plane *plane, const struct capture *c, uint8_t *out, size_t room)
{
	uint64_t at_ns = wall_clock_ms(plane, now_ms(plane)) * 1000000;
	size_t n = 0;

	for (unsigned int side = 0; side < plane->n_ports; side++) {
		uint64_t n_taken = 0, n_lost = 0;
		for (unsigned int i = 0; i < c->n_rings; i++) {
			n_taken += c->rings[i].n_taken[side];
			n_lost += c->rings[i].n_lost[side];
		}
		n += pcapng_statistics(out + n, room - n, side, at_ns, n_taken + n_lost, n_lost);
	}
	return n;
}

/* Of all rings the one whose next record is the oldest; NULL: all are empty. */
static struct capture_ring *
oldest(struct capture *c, const struct capture_record **record)
{
	struct capture_ring *found = NULL;

	*record = NULL;
	for (unsigned int i = 0; i < c->n_rings; i++) {
		const struct capture_record *r = capture_ring_next(&c->rings[i]);
		if (r == NULL || (*record != NULL && (*record)->at_ns <= r->at_ns))
			continue;
		*record = r;
		found = &c->rings[i];
	}
	return found;
}

static const char *
service_name(const struct policy *policy, uint16_t id)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (policy->services[i].id == id)
			return policy->services[i].name;
	return NULL;
}

static size_t
packet_of(const struct policy *policy, const struct capture_record *r, uint8_t *out, size_t room)
{
	const char *service = service_name(policy, r->service);
	char comment[VERDICT_TEXT_MAX];

	if (r->is_sent)
		verdict_sent_text(comment, r->is_by_timer ? NULL : &r->verdict, service);
	else
		verdict_text(comment, &r->verdict, service);
	const struct pcapng_packet packet = {
		.interface = r->side,
		.way = r->is_sent ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
		.at_ns = r->at_ns,
		.frame = capture_record_frame(r),
		.captured = r->captured,
		.len = r->len,
		.comment = comment,
	};
	return pcapng_packet(out, room, &packet);
}

size_t
capture_read(const struct plane *plane, const struct policy *policy, struct capture *c,
             uint8_t *out, size_t room)
{
	const struct capture_record *record;
	struct capture_ring *ring;
	size_t n = 0, size;

	if (!c->has_head)
		n = head_of_file(plane, out, room);
	c->has_head = true;
	while ((ring = oldest(c, &record)) != NULL) {
		size = packet_of(policy, record, out + n, room - n);
		if (size == 0)
			return n;
		n += size;
		capture_ring_drop(ring);
	}
	if (c->is_ended && !c->has_end) {
		size = end_of_file(plane, c, out + n, room - n);
		n += size;
		c->has_end = size != 0;
	}
	return n;
}
