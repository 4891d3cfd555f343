/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random segments and steps of the clock from both sides on a few flows: only
 * what must always hold is checked, and that by the lab at every step.
 */
#include "core_lab.h"

#define FLOWS 4
#define STEPS 6000

struct random_flow {
	uint32_t c, s, iss; /* next of client and server; what the client acknowledges */
	uint8_t asked;      /* options in the last SYN to the server */
};

static void
learn_from_output(struct lab *lab, struct random_flow *flows)
{
	for (unsigned int i = 0; i < lab->n_out; i++) {
		const struct segment *o = &lab->out[i].seg;
		unsigned int n = (unsigned int)__builtin_bswap16(o->flow.client_port_be) -
		                 lab->client_port;
		if (o->class != SEGMENT_TCP || n >= FLOWS)
			continue;
		if (lab->out[i].side == SIDE_OUTSIDE && (o->flags & TCP_SYN))
			flows[n].iss = o->seq + 1;
		else if (lab->out[i].side == SIDE_OUTSIDE && o->payload_len)
			flows[n].iss = o->seq + o->payload_len;
		if (lab->out[i].side == SIDE_INSIDE && (o->flags & TCP_SYN)) {
			flows[n].c = o->seq + 1;
			flows[n].asked = o->options;
		}
	}
}

static struct lab_seg
random_segment(struct lab *lab, struct random_flow *flows, uint64_t *random)
{
	static const uint8_t flags[] = { TCP_SYN,           TCP_SYN,           TCP_ACK,
		                         TCP_ACK,           TCP_ACK,           TCP_ACK | TCP_PSH,
		                         TCP_SYN | TCP_ACK, TCP_SYN | TCP_ACK, TCP_RST,
		                         TCP_RST | TCP_ACK, TCP_ACK | TCP_FIN, TCP_SYN | TCP_FIN };
	uint64_t r = check_random(random);
	unsigned int n = r % FLOWS;
	struct random_flow *f = &flows[n];
	enum side side = r >> 8 & 1 ? SIDE_INSIDE : SIDE_OUTSIDE;
	uint32_t jitter = (r >> 10 & 7) == 0 ? (uint32_t)(r >> 32) % 5000 - 2500 : 0;
	struct lab_seg s = { .side = side,
		             .flags = flags[(r >> 16) % sizeof(flags)],
		             .client_port = (uint16_t)(lab->client_port + n),
		             .server_port = (r >> 20 & 15) == 0 ? LAB_RESPOND : LAB_WEB,
		             .window = (uint16_t)(1 + (r >> 24 & 0xfff)),
		             .payload_len = (r >> 36 & 3) == 0 ? r >> 40 & 0x1ff : 0,
		             .bad_checksum = (r >> 50 & 31) == 0 };

	if (s.flags & TCP_SYN) {
		s.options = (uint8_t)(r >> 52 & LAB_ALL);
		s.mss = lab->server_mss;
		s.wscale = (uint8_t)(r >> 56 & 15);
		if (side == SIDE_OUTSIDE && (r >> 60 & 3) == 0)
			f->c += 1000000;
		if (side == SIDE_INSIDE && (s.flags & TCP_ACK) && (r >> 60 & 7))
			s.options = f->asked | OPTION_MSS;
	} else if (r >> 58 & 1) {
		s.options = OPTION_TIMESTAMPS;
	}
	/* Connections of the protected host, on ports of their own: what they do to a
	 * cookie that is spent has a test of its own. */
	if (side == SIDE_INSIDE && s.flags == TCP_SYN)
		s.client_port = (uint16_t)(s.client_port + 100);
	bool is_syn = s.flags & TCP_SYN;
	s.seq = (side == SIDE_OUTSIDE ? f->c : f->s) - is_syn + jitter;
	s.ack = s.flags & TCP_ACK ? (side == SIDE_OUTSIDE ? f->iss : f->c) : 0;
	if (!is_syn && jitter == 0 && s.bad_checksum == 0)
		*(side == SIDE_OUTSIDE ? &f->c : &f->s) += (uint32_t)s.payload_len;
	return s;
}

/* One segment, or several at once that may be of one flow. */
static void
random_step(struct lab *lab, struct random_flow *flows, uint64_t *random)
{
	struct lab_seg burst[LAB_BURST];
	unsigned int n = check_random(random) % 3 ? 1 : 1 + check_random(random) % LAB_BURST;

	for (unsigned int i = 0; i < n; i++)
		burst[i] = random_segment(lab, flows, random);
	lab_in_burst(lab, burst, n);
	learn_from_output(lab, flows);
}

static void
random_run(struct lab *lab, uint64_t seed)
{
	struct random_flow flows[FLOWS];
	uint64_t random = seed;

	for (unsigned int i = 0; i < FLOWS; i++)
		flows[i] = (struct random_flow){ lab->irs + i * 77, lab->server_iss + i * 99, 0 };
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < STEPS; i++) {
		random_step(lab, flows, &random);
		uint64_t r = check_random(&random);
		if (r % 8 == 0) {
			lab_tick(lab, r >> 8 & 0x3ff);
			learn_from_output(lab, flows);
		}
		if (r % 1024 == 1)
			lab_tick(lab, 70000);
	}
	CHECK(lab_count(lab, COUNTER_opened) > 10);
	CHECK(lab_count(lab, COUNTER_connected) > 1);
	lab_tick(lab, 2000 * (lab->policy.timeouts.idle + COOKIE_LIFE_MAX_S));
	struct core_usage use = core_usage(lab->core);
	EQUAL(use.connections, 0);
	EQUAL(use.half_open, 0);
	EQUAL(use.held, 0);
	EQUAL(use.paths, 0);
	EQUAL(core_remaining(lab->core), 0);
}

LAB_TEST(test_random_segments_keep_invariants)
{
	random_run(lab, 0x123456789 + lab->variant->irs);
}

LAB_TEST(test_random_segments_by_cookie_keep_invariants)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	random_run(lab, 0xabcdef + lab->variant->irs);
}

LAB_TEST(test_random_segments_tiny_tables_keep_invariants)
{
	lab->params.connections = 8;
	lab->params.half_open = 2;
	lab->params.held = 1;
	lab->policy.timeouts.protect = 0;
	lab->policy.timeouts.adopt = 60;
	random_run(lab, 0xfeed + lab->variant->irs);
}

LAB_TEST(test_random_segments_transparent_keep_invariants)
{
	struct random_flow flows[FLOWS] = { { 1, 2, 0 } };
	uint64_t random = 99;

	lab->services[0].calm = CALM_TRANSPARENT;
	lab->policy.timeouts.adopt = 60;
	lab_start(lab);
	for (unsigned int i = 0; i < STEPS; i++) {
		random_step(lab, flows, &random);
		if (check_random(&random) % 8 == 0)
			lab_tick(lab, 300);
	}
	CHECK(lab_count(lab, COUNTER_tracked) > 1);
}

CU_TestInfo core_random_tests[] = {
	CHECK_TEST(test_random_segments_keep_invariants),
	CHECK_TEST(test_random_segments_by_cookie_keep_invariants),
	CHECK_TEST(test_random_segments_tiny_tables_keep_invariants),
	CHECK_TEST(test_random_segments_transparent_keep_invariants),
	CU_TEST_INFO_NULL,
};
