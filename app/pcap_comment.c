/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcap_comment.h"

#include <errno.h>
#include <string.h>

#include "emit.h"
#include "pcap_files.h"
#include "pcapng.h"

#define BLOCK_MAX (PCAP_FRAME_MAX + EMIT_HEADER_MAX + VERDICT_TEXT_MAX + PCAPNG_PACKET_OVERHEAD)

/* Of the program alone, which has one thread. */
static uint8_t block[BLOCK_MAX];

static void
write_block(struct pcap_comment *c, size_t size)
{
	fwrite(block, 1, size, c->out);
}

int
pcap_comment_open(struct pcap_comment *c, const char *path, bool has_inside)
{
	*c = (struct pcap_comment){ .path = path };
	if (path == NULL)
		return 0;
	c->out = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
	if (c->out == NULL) {
		fprintf(stderr, "synfront-pcap: %s: %s\n", path, strerror(errno));
		return -1;
	}
	write_block(c, pcapng_section(block, sizeof(block), "synfront-pcap"));
	for (unsigned int side = 0; side < 1u + has_inside; side++)
		write_block(c, pcapng_interface(block, sizeof(block), side_name(side), NULL, 0));
	return 0;
}

static const char *
service_name(const struct pcap_comment *c)
{
	for (uint32_t i = 0; i < c->policy->n_services; i++)
		if (c->policy->services[i].id == c->service)
			return c->policy->services[i].name;
	return NULL;
}

static void
add(struct pcap_comment *c, enum side side, enum pcapng_way way, uint64_t at_us,
    const uint8_t *frame, uint32_t len, const char *text)
{
	const struct pcapng_packet packet = {
		.interface = side,
		.way = way,
		.at_ns = at_us * 1000,
		.frame = frame,
		.captured = len,
		.len = len,
		.comment = text,
	};

	write_block(c, pcapng_packet(block, sizeof(block), &packet));
}

void
pcap_comment_received(struct pcap_comment *c, const struct segment *seg,
                      const struct actions *actions, const struct core_note *note, uint64_t at_us,
                      const uint8_t *frame, uint32_t len)
{
	char text[VERDICT_TEXT_MAX];

	c->is_tick = false;
	c->service = seg->found.service;
	c->verdict.note = *note;
	for (unsigned int i = 0; i < actions->n; i++)
		if (actions->list[i].kind != ACTION_SEND)
			c->verdict.outcome = actions->list[i].outcome;
	verdict_text(text, &c->verdict, service_name(c));
	add(c, seg->side, PCAPNG_INBOUND, at_us, frame, len, text);
}

void
pcap_comment_neighbour(struct pcap_comment *c)
{
	c->is_tick = false;
	c->service = SERVICE_NONE;
	c->verdict = (struct verdict){ .outcome = COUNTER_answered_neighbour,
		                       .note = { .row = CORE_ROW_NONE } };
}

void
pcap_comment_sent(struct pcap_comment *c, enum side side, uint64_t at_us, const uint8_t *frame,
                  uint32_t len)
{
	char text[VERDICT_TEXT_MAX];

	verdict_sent_text(text, c->is_tick ? NULL : &c->verdict,
	                  c->is_tick ? NULL : service_name(c));
	add(c, side, PCAPNG_OUTBOUND, at_us, frame, len, text);
}

int
pcap_comment_close(struct pcap_comment *c)
{
	if (c->out == NULL)
		return 0;
	bool failed = ferror(c->out) != 0;
	failed |= (c->out == stdout ? fflush(c->out) : fclose(c->out)) != 0;
	if (failed)
		fprintf(stderr, "synfront-pcap: %s: cannot be written\n", c->path);
	c->out = NULL;
	return failed ? -1 : 0;
}
