/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program of segments, clock steps, ticks and commands for one small core (world.h).
 *
 * Input: sizes (4), policy (6), then instructions of 8 bytes:
 *   0    operation in the low 4 bits; flags in the high ones
 *   1    flow in the low 6 bits; neighbour's MAC address in the high ones
 *   2    TCP flags (an index) low; payload length (an index) high
 *   3, 4 SEQ and ACK: where to count from in the low 3 bits, how far from there in
 *        the high 5
 *   5    options (a bit each; timestamps: the other than what was agreed)
 *   6    window low, MSS high (indexes)
 *   7    window scale low, how timestamps are wrong (2 bits), SACK blocks (2 bits)
 */
#include "world.h"

#define INSTRUCTION_SIZE 8
#define INSTRUCTIONS_MAX 400u

enum operation {
	OP_SEGMENT_LAST = 8, /* 0 to 8: one TCP segment */
	OP_FRAGMENT,
	OP_ICMP,
	OP_MUTATED,
	OP_CLOCK,
	OP_RELOAD,
	OP_COMMAND,
	OP_FLOOD,
};

enum instruction_flag {
	FLAG_INSIDE = 0x10,
	FLAG_BURST = 0x20, /* wait for the next one, and go in together */
	FLAG_BAD_CHECKSUM = 0x40,
	FLAG_ODD = 0x80, /* a NOP before the options */
};

struct program {
	struct world *world;
	const uint8_t *at;                 /* this instruction */
	uint8_t changed[INSTRUCTION_SIZE]; /* or this one in its place */
	struct world_frame frames[WORLD_BURST];
	unsigned int n;
	uint32_t random;
};

static const uint8_t flag_sets[16] = {
	TCP_SYN,
	TCP_ACK,
	TCP_ACK | TCP_PSH,
	TCP_SYN | TCP_ACK,
	TCP_ACK | TCP_FIN,
	TCP_RST,
	TCP_RST | TCP_ACK,
	TCP_ACK,
	TCP_ACK | TCP_PSH | TCP_FIN,
	TCP_SYN | TCP_ECE | TCP_CWR,
	TCP_ACK | TCP_URG,
	TCP_FIN,
	0,
	TCP_SYN | TCP_FIN,
	TCP_SYN | TCP_RST,
	TCP_ACK | TCP_ECE,
};
static const uint16_t payload_sizes[16] = { 0,    1, 2, 10, 100, 536,  1000, 1448,
	                                    1460, 0, 3, 64, 700, 1400, 0,    5 };
static const uint32_t steps[32] = {
	0,        0,         0,        0,        0,           0,        0,          0,
	1,        -1u,       2,        -2u,      100,         -100u,    1000,       -1000u,
	1460,     -1460u,    16383,    16384,    -16384u,     65535,    -65535u,    65536,
	1u << 20, -1u << 20, 1u << 22, 1u << 30, -(1u << 30), 1u << 31, 0x7fffffff, 5,
};
static const uint16_t windows[16] = { 1000, 0,   1,   2, 7,   65535, 64240, 32768,
	                              127,  128, 255, 3, 500, 0,     8192,  16 };
static const uint16_t mss_values[16] = { 1460, 1440, 536, 1220, 0,    1,    11,    12,
	                                 13,   88,   300, 1300, 1452, 9000, 65535, 1000 };
static const uint32_t clock_steps[16] = { 0,    1,    10,   50,    100,   500,   1000,  1000,
	                                  2000, 4000, 5000, 10000, 20000, 30000, 60000, 28000 };

static void
flush(struct program *p)
{
	if (p->n > 0)
		world_burst(p->world, p->frames, p->n);
	p->n = 0;
}

