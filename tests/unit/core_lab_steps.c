/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends of a connection: frames as hosts build them, and steps of a handshake. */
#include "core_lab.h"

static size_t
put_option32(uint8_t *p, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
	return 4;
}

/* Every option behind NOPs that align it, or, after one more NOP, do not. */
static size_t
put_options(uint8_t *o, const struct lab_seg *spec, uint8_t which, uint32_t tsval, uint32_t tsecr)
{
	size_t n = 0;

	if (spec->odd_options)
		o[n++] = 1;
	if (which & OPTION_MSS) {
		memcpy(o + n, (uint8_t[]){ 2, 4, (uint8_t)(spec->mss >> 8), (uint8_t)spec->mss },
		       4);
		n += 4;
	}
	if (which & OPTION_SACK_PERMITTED) {
		memcpy(o + n, (uint8_t[]){ 1, 1, 4, 2 }, 4);
		n += 4;
	}
	if (which & OPTION_TIMESTAMPS) {
		memcpy(o + n, (uint8_t[]){ 1, 1, 8, 10 }, 4);
		n += 4;
		n += put_option32(o + n, tsval);
		n += put_option32(o + n, tsecr);
	}
	if (which & OPTION_WSCALE) {
		memcpy(o + n, (uint8_t[]){ 1, 3, 3, spec->wscale }, 4);
		n += 4;
	}
	if (which & OPTION_MD5) {
		o[n++] = 19;
		o[n++] = 18;
		memset(o + n, 0x5a, 16);
		n += 16;
	}
	if (which & OPTION_AO) {
		o[n++] = 29;
		o[n++] = 16;
		memset(o + n, 0xa5, 14);
		n += 14;
	}
	if (spec->n_sack != 0) {
		memcpy(o + n, (uint8_t[]){ 1, 1, 5, (uint8_t)(2 + 8 * spec->n_sack) }, 4);
		n += 4;
		for (unsigned int i = 0; i < spec->n_sack; i++) {
			n += put_option32(o + n, spec->sack[i][0]);
			n += put_option32(o + n, spec->sack[i][1]);
		}
	}
	return n;
}

struct frame_spec
lab_frame(struct lab *lab, const struct lab_seg *spec, uint8_t *options, uint8_t *payload)
{
	static const uint16_t tpid[SIDE_COUNT][2] = { { 0x8100, 0 }, { 0x88a8, 0x8100 } };
	const struct lab_variant *v = lab->variant;
	struct frame_spec f = v->is_v6 ? frame_spec_v6() : frame_spec_v4();
	uint16_t client_port = spec->client_port ? spec->client_port : lab->client_port;
	uint16_t server_port = spec->server_port ? spec->server_port : lab->server_port;
	uint8_t which = spec->options;

	for (unsigned int i = 0; i < v->n_tags; i++) {
		f.tpid[i] = tpid[v->n_tags - 1][i];
		f.tci[i] = (uint16_t)(100 + i);
	}
	f.n_tags = v->n_tags;
	if (lab->tci[spec->side] != 0 && f.n_tags < 2) {
		f.tpid[1] = f.tpid[0];
		f.tci[1] = f.tci[0];
		f.tpid[0] = 0x8100;
		f.tci[0] = lab->tci[spec->side];
		f.n_tags++;
	}
	/* /24 and /48 end at these bytes. */
	unsigned int net = v->is_v6 ? 5 : 14, host = v->is_v6 ? 7 : 15;
	f.src.bytes[net] = (uint8_t)(f.src.bytes[net] + spec->client);
	f.src.bytes[host] = (uint8_t)(f.src.bytes[host] + spec->host);
	f.src_port = client_port;
	f.dst_port = server_port;
	if (spec->side == SIDE_INSIDE) {
		struct frame_spec g = f;
		memcpy(f.dst_mac, g.src_mac, 6);
		memcpy(f.src_mac, g.dst_mac, 6);
		f.src = g.dst;
		f.dst = g.src;
		f.src_port = g.dst_port;
		f.dst_port = g.src_port;
	}
	f.tos = lab->way[spec->side].tos;
	f.flow_label = lab->way[spec->side].flow_label;
	if (lab->way[spec->side].ttl != 0)
		f.ttl = lab->way[spec->side].ttl;
	f.seq = spec->seq;
	f.ack = spec->ack;
	f.flags = spec->flags;
	f.reserved = spec->reserved;
	f.urgent = spec->urgent;
	f.bad_tcp_checksum = spec->bad_checksum;
	f.window = spec->zero_window ? 0 : spec->window ? spec->window : 1000;
	bool is_ours = client_port == lab->client_port && spec->client == 0 && spec->host == 0;
	if (is_ours && lab->timestamps && !spec->no_timestamps &&
	    !(spec->flags & (TCP_RST | TCP_SYN)))
		which |= OPTION_TIMESTAMPS;
	uint32_t tsval = spec->tsval ? spec->tsval : lab->ts_clock[spec->side];
	uint32_t tsecr = spec->tsecr             ? spec->tsecr
	                 : spec->flags & TCP_ACK ? lab->ts_seen[spec->side]
	                                         : 0;
	f.options_len = put_options(options, spec, which, tsval, tsecr);
	f.options = options;
	for (size_t i = 0; i < spec->payload_len; i++)
		payload[i] = lab_byte(spec->seq + !!(spec->flags & TCP_SYN) + (uint32_t)i);
	f.payload = payload;
	f.payload_len = spec->payload_len;
	return f;
}

