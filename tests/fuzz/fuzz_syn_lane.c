/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lane of SYNs beside the decision table: two cores that see the same bursts of
 * frames, one with the lane and one without. Actions, the bytes that leave, and all that the
 * cores remember, tables, counters and talkers included, are the same; now and then a reload puts
 * services under observe, or takes them out of it, other live lists come, and a capture wants
 * notes of each burst, or none any more. The one without the lane forgets before each burst what
 * it has found out of destinations and of kinds of SYNs.
 *
 * Input: which policy, whether there is room for observe, which live lists and whether there is a
 * capture (1), then 12 bytes a frame: what it is (1), service, or what is gone on with, and of IPv6 the net of its server (1), client
 * (1), options (1), ISS, and an MSS if options have one of their own (2), flags (1), how it is
 * bent: at, by (2), the clock, or what changes (1), payload (1), whether the burst ends (1).
 */
#include "fuzz.h"

#include "lane_policy.h"
#include "lane_twin.h"
#include "syn_lane.h"

#define FRAMES_MAX 48u

static const struct {
	uint8_t bytes[24], len;
} layouts[] = {
	{ { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 }, 20 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2 }, 12 },
	{ { 2, 4, 5, 0xa0, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 0, 4, 2 }, 24 },
	{ { 2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10, 0, 0, 0, 7 }, 20 },
	{ { 2, 4, 2, 0 }, 4 },
	{ { 0 }, 0 },
	{ { 19, 18 }, 20 },
	{ { 3, 3, 4, 2, 4, 0, 100, 1, 1, 1 }, 12 },
};

/* What was sent last, to a client or to a server: what answers it. */
struct talk {
	struct flow flow;
	uint32_t seq, ack;
	bool is_there;
};

static struct talk talks[SIDE_COUNT]; /* by the side that it comes from */

/* ---- frames ---------------------------------------------------------- */

/* The next segment from either side, of a connection that was spoken on last. */
static struct frame_spec
go_on(const struct talk *talk, enum side side)
{
	struct frame_spec s = ip_addr_is_v4(&talk->flow.client) ? frame_spec_v4() : frame_spec_v6();
	const struct flow *flow = &talk->flow;

	s.src = side == SIDE_OUTSIDE ? flow->client : flow->server;
	s.dst = side == SIDE_OUTSIDE ? flow->server : flow->client;
	s.src_port = be16toh(side == SIDE_OUTSIDE ? flow->client_port_be : flow->server_port_be);
	s.dst_port = be16toh(side == SIDE_OUTSIDE ? flow->server_port_be : flow->client_port_be);
	s.seq = talk->seq;
	s.ack = talk->ack;
	s.flags = side == SIDE_OUTSIDE ? TCP_ACK : TCP_SYN | TCP_ACK;
	return s;
}

static struct frame_spec
begin(uint8_t kind, uint8_t service, uint8_t client)
{
	struct frame_spec s = kind & 1 ? frame_spec_v6() : frame_spec_v4();

	s.dst.bytes[15] = (uint8_t)(1 + service % (LANE_SERVICES + 1)); /* or none */
	s.dst.bytes[LANE_NET_BYTE] ^= (kind & 1) && service >= 192;
	s.src.bytes[15] = client & 7;
	s.src.bytes[kind & 1 ? 5 : 14] ^= client >> 4 & 1; /* another net */
	s.src_port = (uint16_t)(40000 + (client >> 5));
	s.flags = TCP_SYN;
	return s;
}

/* The options of a SYN: one of the layouts as it is, or with an MSS and a scale of its own, and
 * perhaps behind padding. */
static void
put_options(struct frame_spec *s, uint8_t how, uint16_t mss)
{
	static uint8_t bytes[4 + sizeof(layouts[0].bytes)];
	const size_t n_layouts = sizeof(layouts) / sizeof(layouts[0]);
	size_t layout = how % n_layouts, at = mss & 4 ? 4 : 0;
	uint8_t *options = bytes + at;

	s->options = layouts[layout].bytes;
	s->options_len = layouts[layout].len;
	if (!(how & 0x80))
		return;
	memset(bytes, TCPOPT_NOP, at);
	memcpy(options, layouts[layout].bytes, layouts[layout].len);
	if (options[0] == TCPOPT_MSS) {
		options[2] = (uint8_t)(mss >> 8);
		options[3] = (uint8_t)mss;
	}
	for (unsigned int i = 4; i + 2 < layouts[layout].len; i++)
		if (options[i] == TCPOPT_WSCALE && options[i + 1] == 3)
			options[i + 2] = how >> 3 & 15;
	s->options = bytes;
	s->options_len += (uint8_t)at;
}

/* What comes between the frames of a burst. */
struct between {
	uint64_t ms;
	bool ends, reloads, lists, captures;
};

