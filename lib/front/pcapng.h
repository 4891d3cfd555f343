/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing pcapng (draft-ietf-opsawg-pcapng), as far as Wireshark, tshark and tcpdump want it: one
 * section of this machine's byte order, its interfaces, packets with a comment each, and what was
 * lost at the end. Times are nanoseconds since 1970.
 *
 *   block:   type 4 | length 4 | body, padded to 4 | options | length 4
 *   option:  code 2 | length 2 | value, padded to 4;  the last one is of code 0 and length 0
 *
 * Each function writes one block to `out`, if there is room for all of it, and returns its
 * length; 0 if there is not.
 */
#ifndef SYNFRONT_PCAPNG_H
#define SYNFRONT_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

/* Most bytes of a packet's block beside the frame and the comment, padding included. */
#define PCAPNG_PACKET_OVERHEAD 64u

/* epb_flags, bits 0 and 1. */
enum pcapng_way {
	PCAPNG_INBOUND = 1,
	PCAPNG_OUTBOUND = 2,
};

struct pcapng_packet {
	uint32_t interface; /* by order of pcapng_interface(), from 0 */
	enum pcapng_way way;
	uint64_t at_ns;
	const uint8_t *frame;
	uint32_t captured, len; /* bytes of the frame that are here, and that there were */
	const char *comment;    /* UTF-8; NULL: none */
};

size_t pcapng_section(uint8_t *out, size_t room, const char *program);
/* An Ethernet. `description` NULL: none. `snap`: most bytes of a frame that are kept; 0: all. */
size_t pcapng_interface(uint8_t *out, size_t room, const char *name, const char *description,
                        uint32_t snap);
size_t pcapng_packet(uint8_t *out, size_t room, const struct pcapng_packet *packet);
/* How many packets there were, and how many of these were lost. */
size_t pcapng_statistics(uint8_t *out, size_t room, uint32_t interface, uint64_t at_ns,
                         uint64_t n_received, uint64_t n_lost);

#endif
