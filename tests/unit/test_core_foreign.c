/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that are no TCP segments of a service: ICMP errors, fragments, the rest. */
#include "core_lab.h"

static void
start(struct lab *lab)
{
	/* Of a host with mode handoff a later fragment may come alone. */
	lab->services[2].mode = MODE_RESPOND;
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/*
 * An ICMP error of the router on `side` about a segment that went out by it,
 * quoting its IP and TCP header; the quoted TCP header's offset in *quoted.
 */
static size_t
build_icmp(struct lab *lab, enum side side, uint32_t seq, uint32_t ack, uint8_t *frame,
           size_t *quoted)
{
	struct lab_seg s = {
		.side = side ^ 1, .flags = TCP_ACK, .seq = seq, .ack = ack, .no_timestamps = true
	};
	uint8_t options[64], payload[64], inner[FRAME_SIZE], icmp[FRAME_SIZE] = { 0 };
	struct frame_spec f = lab_frame(lab, &s, options, payload);
	size_t n = frame_build(inner, &f), l3 = frame_l3_off(inner);
	bool is_v6 = lab->variant->is_v6;

	icmp[0] = is_v6 ? 1 : 3;
	icmp[1] = is_v6 ? 0 : 1;
	memcpy(icmp + 8, inner + l3, n - l3);
	size_t len = 8 + n - l3;
	*quoted = 8 + frame_l4_off(inner) - l3;

	s.side = side;
	struct frame_spec o = lab_frame(lab, &s, options, payload);
	o.src.bytes[15] = 0x99;
	uint32_t sum = is_v6 ? frame_pseudo_sum(&o.src, &o.dst, 58, len) : 0;
	uint16_t check = frame_checksum(sum, icmp, len);
	icmp[2] = (uint8_t)(check >> 8);
	icmp[3] = (uint8_t)check;
	o.proto = is_v6 ? 58 : 1;
	o.payload = icmp;
	o.payload_len = len;
	return frame_build(frame, &o);
}

static bool
icmp_is_good(struct lab *lab, const struct lab_out *out, const struct ip_addr *src,
             const struct ip_addr *dst)
{
	size_t l4 = frame_l4_off(out->frame), len = out->len - l4;
	uint32_t sum = lab->variant->is_v6 ? frame_pseudo_sum(src, dst, 58, len) : 0;

	return frame_checksum(sum, out->frame + l4, len) == 0;
}

/* A segment of the server was too big for somebody outside: what is quoted is
 * what the client's side saw, and goes back to what the server sent. */
LAB_TEST(test_foreign_icmp_from_outside_rewritten)
{
	uint8_t frame[FRAME_SIZE];
	size_t quoted;

	start(lab);
	SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 1, .payload_len = 1000);
	size_t len = build_icmp(lab, SIDE_OUTSIDE, lab->iss + 1, lab->irs + 1, frame, &quoted);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(passed_icmp);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	const uint8_t *tcp = out->frame + frame_l4_off(out->frame) + quoted;
	EQUAL(get32(tcp + 4), lab->server_iss + 1);
	EQUAL(get32(tcp + 8), lab->irs + 1);
	struct frame_spec o = lab_frame(lab, &(struct lab_seg){ .side = SIDE_OUTSIDE },
	                                (uint8_t[64]){ 0 }, (uint8_t[64]){ 0 });
	o.src.bytes[15] = 0x99;
	CHECK(icmp_is_good(lab, out, &o.src, &o.dst));
}

LAB_TEST(test_foreign_icmp_from_inside_rewritten)
{
	uint8_t frame[FRAME_SIZE];
	size_t quoted;

	start(lab);
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 100);
	size_t len = build_icmp(lab, SIDE_INSIDE, lab->irs + 1, lab->server_iss + 1, frame,
	                        &quoted);
	lab_in_frame(lab, SIDE_INSIDE, frame, len, false);
	OUTCOME_IS(passed_icmp);
	const struct lab_out *out = ONLY(SIDE_OUTSIDE);
	const uint8_t *tcp = out->frame + frame_l4_off(out->frame) + quoted;
	EQUAL(get32(tcp + 4), lab->irs + 1);
	EQUAL(get32(tcp + 8), lab->iss + 1);
}