unsigned int
lab_in(struct lab *lab, const struct lab_seg *spec)
{
	uint8_t options[64], payload[FRAME_SIZE], frame[FRAME_SIZE];
	struct frame_spec f = lab_frame(lab, spec, options, payload);
	size_t len = frame_build(frame, &f);

	return lab_in_frame(lab, spec->side, frame, len, spec->bad_checksum != 0);
}

bool
lab_answers_anywhere(struct lab *lab, const struct lab_seg *spec)
{
	uint8_t options[64], payload[FRAME_SIZE], frame[FRAME_SIZE];
	struct frame_spec f = lab_frame(lab, spec, options, payload);
	const struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	uint32_t len = (uint32_t)frame_build(frame, &f);
	struct segment seg;

	segment_parse(&seg, frame, len, len, spec->side);
	return core_whose(lab->core, &seg, &now) == CORE_ANY;
}

void
lab_teach_from(struct lab *lab, uint32_t client, uint8_t offered, uint8_t answered)
{
	struct lab_seg s = { .side = SIDE_OUTSIDE,
		             .flags = TCP_SYN,
		             .seq = 5000,
		             .client_port = 50000,
		             .client = client,
		             .options = offered,
		             .mss = lab->server_mss,
		             .wscale = 3,
		             .tsval = 77 };

	CHECK(lab_in(lab, &s) == 1 && lab->out[0].side == SIDE_INSIDE);
	OUTCOME_IS(passed_syn);
	s = (struct lab_seg){ .side = SIDE_INSIDE,
		              .flags = TCP_SYN | TCP_ACK,
		              .seq = 6000,
		              .ack = 5001,
		              .client_port = 50000,
		              .client = client,
		              .options = answered & offered,
		              .mss = lab->server_mss,
		              .wscale = lab->server_wscale,
		              .tsval = 99,
		              .tsecr = 77 };
	CHECK(lab_in(lab, &s) == 1 && lab->out[0].side == SIDE_OUTSIDE);
	OUTCOME_IS(passed_tracked);
	s = (struct lab_seg){ .side = SIDE_OUTSIDE,
		              .flags = TCP_ACK,
		              .seq = 5001,
		              .ack = 6001,
		              .client_port = 50000,
		              .client = client };
	CHECK(lab_in(lab, &s) == 1 && lab->out[0].side == SIDE_INSIDE);
	CHECK(lab_grew(lab, COUNTER_tracked) == 1);
	s = (struct lab_seg){ .side = SIDE_OUTSIDE,
		              .flags = TCP_RST,
		              .seq = 5001,
		              .client_port = 50000,
		              .client = client };
	CHECK(lab_in(lab, &s) == 1 && lab->out[0].side == SIDE_INSIDE);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
}

uint32_t *
lab_share_cookies(struct lab *lab)
{
	static uint32_t until_s[SERVICES_MAX];

	memset(until_s, 0, sizeof(until_s));
	lab->params.cookies_until_s = until_s;
	return until_s;
}

void
lab_teach(struct lab *lab)
{
	lab_teach_from(lab, 100, LAB_ALL, LAB_ALL);
}

unsigned int
lab_syn(struct lab *lab)
{
	const struct lab_variant *v = lab->variant;

	return CLIENT(TCP_SYN, lab->irs, 0, .options = v->options, .mss = lab->server_mss,
	              .wscale = v->wscale, .window = 64240);
}

void
lab_syn_ack(struct lab *lab)
{
	const struct lab_variant *v = lab->variant;

	lab_syn(lab);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	CHECK(out->seg.flags == (TCP_SYN | TCP_ACK));
	EQUAL(out->seg.ack, lab->irs + 1);
	EQUAL(out->seg.payload_len, 0);
	lab->iss = out->seg.seq;
	lab->promised_mss = out->seg.mss;
	lab->timestamps = (out->seg.options & OPTION_TIMESTAMPS) != 0;
	lab->engine_wscale = out->seg.options & OPTION_WSCALE ? out->seg.wscale : WSCALE_NONE;
	lab->client_wscale = out->seg.options & OPTION_WSCALE ? v->wscale : WSCALE_NONE;
}