static size_t
read_frame(struct fuzz_input *in, uint8_t *frame, enum side *side, struct between *then)
{
	static const uint8_t payload[8] = "payload";
	uint8_t kind = fuzz_u8(in), service = fuzz_u8(in), client = fuzz_u8(in),
		options = fuzz_u8(in);
	bool goes_on = (client & 8) && talks[service & 1].is_there;

	*side = goes_on ? (enum side)(service & 1) : SIDE_OUTSIDE;
	struct frame_spec s = goes_on ? go_on(&talks[*side], *side) : begin(kind, service, client);
	uint16_t number = fuzz_u16(in);
	uint32_t seq = 0x01010000u * number;
	uint8_t flags = fuzz_u8(in);
	if (!goes_on || *side == SIDE_INSIDE)
		s.seq = seq;
	if (flags >= 224)
		s.flags = flags;
	if (!goes_on)
		s.ack = s.flags == TCP_SYN ? 0 : s.seq * 3;
	if (s.flags & TCP_SYN)
		put_options(&s, options, number);
	uint8_t at = fuzz_u8(in), by = fuzz_u8(in), clock = fuzz_u8(in), more = fuzz_u8(in);
	s.payload = payload;
	s.payload_len = more < 224 ? 0 : more & 7;
	s.bad_tcp_checksum = (kind & 0x70) == 0x70;
	s.n_tags = (kind & 0x0e) == 0x0e;
	s.tpid[0] = 0x8100;
	s.tci[0] = 5;
	size_t len = frame_build(frame, &s);
	if (by >= 240)
		frame[at % len] ^= (uint8_t)(1u << (by & 7));
	if ((kind & 0x8e) == 0x8c)
		frame[0] |= 1;
	then->ms += clock < 200 || clock >= 253 ? 0 : 1u << (clock & 15);
	then->reloads |= clock == 255;
	then->lists |= clock == 254;
	then->captures |= clock == 253;
	then->ends = fuzz_u8(in) >= 192;
	return len;
}

/* Remember what the ends may answer. */
static void
listen_to(const struct segment *seg, const struct action *a)
{
	bool is_syn_ack = a->kind == ACTION_REPLY && (a->packet.flags & TCP_SYN),
	     passes = a->kind == ACTION_FORWARD && a->out == SIDE_INSIDE &&
	              seg->class == SEGMENT_TCP && (seg->flags & TCP_SYN),
	     opens = a->kind == ACTION_SEND && a->out == SIDE_INSIDE && (a->packet.flags & TCP_SYN);

	if (is_syn_ack)
		talks[SIDE_OUTSIDE] = (struct talk){ seg->flow, a->packet.ack, a->packet.seq + 1,
			                             true };
	else if (passes)
		talks[SIDE_INSIDE] = (struct talk){ seg->flow, 0, seg->seq + 1, true };
	else if (opens)
		talks[SIDE_INSIDE] = (struct talk){ a->flow, 0, a->packet.seq + 1, true };
}

/* Both ways. */
static void
play(struct twin *a, struct twin *b, const struct instant *now, bool captures)
{
	static unsigned int n_bursts, n_taken;

	twin_decide(a, now, true, captures, NULL);
	for (unsigned int i = 0; i < a->burst.n; i++)
		n_taken += a->burst.seg[i].found.lane != SYN_LANE_NEVER;
	twin_decide(b, now, false, captures, listen_to);
	twins_check_burst(a, b);
	/* It is no test of anything if nothing ever takes the lane. */
	FUZZ_CHECK(++n_bursts < 1000 || n_taken > 0);
}

/* What may change at any time. */
struct setting {
	unsigned int which; /* policy */
	bool observes, captures;
	unsigned int list;
};

static void
change(struct twin *a, struct twin *b, struct setting *setting, struct between *then)
{
	setting->observes ^= then->reloads;
	setting->captures ^= then->captures;
	setting->list = (setting->list + then->lists) % LANE_LISTS;
	for (unsigned int i = 0; i < 2; i++) {
		struct core *core = i == 0 ? a->core : b->core;

		if (then->lists)
			core_set_lists(core, lane_lists[setting->list]);
		if (then->reloads)
			core_set_policy(core, &lane_policies[setting->which][setting->observes]);
	}
	then->reloads = then->lists = then->captures = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, data + size };
	struct between then = { 0 };
	size_t memory;

	if (lane_policies[0][0].index == NULL)
		lane_policies_make();
	uint8_t which = fuzz_u8(&in);
	struct setting setting = { which & 1, which & 4, which & 32, which >> 3 & 3 };
	struct instant now = { 1000, 1700000000000, secret_current(&lane_secrets) };
	const struct policy *policy = &lane_policies[setting.which][setting.observes];
	struct twin *a = twin_make(0, policy, which & 2, &now, &memory);
	struct twin *b = twin_make(1, policy, which & 2, &now, &memory);

	core_set_lists(a->core, lane_lists[setting.list]);
	core_set_lists(b->core, lane_lists[setting.list]);
	memset(talks, 0, sizeof(talks));
	for (unsigned int i = 0; i < FRAMES_MAX && in.at < in.end; i++) {
		enum side side;
		size_t len = read_frame(&in, a->burst.frames[a->burst.n], &side, &then);

		twins_take(a, b, len, side);
		if (!then.ends && a->burst.n < BURST_MAX && in.at < in.end)
			continue;
		twins_tick(a, b, &now, then.ms);
		play(a, b, &now, setting.captures);
		change(a, b, &setting, &then);
	}
	twins_check(a, b, memory, &now);
	return 0;
}