/* Soft or hard, an error changes nothing here. */
LAB_TEST(test_foreign_icmp_does_not_abort)
{
	uint8_t frame[FRAME_SIZE];
	size_t quoted;

	start(lab);
	size_t len = build_icmp(lab, SIDE_OUTSIDE, lab->iss + 1, lab->irs + 1, frame, &quoted);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	EQUAL(lab_state(lab), CONN_SPLICED);
}

LAB_TEST(test_foreign_udp_and_unknown_pass)
{
	uint8_t options[64], payload[64] = { 1, 2, 3, 4, 5, 6, 7, 8 }, frame[FRAME_SIZE];

	lab_start(lab);
	struct frame_spec f = lab_frame(lab, &(struct lab_seg){ .flags = TCP_SYN }, options,
	                                payload);
	f.proto = 17;
	f.payload = payload;
	f.payload_len = 8;
	lab_in_frame(lab, SIDE_OUTSIDE, frame, frame_build(frame, &f), false);
	OUTCOME_IS(passed_other);
	EQUAL(ONLY(SIDE_INSIDE)->kind, ACTION_FORWARD);
	/* ARP among them. */
	size_t len = frame_build(frame, &f), type = frame_l3_off(frame) - 2;
	frame[type] = 0x08;
	frame[type + 1] = 0x06;
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(passed_other);
	EQUAL(lab->n_out, 1);
}

LAB_TEST(test_foreign_address_passes)
{
	uint8_t options[64], payload[64], frame[FRAME_SIZE];

	lab_start(lab);
	struct frame_spec f = lab_frame(lab, &(struct lab_seg){ .flags = TCP_SYN }, options,
	                                payload);
	f.dst.bytes[15] = 77;
	lab_in_frame(lab, SIDE_OUTSIDE, frame, frame_build(frame, &f), false);
	OUTCOME_IS(passed_other);
	EQUAL(lab->n_out, 1);
}

/* One datagram of the client, in two: `n` bytes of TCP header and data, then the rest. */
static size_t
build_fragment(struct lab *lab, uint8_t *frame, uint32_t seq, uint32_t ack, bool later, uint32_t id)
{
	static uint8_t v6[8];
	uint8_t options[64], payload[FRAME_SIZE];
	struct lab_seg s = { .side = SIDE_OUTSIDE,
		             .flags = TCP_ACK,
		             .seq = seq,
		             .ack = ack,
		             .payload_len = 236,
		             .no_timestamps = true };
	struct frame_spec f = lab_frame(lab, &s, options, payload);

	if (lab->variant->is_v6) {
		uint32_t off = later ? 256 : 1;
		memcpy(v6, (uint8_t[]){ 6, 0, (uint8_t)(off >> 8), (uint8_t)off }, 4);
		put32(v6 + 4, id);
		f.ip_options = v6;
		f.ip_options_len = 8;
		f.ip_first = 44;
	} else {
		f.ip_id = (uint16_t)id;
		f.ip_fragment = later ? 256 / 8 : 0x2000;
	}
	if (later) {
		f.payload_len = 64;
		f.proto = 0;
	}
	return frame_build(frame, &f);
}

LAB_TEST(test_foreign_first_fragment_rewritten)
{
	uint8_t frame[FRAME_SIZE];

	start(lab);
	size_t len = build_fragment(lab, frame, lab->irs + 1, lab->iss + 1, false, 7);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(passed_fragment);
	const struct lab_out *out = ONLY(SIDE_INSIDE);
	EQUAL(out->seg.class, SEGMENT_FRAGMENT_FIRST);
	EQUAL(get32(out->frame + out->seg.l4_off + 4), lab->irs + 1);
	EQUAL(get32(out->frame + out->seg.l4_off + 8), lab->server_iss + 1);
}

LAB_TEST(test_foreign_later_fragment_passes_after_first)
{
	uint8_t frame[FRAME_SIZE];

	start(lab);
	size_t len = build_fragment(lab, frame, lab->irs + 1, lab->iss + 1, false, 7);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	OUTCOME_IS(passed_fragment);
	len = build_fragment(lab, frame, lab->irs + 1, lab->iss + 1, true, 7);
	lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false);
	EQUAL(lab->n_out, 1);
	OUTCOME_IS(passed_fragment);
}

LAB_TEST(test_foreign_later_fragment_alone_dropped)
{
	uint8_t frame[FRAME_SIZE];

	start(lab);
	size_t len = build_fragment(lab, frame, lab->irs + 1, lab->iss + 1, true, 8);
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false), 0);
	OUTCOME_IS(drop_fragment);
}