void
lab_connecting(struct lab *lab)
{
	lab_syn_ack(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(taken_proof);
	CHECK(lab_grew(lab, COUNTER_opened) == 1);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	CHECK(out->seg.flags == TCP_SYN);
	EQUAL(out->seg.seq, lab->irs);
}

unsigned int
lab_server_syn_ack(struct lab *lab, const struct lab_out *syn)
{
	uint8_t options = (syn->seg.options | OPTION_MSS) & lab->server_options;

	return SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = options,
	              .mss = lab->server_mss, .wscale = lab->server_wscale, .window = 28960);
}

void
lab_splice(struct lab *lab)
{
	lab_connecting(lab);
	struct lab_out syn = *ONLY(SIDE_INSIDE);
	lab_server_syn_ack(lab, &syn);
	OUTCOME_IS(taken_handshake);
	CHECK(lab_grew(lab, COUNTER_connected) == 1);
	const struct lab_out *ack = NTH(SIDE_INSIDE, 0);
	CHECK(ack->seg.flags == TCP_ACK);
	EQUAL(ack->seg.seq, lab->irs + 1);
	EQUAL(ack->seg.ack, lab->server_iss + 1);
	const struct lab_out *update = NTH(SIDE_OUTSIDE, 0);
	CHECK(update->seg.flags == TCP_ACK);
	EQUAL(update->seg.seq, lab->iss + 1);
	EQUAL(update->seg.ack, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

void
lab_close(struct lab *lab)
{
	lab_splice(lab);
	CLIENT(TCP_ACK | TCP_FIN, lab->irs + 1, lab->iss + 1);
	OUTCOME_IS(spliced);
	SERVER(TCP_ACK | TCP_FIN, lab->server_iss + 1, lab->irs + 2);
	OUTCOME_IS(spliced);
	CLIENT(TCP_ACK, lab->irs + 2, lab->iss + 2);
	OUTCOME_IS(spliced);
	EQUAL(lab_state(lab), CONN_CLOSING);
}

void
lab_spend(struct lab *lab)
{
	lab_splice(lab);
	CLIENT(TCP_RST, lab->irs + 1, 0);
	OUTCOME_IS(spliced);
	EQUAL(lab_state(lab), CONN_CLOSING);
	lab_tick(lab, 1000 * (lab->policy.timeouts.reset_linger + 2));
	EQUAL(lab_state(lab), CONN_SPENT);
}

void
lab_syn_of(struct lab *lab, unsigned int i, uint32_t client)
{
	CLIENT(TCP_SYN, 1000 + i, 0, .client_port = (uint16_t)(1000 + i), .client = client);
}

uint32_t
lab_open_of(struct lab *lab, unsigned int i, uint32_t client)
{
	lab_syn_of(lab, i, client);
	uint32_t iss = NTH(SIDE_OUTSIDE, 0)->seg.seq;
	CLIENT(TCP_ACK, 1001 + i, iss + 1, .client_port = (uint16_t)(1000 + i), .client = client);
	return iss;
}

uint32_t
lab_splice_of(struct lab *lab, unsigned int i, uint32_t client)
{
	uint32_t iss = lab_open_of(lab, i, client);
	EQUAL(NTH(SIDE_INSIDE, 0)->seg.flags, TCP_SYN);
	SERVER(TCP_SYN | TCP_ACK, 9000, 1001 + i, .client_port = (uint16_t)(1000 + i),
	       .client = client, .options = OPTION_MSS, .mss = lab->server_mss);
	OUTCOME_IS(taken_handshake);
	return iss;
}

struct lab *
lab_beside(const struct lab *lab)
{
	struct lab *beside = malloc(sizeof(*beside));

	if (beside == NULL)
		abort();
	*beside = *lab;
	beside->policy.services = beside->services;
	for (unsigned int i = 0; i < LAB_SERVICES; i++) {
		beside->services[i].addresses = beside->addresses;
		beside->services[i].ports = &beside->ports[i];
	}
	return beside;
}

bool
lab_payload_is(const struct lab_out *out, uint32_t seq, size_t len)
{
	if (out->seg.payload_len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (segment_payload(&out->seg)[i] != lab_byte(seq + (uint32_t)i))
			return false;
	return true;
}

void
lab_check_passed(struct lab *lab, enum side side)
{
	EQUAL(ONLY(side)->kind, ACTION_FORWARD);
	EQUAL(lab_grew(lab, COUNTER_passed_tracked) + lab_grew(lab, COUNTER_passed_syn), 1);
}
