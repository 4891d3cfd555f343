/* SPDX-License-Identifier: BSD-3-Clause */
/* Later fragments: which ones follow their first, how many, and for how long. */
#include "core_lab.h"
#include "core_state.h"

#define LIFE_MS 2000u
#define PER_DATAGRAM 45u /* 65,535 bytes in pieces of 1,480 */

/* A fragment of a datagram; `id` tells datagrams of one pair of hosts apart. */
struct piece {
	enum side side;
	bool later;
	uint32_t id;
	uint32_t host; /* added to the client's */
	uint16_t port; /* the server's; 0: that of the connection */
};

static size_t
build(struct lab *lab, uint8_t *frame, const struct piece *piece)
{
	uint8_t options[64], payload[FRAME_SIZE], v6[8] = { 6 };
	bool is_outside = piece->side == SIDE_OUTSIDE;
	struct lab_seg s = { .side = piece->side,
		             .flags = TCP_ACK,
		             .seq = is_outside ? lab->irs + 1 : lab->server_iss + 1,
		             .ack = is_outside ? lab->iss + 1 : lab->irs + 1,
		             .payload_len = 236,
		             .no_timestamps = true,
		             .host = piece->host,
		             .server_port = piece->port };
	struct frame_spec f = lab_frame(lab, &s, options, payload);

	if (lab->variant->is_v6) {
		unsigned int off = piece->later ? 256 : 1;
		v6[2] = (uint8_t)(off >> 8);
		v6[3] = (uint8_t)off;
		for (unsigned int i = 0; i < 4; i++)
			v6[4 + i] = (uint8_t)(piece->id >> (24 - 8 * i));
		f.ip_options = v6;
		f.ip_options_len = sizeof(v6);
		f.ip_first = 44;
	} else {
		f.ip_id = (uint16_t)piece->id;
		f.ip_fragment = piece->later ? 256 / 8 : 0x2000;
	}
	if (piece->later) {
		f.payload_len = 64;
		f.proto = 0;
	}
	return frame_build(frame, &f);
}

static bool
crosses(struct lab *lab, const struct piece *piece)
{
	uint8_t frame[FRAME_SIZE];
	size_t len = build(lab, frame, piece);
	unsigned int n = lab_in_frame(lab, piece->side, frame, len, false);

	CHECK(lab_grew(lab, n != 0 ? COUNTER_passed_fragment : COUNTER_drop_fragment) == 1);
	if (n != 0)
		CHECK(ONLY(piece->side ^ 1)->len == len);
	return n != 0;
}
#define CROSSES(...) crosses(lab, &(struct piece){ __VA_ARGS__ })

static void
start(struct lab *lab)
{
	/* Of a host with mode handoff a later fragment may come alone. */
	lab->services[2].mode = MODE_RESPOND;
	lab_start(lab);
	lab_teach(lab);
	lab_splice(lab);
}

/* What anybody can send to a port of no service leaves those of a connection their place, but not
 * longer than they may have it; a port of no service has its own fragments, too. */
LAB_TEST(test_fragments_of_no_service_displace_none)
{
	uint8_t frame[FRAME_SIZE];

	start(lab);
	CHECK(CROSSES(.id = 7));
	for (unsigned int round = 0; round < 2; round++) {
		uint32_t last = 0;
		for (uint32_t id = 1000; id < 9000; id++) {
			struct piece piece = { .id = id, .port = 9999 };
			size_t len = build(lab, frame, &piece);
			EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, false), 1);
			OUTCOME_IS(passed_other);
			last = id;
		}
		EQUAL(crosses(lab, &(struct piece){ .id = 7, .later = true }), round == 0);
		if (round == 1)
			CHECK(CROSSES(.id = last, .later = true));
		lab_tick(lab, LIFE_MS + 1);
	}
}

/* As many as a datagram can have, and not one more. */
LAB_TEST(test_fragments_as_many_as_a_datagram_has)
{
	start(lab);
	CHECK(CROSSES(.id = 7));
	for (unsigned int i = 0; i < PER_DATAGRAM; i++)
		CHECK(CROSSES(.id = 7, .later = true));
	CHECK(!CROSSES(.id = 7, .later = true));
	/* A new datagram that comes round to this ID has its own. */
	CHECK(CROSSES(.id = 7));
	CHECK(CROSSES(.id = 7, .later = true));
}

LAB_TEST(test_fragments_follow_in_time)
{
	start(lab);
	CHECK(CROSSES(.id = 7));
	lab_tick(lab, LIFE_MS);
	CHECK(CROSSES(.id = 7, .later = true));
	lab_tick(lab, 1);
	CHECK(!CROSSES(.id = 7, .later = true));
}

