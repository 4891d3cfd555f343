/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lane of what is no SYN beside the decision table, as fuzz_syn_lane.c does for SYNs:
 * two cores, one with the lane and one without, come to the same actions, bytes, counters and
 * memory. Some flows are opened by their handshakes, or pass; then either end says whatever the
 * input has it say, among segments of no service and blind ACKs, while the clock goes on and
 * reloads come.
 *
 * Input: which policy, and whether there is room for observe (1), then 10 bytes a frame: what it
 * is (1), flow (1), SEQ and ACK (2), flags (1), options and payload (1), how it is bent: at, by
 * (2), the clock, or what changes (1), whether the burst ends (1).
 */
#include "lane_policy.h"
#include "lane_twin.h"
#include "plain_lane.h"

#define FRAMES_MAX 64u
#define LINES 10u

/* How far a connection has come. */
enum phase {
	UNKNOWN,  /* nobody has spoken, or nobody has answered */
	ANSWERED, /* the client has a SYN-ACK of the engine's */
	ASKED,    /* the server has a SYN */
	OPEN      /* and has answered */
};

/* A flow, and what its two ends go by. */
static struct line {
	enum phase phase;
	uint32_t client_next; /* SEQ */
	uint32_t server_next; /* SEQ, the server's own */
	uint32_t server_seen; /* the same as the client knows it */
	uint32_t echo;        /* TSecr of the client */
} lines[LINES];

/* Whose flows they are, by the policy: of a server about which nothing is known the first passes,
 * and those after it are spliced. From 4 to 7 IPv6; 0, 4 and 8 have few options. */
static const uint8_t line_service[LINES] = { 2, 2, 2, 3, 7, 7, 7, 4, 5, 0 };

/* Layouts of options, by two bits of the input. Where TSval stands, 0: nowhere. */
static const struct {
	uint8_t bytes[40], len, stamps;
} layouts[] = {
	{ { 0 }, 0, 0 },
	{ { 1, 1, 8, 10 }, 12, 4 },
	{ { 1, 8, 10 }, 12, 3 },
	{ { 1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2 }, 24, 4 },
};
static const uint8_t syn_options[20] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
	                                 0, 9, 0, 0,    0, 0, 1, 3,  3, 7 };

static void
put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

/* A number near 0 mostly, and all of it at times. */
static uint32_t
bend(uint8_t by)
{
	if (by < 160)
		return 0;
	if (by < 192)
		return by & 31;
	if (by < 224)
		return 0u - (by & 31);
	return 1u << (by & 31);
}

static struct frame_spec
spec_of(unsigned int number, enum side side)
{
	struct frame_spec s = number & 4 ? frame_spec_v6() : frame_spec_v4();

	s.dst.bytes[15] = (uint8_t)(1 + line_service[number]);
	s.src.bytes[15] = (uint8_t)(number + 1);
	if (side == SIDE_OUTSIDE)
		return s;
	struct frame_spec back = s;
	back.src = s.dst;
	back.dst = s.src;
	back.src_port = s.dst_port;
	back.dst_port = s.src_port;
	return back;
}

/* The next step of a handshake; of an open connection data of its client. */
static struct frame_spec
go_on(struct line *line, unsigned int number, enum side *side, uint8_t more, uint8_t *options)
{
	*side = line->phase == ASKED ? SIDE_INSIDE : SIDE_OUTSIDE;
	struct frame_spec s = spec_of(number, *side);

	s.flags = line->phase == UNKNOWN ? TCP_SYN
	          : *side == SIDE_INSIDE ? TCP_SYN | TCP_ACK
	                                 : TCP_ACK;
	if (line->phase == UNKNOWN)
		line->client_next = number * 0x11111111u;
	s.seq = line->client_next;
	s.ack = line->server_seen;
	if (s.flags & TCP_SYN) {
		memcpy(options, syn_options, sizeof(syn_options));
		s.options = options;
		/* A server may scale otherwise than it did before. */
		options[19] = more & 64 ? 5 : 7;
		s.options_len = number & 3 ? sizeof(syn_options) : 4;
	} else if (number & 3) {
		memcpy(options, layouts[1].bytes, 12);
		put32(options + 4, 10);
		put32(options + 8, line->echo);
		s.options = options;
		s.options_len = 12;
	}
	if (line->phase == ASKED) {
		line->server_next = 0x77000000u + number;
		s.seq = line->server_next++;
		s.ack = line->client_next;
		line->phase = OPEN;
	}
	return s;
}

/* What either end says of a connection. */
static struct frame_spec
speak(struct line *line, unsigned int number, enum side side, uint8_t more, uint8_t *options)
{
	struct frame_spec s = spec_of(number, side);
	unsigned int layout = more >> 6;

	s.seq = side == SIDE_OUTSIDE ? line->client_next : line->server_next;
	s.ack = side == SIDE_OUTSIDE ? line->server_seen : line->client_next;
	s.flags = TCP_ACK;
	memcpy(options, layouts[layout].bytes, sizeof(layouts[layout].bytes));
	if (layouts[layout].stamps != 0) {
		put32(options + layouts[layout].stamps, 20);
		put32(options + layouts[layout].stamps + 4, 0x80000000u | line->echo);
	}
	s.options = options;
	s.options_len = layouts[layout].len;
	return s;
}

/* What comes between the frames of a burst. */
struct between {
	uint64_t ms;
	bool ends, reloads, captures;
};

