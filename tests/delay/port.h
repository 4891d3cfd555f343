/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network interface as a packet socket: frames come out of a ring that the kernel fills
 * (TPACKET_V2: it hands over each frame at once, with the time of its arrival; a block of
 * TPACKET_V3 can be a millisecond late), and are sent in batches.
 *
 * Frames are whole Ethernet frames, with the VLAN tag that the kernel took out put back.
 * What the socket itself sends does not come back to it.
 */
#ifndef SYNFRONT_PORT_H
#define SYNFRONT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_ERROR_SIZE 256u
#define PORT_BATCH 64u

struct port {
	const char *name;
	int fd;
	uint32_t mtu;
	uint8_t *ring;
	size_t slot_size, n_slots, at;
	uint64_t n_socket_dropped; /* the ring was full */
	uint64_t n_too_long;       /* longer than the MTU: segmentation offload is on */
	uint64_t n_unsummed;       /* their checksum was left to hardware that is not there */
	uint64_t n_unsent;         /* the interface did not take them */
};

/* A frame in the ring; it stays there until port_done(). */
struct port_frame {
	const uint8_t *bytes;
	uint32_t length; /* with the tag, if there is one */
	bool tagged;     /* `tag` belongs between bytes 12 and 13 */
	uint8_t tag[4];
	uint64_t arrived_ns; /* CLOCK_REALTIME */
};

struct frame;

/* False and a sentence in `error` if the interface cannot be used. */
bool port_open(struct port *port, const char *name, char error[PORT_ERROR_SIZE]);
void port_close(struct port *port);

/* The next frame that has arrived; false if there is none. */
bool port_next(struct port *port, struct port_frame *frame);
/* Give the kernel the place of the last frame back. */
void port_done(struct port *port);
/* Write a frame's `length` bytes. */
void port_copy(const struct port_frame *frame, uint8_t *bytes);

/* Send at most PORT_BATCH frames. */
void port_send(struct port *port, struct frame *const *frames, unsigned int n);

/* Bring n_socket_dropped up to date. */
void port_count(struct port *port);

#endif