static uint32_t
next_random(struct program *p)
{
	p->random = p->random * 1664525 + 1013904223;
	return p->random ^ p->random >> 16;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t
choose_seq(struct program *p, struct world_flow *f, enum side side, uint8_t flags)
{
	struct world_end *end = &f->ends[side], *peer = &f->ends[side ^ 1];
	uint32_t add = steps[p->at[3] >> 3];

	switch (p->at[3] & 7) {
	case 0: /* a SYN by the rules is a new one */
		if (flags & TCP_SYN)
			end->iss += 0x10001;
		return (flags & TCP_SYN ? end->iss : end->nxt) + add;
	case 1:
		return end->iss + add;
	case 2:
		return end->prev + add;
	case 3:
		return peer->rcv + add;
	case 4:
		return end->iss + 1 + add;
	case 5: /* the other space */
		return end->nxt + f->model.iss - f->model.server_iss + add;
	case 6:
		return f->model.irs + add;
	default:
		return next_random(p);
	}
}

static uint32_t
choose_ack(struct program *p, const struct world_flow *f, enum side side)
{
	const struct world_end *end = &f->ends[side], *peer = &f->ends[side ^ 1];
	uint32_t add = steps[p->at[4] >> 3];

	switch (p->at[4] & 7) {
	case 0:
	case 6:
		return end->rcv + add;
	case 1:
		return end->rcv_iss + 1 + add;
	case 2:
		return f->model.iss + 1 + add;
	case 3:
		return peer->nxt + add;
	case 4:
		return f->model.answers[(p->at[4] >> 3) % MODEL_ANSWERS].iss + 1;
	case 5:
		return 0;
	default:
		return next_random(p);
	}
}

static size_t
put_timestamps(struct program *p, const struct world_end *end, uint8_t *o)
{
	uint32_t tsval = (uint32_t)p->world->now_ms, tsecr = end->ts_recent;
	unsigned int wrong = p->at[7] >> 4 & 3;

	if (wrong == 1)
		tsecr = next_random(p);
	else if (wrong == 2)
		tsval -= 100000;
	else if (wrong == 3)
		tsval = tsecr = 0;
	o[0] = 8;
	o[1] = 10;
	put32(o + 2, tsval);
	put32(o + 6, tsecr);
	return 10;
}

/* Options as far as they fit; returns their size. */
static size_t
put_options(struct program *p, const struct world_end *end, uint32_t ack, uint8_t *o)
{
	uint8_t bits = p->at[5] ^ (end->timestamps ? OPTION_TIMESTAMPS : 0);
	unsigned int n_sack = p->at[7] >> 6;
	uint16_t mss = mss_values[p->at[6] >> 4];
	size_t n = 0;

	if (p->at[0] & FLAG_ODD)
		o[n++] = 1;
	if (bits & OPTION_MSS) {
		memcpy(o + n, (uint8_t[]){ 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss }, 4);
		n += 4;
	}
	if (bits & OPTION_WSCALE) {
		memcpy(o + n, (uint8_t[]){ 3, 3, p->at[7] & 15 }, 3);
		n += 3;
	}
	if (bits & OPTION_SACK_PERMITTED) {
		memcpy(o + n, (uint8_t[]){ 4, 2 }, 2);
		n += 2;
	}
	if (bits & OPTION_TIMESTAMPS)
		n += put_timestamps(p, end, o + n);
	if ((bits & OPTION_SACK) && n + 2 + 8 * n_sack <= 40 && n_sack > 0) {
		o[n] = 5;
		o[n + 1] = (uint8_t)(2 + 8 * n_sack);
		for (unsigned int i = 0; i < 2 * n_sack; i++)
			put32(o + n + 2 + 4 * i, ack + 1000 * i);
		n += 2 + 8 * n_sack;
	}
	if ((bits & (OPTION_MD5 | OPTION_AO)) && n + 18 <= 40) {
		memset(o + n, 0x5a, 18);
		o[n] = bits & OPTION_MD5 ? 19 : 29;
		o[n + 1] = 18;
		n += 18;
	}
	if ((bits & OPTION_BAD) && n + 2 <= 40) {
		o[n++] = 77;
		o[n++] = p->at[7];
	}
	return n;
}

/* Who sends, and to whom. */
static struct frame_spec
address(const struct program *p, const struct world_flow *f, enum side side)
{
	struct frame_spec spec = f->is_v4 ? frame_spec_v4() : frame_spec_v6();

	spec.src_mac[5] = (uint8_t)(spec.src_mac[5] + (p->at[1] >> 6));
	spec.src = side == SIDE_OUTSIDE ? f->flow.client : f->flow.server;
	spec.dst = side == SIDE_OUTSIDE ? f->flow.server : f->flow.client;
	spec.src_port = __builtin_bswap16(side == SIDE_OUTSIDE ? f->flow.client_port_be
	                                                       : f->flow.server_port_be);
	spec.dst_port = __builtin_bswap16(side == SIDE_OUTSIDE ? f->flow.server_port_be
	                                                       : f->flow.client_port_be);
	for (uint32_t tags = f->tags; tags != 0; tags <<= 16) {
		spec.tpid[spec.n_tags] = tags >> 16 & SEGMENT_TAG_SERVICE ? 0x88a8 : 0x8100;
		spec.tci[spec.n_tags++] = tags >> 16 & SEGMENT_TAG_VLAN_ID;
	}
	return spec;
}

/* A fragment: the first of several, or a later one, by the instruction's MSS. */
static void
put_fragment(const struct program *p, struct frame_spec *spec, const struct world_flow *f,
             uint8_t header[8])
{
	uint16_t off = p->at[6] & 0x10 ? (uint16_t)(64 + p->at[6]) : 0;
	bool more = off == 0 || (p->at[6] & 0x20);

	spec->ip_id = p->at[7];
	if (f->is_v4) {
		spec->ip_fragment = (uint16_t)(off | (more ? 0x2000 : 0));
		return;
	}
	memset(header, 0, 8);
	header[0] = 6;
	header[2] = (uint8_t)(off >> 5);
	header[3] = (uint8_t)(off << 3 | more);
	header[7] = p->at[7];
	spec->ip_first = 44;
	spec->ip_options = header;
	spec->ip_options_len = 8;
}

static void
segment(struct program *p, bool is_fragment)
{
	struct world_flow *f = &p->world->flows[p->at[1] & 63];
	bool inside = (p->at[0] & FLAG_INSIDE) && p->world->params.has_inside;
	enum side side = inside ? SIDE_INSIDE : SIDE_OUTSIDE;
	struct world_end *end = &f->ends[side];
	struct frame_spec spec = address(p, f, side);
	struct world_frame *frame = &p->frames[p->n++];
	uint8_t options[64], payload[2048], header[8];

	spec.flags = flag_sets[p->at[2] & 15];
	spec.seq = choose_seq(p, f, side, spec.flags);
	spec.ack = spec.flags & TCP_ACK ? choose_ack(p, f, side) : 0;
	spec.window = windows[p->at[6] & 15];
	spec.urgent = spec.flags & TCP_URG ? 1 : 0;
	spec.options = options;
	spec.options_len = put_options(p, end, spec.ack, options);
	spec.payload = payload;
	spec.payload_len = payload_sizes[p->at[2] >> 4];
	spec.bad_tcp_checksum = p->at[0] & FLAG_BAD_CHECKSUM ? 0x1234 : 0;
	for (size_t i = 0; i < spec.payload_len; i++)
		payload[i] = model_byte(spec.seq + !!(spec.flags & TCP_SYN) + (uint32_t)i);
	if (is_fragment) {
		spec.payload_len &= ~(size_t)7;
		put_fragment(p, &spec, f, header);
	}
	frame->side = side;
	frame->len = frame_build(frame->bytes, &spec);
	if (spec.flags & TCP_SYN) {
		end->iss = end->nxt = spec.seq;
		end->timestamps = false;
	}
	if (spec.seq == end->nxt && !(spec.flags & TCP_RST)) {
		end->prev = end->nxt;
		end->nxt += (uint32_t)spec.payload_len + !!(spec.flags & TCP_SYN) +
		            !!(spec.flags & TCP_FIN);
	}
	if (!(p->at[0] & FLAG_BURST) || p->n == WORLD_BURST)
		flush(p);
}

/* An ICMP error about the last rewritten segment, by the side on which it left. */
static void
icmp(struct program *p)
{
	const struct world_quote *q = &p->world->quote;

	flush(p);
	if (q->len == 0)
		return;
	const struct world_flow *f = &p->world->flows[q->flow];
	struct frame_spec spec = address(p, f, q->side);
	size_t l3_off = frame_l3_off(q->bytes), n = q->len - l3_off;
	size_t cut = (f->is_v4 ? 28u : 48u) + p->at[2] % 64u;
	uint8_t message[FRAME_SIZE] = { f->is_v4 ? 3 : 1, 1 };
	if (n > cut)
		n = cut;
	memcpy(message + 8, q->bytes + l3_off, n);
	if (p->at[3] & 1)
		message[8 + (f->is_v4 ? 24 : 44)] ^= p->at[4]; /* another SEQ */
	uint32_t pseudo = f->is_v4 ? 0 : frame_pseudo_sum(&spec.src, &spec.dst, 58, n + 8);
	uint16_t check = frame_checksum(pseudo, message, n + 8);
	message[2] = (uint8_t)(check >> 8);
	message[3] = (uint8_t)(check ^ (p->at[0] & FLAG_BAD_CHECKSUM ? 1 : 0));
	spec.proto = f->is_v4 ? 1 : 58;
	spec.payload = message;
	spec.payload_len = n + 8;
	p->frames[0].side = q->side;
	p->frames[0].len = frame_build(p->frames[0].bytes, &spec);
	p->n = 1;
	flush(p);
}

/* The segment that the instruction describes, with bytes of it changed. */
static void
mutated(struct program *p)
{
	const uint8_t *at = p->changed;

	memcpy(p->changed, p->at, sizeof(p->changed));
	p->changed[0] |= FLAG_BURST;
	p->at = at;
	segment(p, at[7] & 1);
	if (p->n == 0) /* the burst was full and went */
		return;
	struct world_frame *frame = &p->frames[p->n - 1];
	for (unsigned int i = 0; i <= (at[5] & 3u); i++) {
		uint32_t r = next_random(p) ^ at[5 + i % 3] * 40503u;
		frame->bytes[(r >> 8) % (i & 1 ? frame->len : 94)] ^= (uint8_t)(1u << (r & 7));
	}
	if (at[6] & 0x40)
		frame->len -= frame->len * (at[6] & 0x3f) / 64;
	p->world->bytes_known = false;
	flush(p);
}

/* SYNs or blind ACKs of clients that never come again. */
static void
flood(struct program *p)
{
	const struct world_flow *f = &p->world->flows[p->at[1] & 63];
	struct frame_spec spec = address(p, f, SIDE_OUTSIDE);

	flush(p);
	for (unsigned int i = 0; i < (p->at[2] & 31u); i++) {
		uint8_t *host = f->is_v4 ? &spec.src.bytes[15] : &spec.src.bytes[7];
		spec.src_port = (uint16_t)(1024 + next_random(p) % 4096);
		spec.seq = next_random(p);
		spec.flags = p->at[0] & FLAG_INSIDE ? TCP_ACK : TCP_SYN;
		spec.ack = spec.flags & TCP_ACK ? next_random(p) : 0;
		if (p->at[3] & 1)
			*host = (uint8_t)(1 + next_random(p) % 250);
		if (p->at[3] & 2) /* in each other's way on one neighbour's table */
			spec.src_mac[4] = (uint8_t)next_random(p);
		p->frames[p->n].side = SIDE_OUTSIDE;
		p->frames[p->n].len = frame_build(p->frames[p->n].bytes, &spec);
		if (++p->n == WORLD_BURST || !(p->at[0] & FLAG_BURST))
			flush(p);
	}
	flush(p);
}

static void
command(struct program *p)
{
	flush(p);
	switch (p->at[1] & 7) {
	case 0:
	case 1:
		core_drain(p->world->core, p->at[1] & 1);
		break;
	case 2:
		world_reset_remaining(p->world, p->at[2]);
		break;
	default:
		world_tick(p->world, p->at[2]);
	}
}

static void
run_instruction(struct program *p)
{
	unsigned int op = p->at[0] & 15u;

	if (op <= OP_SEGMENT_LAST) {
		segment(p, false);
		return;
	}
	switch ((enum operation)op) {
	case OP_FRAGMENT:
		segment(p, true);
		break;
	case OP_ICMP:
		icmp(p);
		break;
	case OP_MUTATED:
		mutated(p);
		break;
	case OP_CLOCK:
		flush(p);
		world_clock(p->world, clock_steps[p->at[1] & 15] + p->at[2] % 10u);
		if (!(p->at[0] & FLAG_INSIDE)) /* else the worker is stalled */
			world_tick(p->world, 100000);
		break;
	case OP_RELOAD:
		flush(p);
		world_reload(p->world, p->at + 1);
		break;
	case OP_FLOOD:
		flood(p);
		break;
	default:
		command(p);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct program p = { .world = &world, .random = 1 };

	if (size < 4 + WORLD_POLICY_SIZE)
		return 0;
	world_init(&world, data, data + 4);
	data += 4 + WORLD_POLICY_SIZE;
	size -= 4 + WORLD_POLICY_SIZE;
	for (unsigned int i = 0; i < INSTRUCTIONS_MAX && size >= INSTRUCTION_SIZE; i++) {
		p.at = data;
		run_instruction(&p);
		data += INSTRUCTION_SIZE;
		size -= INSTRUCTION_SIZE;
	}
	flush(&p);
	world_end(&world);
	world_fini(&world);
	return 0;
}