LAB_TEST(test_foreign_first_fragment_of_no_connection_dropped)
{
	uint8_t frame[FRAME_SIZE];

	lab_start(lab);
	size_t len = build_fragment(lab, frame, 100, 200, false, 9);
	EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false), 0);
	OUTCOME_IS(drop_fragment);
}

/* The outermost tag of a frame that left, 0: none. */
static uint32_t
outer_tag(const struct lab_out *out)
{
	if (out->frame == NULL)
		return 0;
	const uint8_t *at = out->frame + 12;

	return at[0] == 0x81 ? (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3] : 0;
}

/* VLAN id 0 names no VLAN (IEEE 802.1Q): the ends of a connection may tag with it, each
 * with its own priority, or not. What crosses keeps its tag. */
LAB_TEST(test_foreign_priority_tags_are_no_vlan)
{
	static const uint16_t tcis[][SIDE_COUNT] = { { 0xa000, 0 },
		                                     { 0, 0x3000 },
		                                     { 0xa000, 0x2000 } };

	if (lab->variant->n_tags == 2) /* a third tag would be too much */
		return;
	lab_start(lab);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(lab->tci, tcis[i], sizeof(lab->tci));
		lab->client_port++;
		lab->timestamps = false;
		if (i == 0)
			lab_teach(lab);
		uint32_t n = core_usage(lab->core).connections;
		lab_splice(lab);
		for (unsigned int times = 0; times < 2; times++) {
			CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1, .payload_len = 10);
			OUTCOME_IS(spliced);
			if (tcis[i][SIDE_OUTSIDE] != 0)
				EQUAL(outer_tag(ONLY(SIDE_INSIDE)),
				      0x81000000u | tcis[i][SIDE_OUTSIDE]);
			SERVER(TCP_ACK, lab->server_iss + 1, lab->irs + 11);
			OUTCOME_IS(spliced);
			if (tcis[i][SIDE_INSIDE] != 0)
				EQUAL(outer_tag(ONLY(SIDE_OUTSIDE)),
				      0x81000000u | tcis[i][SIDE_INSIDE]);
			else
				CHECK(outer_tag(ONLY(SIDE_OUTSIDE)) !=
				      (0x81000000u | tcis[i][SIDE_OUTSIDE]));
			/* The client begins to tag, or stops: nothing changes. */
			lab->tci[SIDE_OUTSIDE] = 0;
			if (times == 0)
				memcpy(lab->tci, (uint16_t[]){ 0xe000, 0xe000 }, sizeof(lab->tci));
			CLIENT(TCP_ACK, lab->irs + 11, lab->iss + 1);
			OUTCOME_IS(spliced);
			memcpy(lab->tci, tcis[i], sizeof(lab->tci));
		}
		EQUAL(core_usage(lab->core).connections, n + 1);
	}
}

/* Of mode handoff there is nothing to rewrite: the error goes where the segment came from. */
LAB_TEST(test_foreign_icmp_of_handoff_as_it_is)
{
	uint8_t frame[FRAME_SIZE];
	size_t quoted;

	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
	for (enum side side = SIDE_OUTSIDE; side <= SIDE_INSIDE; side++) {
		size_t len = build_icmp(lab, side, 700, 900, frame, &quoted);
		EQUAL(lab_in_frame(lab, side, frame, len, false), 1);
		OUTCOME_IS(passed_icmp);
		EQUAL(ONLY(side ^ 1)->len, len);
		CHECK(memcmp(ONLY(side ^ 1)->frame, frame, len) == 0);
	}
}

CU_TestInfo core_foreign_tests[] = {
	CHECK_TEST(test_foreign_icmp_of_handoff_as_it_is),
	CHECK_TEST(test_foreign_priority_tags_are_no_vlan),
	CHECK_TEST(test_foreign_icmp_from_outside_rewritten),
	CHECK_TEST(test_foreign_icmp_from_inside_rewritten),
	CHECK_TEST(test_foreign_icmp_does_not_abort),
	CHECK_TEST(test_foreign_udp_and_unknown_pass),
	CHECK_TEST(test_foreign_address_passes),
	CHECK_TEST(test_foreign_first_fragment_rewritten),
	CHECK_TEST(test_foreign_later_fragment_passes_after_first),
	CHECK_TEST(test_foreign_later_fragment_alone_dropped),
	CHECK_TEST(test_foreign_first_fragment_of_no_connection_dropped),
	CU_TEST_INFO_NULL,
};
