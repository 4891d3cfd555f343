/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcapng.h"

#include <stdbool.h>
#include <string.h>

enum block_type {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6, /* enhanced */
};

enum option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SECTION_PROGRAM = 4, /* shb_userappl */
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_RESOLUTION = 9, /* if_tsresol: a power of ten */
	PACKET_FLAGS = 2,
	STATISTICS_RECEIVED = 4, /* isb_ifrecv */
	STATISTICS_LOST = 5,     /* isb_ifdrop */
};

#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)
#define LENGTH_UNKNOWN UINT64_MAX
#define LINKTYPE_ETHERNET 1u
#define RESOLUTION_NS 9u
#define TEXT_MAX 65535u /* of an option */

/* A block in the making. */
struct block {
	uint8_t *out;
	size_t room, n;
	bool is_full; /* something did not fit */
};

static void
put(struct block *b, const void *bytes, size_t size)
{
	size_t padded = (size + 3) & ~(size_t)3;

	b->is_full |= padded > b->room - b->n;
	if (b->is_full)
		return;
	memset(b->out + b->n, 0, padded);
	memcpy(b->out + b->n, bytes, size);
	b->n += padded;
}

static void
put_u32(struct block *b, uint32_t value)
{
	put(b, &value, sizeof(value));
}

static void
put_two(struct block *b, uint16_t first, uint16_t second)
{
	uint16_t both[2] = { first, second };

	put(b, both, sizeof(both));
}

/* Times are two halves, the upper one first. */
static void
put_time(struct block *b, uint64_t at_ns)
{
	put_u32(b, (uint32_t)(at_ns >> 32));
	put_u32(b, (uint32_t)at_ns);
}

static void
put_option(struct block *b, enum option code, const void *value, size_t size)
{
	put_two(b, (uint16_t)code, (uint16_t)size);
	put(b, value, size);
}

static void
put_text(struct block *b, enum option code, const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	if (text != NULL)
		put_option(b, code, text, n < TEXT_MAX ? n : TEXT_MAX);
}

static struct block
begin(uint8_t *out, size_t room, enum block_type type)
{
	struct block b = { .out = out, .room = room };

	put_u32(&b, type);
	put_u32(&b, 0); /* its length, by end() */
	return b;
}

static size_t
end(struct block *b)
{
	uint32_t len = (uint32_t)b->n + 8;

	put_two(b, OPTION_END, 0);
	put_u32(b, len);
	if (b->is_full)
		return 0;
	memcpy(b->out + 4, &len, sizeof(len));
	return b->n;
}

size_t
pcapng_section(uint8_t *out, size_t room, const char *program)
{
	struct block b = begin(out, room, BLOCK_SECTION);
	const uint64_t unknown = LENGTH_UNKNOWN;

	put_u32(&b, BYTE_ORDER_MAGIC);
	put_two(&b, 1, 0); /* version */
	put(&b, &unknown, sizeof(unknown));
	put_text(&b, SECTION_PROGRAM, program);
	return end(&b);
}

size_t
pcapng_interface(uint8_t *out, size_t room, const char *name, const char *description,
                 uint32_t snap)
{
	struct block b = begin(out, room, BLOCK_INTERFACE);
	const uint8_t resolution = RESOLUTION_NS;

	put_two(&b, LINKTYPE_ETHERNET, 0);
	put_u32(&b, snap);
	put_text(&b, INTERFACE_NAME, name);
	put_text(&b, INTERFACE_DESCRIPTION, description);
	put_option(&b, INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
	return end(&b);
}

size_t
pcapng_packet(uint8_t *out, size_t room, const struct pcapng_packet *packet)
{
	struct block b = begin(out, room, BLOCK_PACKET);
	uint32_t flags = (uint32_t)packet->way;

	put_u32(&b, packet->interface);
	put_time(&b, packet->at_ns);
	put_u32(&b, packet->captured);
	put_u32(&b, packet->len);
	put(&b, packet->frame, packet->captured);
	put_text(&b, OPTION_COMMENT, packet->comment);
	put_option(&b, PACKET_FLAGS, &flags, sizeof(flags));
	return end(&b);
}

size_t
pcapng_statistics(uint8_t *out, size_t room, uint32_t interface, uint64_t at_ns,
                  uint64_t n_received, uint64_t n_lost)
{
	struct block b = begin(out, room, BLOCK_STATISTICS);

	put_u32(&b, interface);
	put_time(&b, at_ns);
	put_option(&b, STATISTICS_RECEIVED, &n_received, sizeof(n_received));
	put_option(&b, STATISTICS_LOST, &n_lost, sizeof(n_lost));
	return end(&b);
}