static size_t
read_frame(struct fuzz_input *in, uint8_t *frame, enum side *side, struct between *then)
{
	static const uint8_t payload[8] = "payload", others[8] = {
		TCP_PSH | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST,           TCP_RST | TCP_ACK,
		TCP_SYN,           TCP_SYN | TCP_ACK, TCP_URG | TCP_ACK, TCP_FIN | TCP_PSH | TCP_ACK
	};
	uint8_t options[40] = { 0 }, kind = fuzz_u8(in), which = fuzz_u8(in), seq = fuzz_u8(in),
		ack = fuzz_u8(in), flags = fuzz_u8(in), more = fuzz_u8(in);
	unsigned int number = which % LINES;
	struct line *line = &lines[number];
	struct frame_spec s;

	*side = kind & 1 ? SIDE_INSIDE : SIDE_OUTSIDE;
	if (kind < 64) {
		s = go_on(line, number, side, more, options);
	} else if (kind < 208) {
		s = speak(line, number, *side, more, options);
	} else if (kind < 232) {
		/* Of no service: a port that is not served, or another host. */
		s = spec_of(number, *side);
		s.flags = kind & 2 ? TCP_ACK : TCP_SYN;
		if (kind & 4)
			*(*side == SIDE_OUTSIDE ? &s.dst_port : &s.src_port) = 22;
		else
			(*side == SIDE_OUTSIDE ? &s.dst : &s.src)->bytes[15] = 99;
	} else {
		/* Blind. */
		*side = SIDE_OUTSIDE;
		s = spec_of(number, *side);
		s.src_port = (uint16_t)(1000 + which);
		s.seq = which * 0x01234567u;
		s.ack = ~s.seq;
		s.flags = TCP_ACK;
	}
	s.seq += bend(seq);
	s.ack += bend(ack);
	if (flags >= 208)
		s.flags = others[flags & 7];
	s.payload = payload;
	s.payload_len = more & 7;
	if ((more & 0x38) == 0x38)
		s.bad_tcp_checksum = 1;
	if ((more & 0x38) == 0x30) {
		s.n_tags = 1;
		s.tpid[0] = 0x8100;
		s.tci[0] = 5;
	}
	s.dst_mac[0] = (more & 0x38) == 0x28;
	uint8_t at = fuzz_u8(in), by = fuzz_u8(in), clock = fuzz_u8(in);
	size_t len = frame_build(frame, &s);
	if (by >= 248)
		frame[at % len] ^= (uint8_t)(1u << (by & 7));
	then->ms += clock < 200 || clock >= 254 ? 0 : 1u << (clock & 15);
	then->reloads |= clock == 255;
	then->captures |= clock == 254;
	then->ends = fuzz_u8(in) >= 160;
	return len;
}

static struct line *
line_of(const struct flow *flow)
{
	return &lines[(flow->client.bytes[15] - 1u) % LINES];
}

/* What the ends hear, and go by from then on. */
static void
listen_to(const struct segment *seg, const struct action *a)
{
	struct line *line = line_of(seg != NULL ? &seg->flow : &a->flow);

	if (a->kind == ACTION_REPLY && (a->packet.flags & TCP_SYN)) {
		line->client_next = a->packet.ack;
		line->server_seen = a->packet.seq + 1;
		line->echo = a->packet.tsval;
		line->phase = ANSWERED;
	} else if ((a->kind == ACTION_ONWARD || a->kind == ACTION_SEND) && a->out == SIDE_INSIDE &&
	           a->packet.flags == TCP_SYN) {
		line->phase = ASKED;
	} else if (a->kind == ACTION_FORWARD && seg->class == SEGMENT_TCP && segment_opens(seg)) {
		line->client_next = seg->seq + 1;
		line->phase = ASKED;
	} else if (a->kind == ACTION_FORWARD && seg->class == SEGMENT_TCP &&
	           seg->side == SIDE_INSIDE && (seg->flags & TCP_SYN)) {
		line->server_seen = seg->seq + 1;
	}
}

/* It is no test of anything if nothing ever takes the lane. */
static void
check_taken(const struct core *core)
{
	static const enum counter of[] = { COUNTER_spliced, COUNTER_passed_tracked,
		                           COUNTER_passed_other, COUNTER_drop_unproven_ack,
		                           COUNTER_passed_handoff };
	static unsigned int n_inputs;
	static uint64_t n[sizeof(of) / sizeof(of[0])];

	n_inputs++;
	for (unsigned int i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		n[i] += counter_read(core_counters(core), of[i]);
		FUZZ_CHECK(n_inputs < 1000 || n[i] > 0);
	}
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
	bool observes = which & 4, captures = false;
	struct instant now = { 1000, 1700000000000, secret_current(&lane_secrets) };
	const struct policy *policy = &lane_policies[which & 1][observes];
	struct twin *a = twin_make(0, policy, which & 2, &now, &memory);
	struct twin *b = twin_make(1, policy, which & 2, &now, &memory);

	memset(lines, 0, sizeof(lines));
	for (unsigned int i = 0; i < FRAMES_MAX && in.at < in.end; i++) {
		enum side side;
		size_t len = read_frame(&in, a->burst.frames[a->burst.n], &side, &then);

		twins_take(a, b, len, side);
		if (!then.ends && a->burst.n < BURST_MAX && in.at < in.end)
			continue;
		twins_tick(a, b, &now, then.ms);
		twin_decide(a, &now, true, captures, NULL);
		twin_decide(b, &now, false, captures, listen_to);
		twins_check_burst(a, b);
		observes ^= then.reloads;
		captures ^= then.captures;
		if (then.reloads) {
			core_set_policy(a->core, &lane_policies[which & 1][observes]);
			core_set_policy(b->core, &lane_policies[which & 1][observes]);
		}
		then.reloads = then.captures = false;
	}
	check_taken(b->core);
	twins_check(a, b, memory, &now);
	return 0;
}