/* A time stamp that has come round is no later than one that has not. */
LAB_TEST_ONCE(test_fragments_follow_in_time_past_zero)
{
	lab->now_ms = UINT32_MAX - 900;
	start(lab);
	CHECK(CROSSES(.id = 7));
	lab_tick(lab, LIFE_MS - 1);
	CHECK(CROSSES(.id = 7, .later = true));
	lab_tick(lab, 2);
	CHECK(!CROSSES(.id = 7, .later = true));
}

/* What is not of this datagram: another ID, another host, the other direction. */
LAB_TEST(test_fragments_of_another_datagram_dropped)
{
	start(lab);
	CHECK(CROSSES(.id = 7));
	CHECK(!CROSSES(.id = 8, .later = true));
	CHECK(!CROSSES(.id = 7, .later = true, .host = 1));
	CHECK(!CROSSES(.id = 7, .later = true, .side = SIDE_INSIDE));
	CHECK(CROSSES(.id = 7, .later = true));
	/* Each end counts its IDs for itself. */
	CHECK(CROSSES(.id = 7, .side = SIDE_INSIDE));
	CHECK(CROSSES(.id = 7, .later = true, .side = SIDE_INSIDE));
}

/* Of a connection that passes as it is, and of one that is over but still carried. */
LAB_TEST(test_fragments_of_tracked_and_closing)
{
	lab_start(lab);
	lab_syn(lab);
	OUTCOME_IS(passed_syn);
	CHECK(CROSSES(.id = 7));
	CHECK(CROSSES(.id = 7, .later = true));
	lab_tick(lab, 100000);
	lab_teach(lab);
	lab->irs += 99999;
	lab_close(lab);
	CHECK(CROSSES(.id = 9));
	CHECK(CROSSES(.id = 9, .later = true));
}

/* Of a handshake, or of one that nothing goes to the server for, none crosses. */
LAB_TEST(test_fragments_of_no_open_connection_dropped)
{
	lab->services[2].mode = MODE_RESPOND; /* as in start() */
	lab_start(lab);
	lab_teach(lab);
	lab_syn_ack(lab);
	CHECK(!CROSSES(.id = 7)); /* half-open */
	CLIENT(TCP_ACK, lab->irs + 1, lab->iss + 1);
	CHECK(!CROSSES(.id = 7)); /* CONNECTING */
	SERVER(TCP_RST | TCP_ACK, 0, lab->irs + 1);
	EQUAL(lab_state(lab), CONN_SPENT);
	CHECK(!CROSSES(.id = 7));
	CHECK(!CROSSES(.id = 7, .later = true));
}

/* A first fragment that says SYN or RST is forged, or useless. */
LAB_TEST(test_fragments_with_syn_or_rst_dropped)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_RST, TCP_RST | TCP_ACK };

	start(lab);
	for (unsigned int i = 0; i < sizeof(flags); i++) {
		uint8_t frame[FRAME_SIZE];
		size_t len = build(lab, frame, &(struct piece){ .id = 7 });
		frame[frame_l4_off(frame) + (lab->variant->is_v6 ? 8 : 0) + 13] = flags[i];
		EQUAL(lab_in_frame(lab, SIDE_OUTSIDE, frame, len, true), 0);
		EQUAL(lab_grew(lab, COUNTER_drop_fragment), 1);
	}
}

/* Mode handoff: the first one may have gone by another front end. A tenth of a second's worth
 * at once, and no more. */
LAB_TEST(test_fragments_of_a_handoff_host_come_alone)
{
	unsigned int n = 0;

	lab_start(lab);
	while (n <= FRAGMENTS_PER_S && CROSSES(.id = n, .later = true))
		n++;
	EQUAL(n, FRAGMENTS_PER_S / 10);
	lab_tick(lab, 1000);
	CHECK(CROSSES(.id = n, .later = true));
}

/* A host of other modes has no other front end. */
LAB_TEST(test_fragments_of_another_host_do_not_come_alone)
{
	struct prefix elsewhere[2] = { lab->addresses[0], lab->addresses[1] };

	elsewhere[0].addr.bytes[15] ^= 1;
	elsewhere[1].addr.bytes[15] ^= 1;
	lab->services[2].addresses = elsewhere;
	lab_start(lab);
	CHECK(!CROSSES(.id = 7, .later = true));
}

CU_TestInfo core_fragments_tests[] = {
	CHECK_TEST(test_fragments_of_no_service_displace_none),
	CHECK_TEST(test_fragments_as_many_as_a_datagram_has),
	CHECK_TEST(test_fragments_follow_in_time),
	CHECK_TEST(test_fragments_follow_in_time_past_zero),
	CHECK_TEST(test_fragments_of_another_datagram_dropped),
	CHECK_TEST(test_fragments_of_tracked_and_closing),
	CHECK_TEST(test_fragments_of_no_open_connection_dropped),
	CHECK_TEST(test_fragments_with_syn_or_rst_dropped),
	CHECK_TEST(test_fragments_of_a_handoff_host_come_alone),
	CHECK_TEST(test_fragments_of_another_host_do_not_come_alone),
	CU_TEST_INFO_NULL,
};
