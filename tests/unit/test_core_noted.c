/* SPDX-License-Identifier: BSD-3-Clause */
/* What core_decide_noted() says of a segment beside its action. */
#include "core_lab.h"

static void
start(struct lab *lab, bool observes)
{
	lab->is_noted = true;
	lab->params.seen = 1024;
	lab->services[0].max_connections = 1;
	lab->services[0].observe = observes;
	lab->policy.observes = observes;
	lab->policy.may_observe = true;
	lab_start(lab);
}

/* The client's and the server's own handshake, which nobody answers in between. */
static void
handshake(struct lab *lab)
{
	CLIENT(TCP_SYN, lab->irs, 0, .options = lab->variant->options, .mss = 1460,
	       .wscale = lab->variant->wscale);
	SERVER(TCP_SYN | TCP_ACK, lab->server_iss, lab->irs + 1, .options = lab->variant->options,
	       .mss = 1460, .wscale = 7);
	CLIENT(TCP_ACK, lab->irs + 1, lab->server_iss + 1);
}

static bool
row_is(uint8_t row, const char *name)
{
	return core_row_name(row) != NULL && strcmp(core_row_name(row), name) == 0;
}

/* Refused by an RST, which does not say by which limit. */
LAB_TEST_ONCE(test_noted_which_limit_would_refuse)
{
	const struct core_note *note = &lab->notes[0];

	start(lab, true);
	handshake(lab);
	lab->client_port++;
	handshake(lab);
	CHECK(note->is_observed);
	CHECK(note->would_outcome != COUNTER_answered_rst);
	EQUAL(note->would_reason, 0);
	lab->client_port++;
	handshake(lab);
	CHECK(note->is_observed);
	EQUAL(note->would_outcome, COUNTER_answered_rst);
	EQUAL(note->would_reason, COUNTER_limit_service_connections);
	CHECK(row_is(note->would_row, "SYN_RECEIVED.OUTSIDE.ACK"));
	EQUAL(note->reason, 0);
}

CU_TestInfo core_noted_tests[] = {
	CHECK_TEST(test_noted_which_limit_would_refuse),
	CU_TEST_INFO_NULL,
};
