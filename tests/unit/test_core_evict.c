/* SPDX-License-Identifier: BSD-3-Clause */
/* A full table: who must go for a newcomer, and who never does. */
#include "core_lab.h"
#include "core_state.h"

#define N_CONNS 16u
#define PROTECT_S 10u

/* Spliced connections of as many clients as the table holds, on ports 1000 and up. */
static void
fill(struct lab *lab, uint32_t iss[N_CONNS])
{
	lab->params.connections = N_CONNS;
	lab->policy.timeouts.protect = PROTECT_S;
	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < N_CONNS; i++)
		iss[i] = lab_splice_of(lab, i, i);
}

static void
refused(struct lab *lab, unsigned int i)
{
	lab_open_of(lab, i, 1000 + i);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_grew(lab, COUNTER_table_full), 1);
}

/* Those that never carried client data and were silent for long; never one that is active. */
LAB_TEST_ONCE(test_evict_idle_without_data)
{
	uint32_t iss[N_CONNS];

	fill(lab, iss);
	refused(lab, 16);
	lab_tick(lab, PROTECT_S * 1000 + 1000);
	lab_open_of(lab, 17, 21);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_count(lab, COUNTER_evicted), 1);
	unsigned int n_rst[SIDE_COUNT] = { 0 };
	for (unsigned int i = 0; i < lab->n_out; i++)
		n_rst[lab->out[i].side] += (lab->out[i].seg.flags & TCP_RST) != 0;
	EQUAL(n_rst[SIDE_OUTSIDE], 1);
	EQUAL(n_rst[SIDE_INSIDE], 1);
}

/* A newcomer that cannot be served for another reason costs nobody a place. */
LAB_TEST_ONCE(test_evict_not_in_vain)
{
	uint32_t iss[N_CONNS];

	lab->params.paths = 1;
	fill(lab, iss);
	lab_tick(lab, PROTECT_S * 1000 + 1000);
	struct lab_variant elsewhere = *lab->variant;
	elsewhere.n_tags = elsewhere.n_tags == 0;
	lab->variant = &elsewhere;
	lab_open_of(lab, 16, 20);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_count(lab, COUNTER_path_full) > 0, true);
	EQUAL(lab_count(lab, COUNTER_evicted), 0);
	EQUAL(core_usage(lab->core).connections, N_CONNS);
}

LAB_TEST_ONCE(test_evict_reset_first)
{
	uint32_t iss[N_CONNS];

	fill(lab, iss);
	CLIENT(TCP_RST, 1001 + 7, 0, .client_port = 1007, .client = 7);
	lab_open_of(lab, 16, 20);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_count(lab, COUNTER_table_full), 0);
	EQUAL(lab_count(lab, COUNTER_reset), 1);
}

/* Half-closed, and its short deadline makes it no older than it is. */
LAB_TEST_ONCE(test_evict_not_half_closed)
{
	uint32_t iss[N_CONNS];

	fill(lab, iss);
	for (unsigned int i = 0; i < N_CONNS; i++)
		CLIENT(TCP_ACK | TCP_FIN, 1001 + i, iss[i] + 1, .client_port = (uint16_t)(1000 + i),
		       .client = i);
	refused(lab, 16);
	EQUAL(lab_count(lab, COUNTER_evicted), 0);
}

/* Both FINs have been sent, but something before them may have to be sent again: it
 * is as good as any other until all is acknowledged. */
LAB_TEST_ONCE(test_evict_closing_once_acknowledged)
{
	uint32_t iss[N_CONNS];

	fill(lab, iss);
	for (unsigned int i = 0; i < N_CONNS; i++) {
		CLIENT(TCP_ACK | TCP_FIN, 1001 + i, iss[i] + 1, .client_port = (uint16_t)(1000 + i),
		       .client = i);
		SERVER(TCP_ACK | TCP_FIN, 9001, 1002 + i, .client_port = (uint16_t)(1000 + i),
		       .client = i);
	}
	refused(lab, 16);
	CLIENT(TCP_ACK, 1002 + 3, iss[3] + 2, .client_port = 1003, .client = 3);
	lab_tick(lab, 1); /* a full table is searched once a millisecond */
	lab_open_of(lab, 18, 1018);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_count(lab, COUNTER_completed), 1);
	refused(lab, 19);
	lab_tick(lab, PROTECT_S * 1000 + 1000);
	lab_open_of(lab, 20, 1020);
	OUTCOME_IS(taken_proof);
	EQUAL(lab_count(lab, COUNTER_completed), 2);
}

/* What the connection of client port 1000 + i is now. */
static enum conn_state
state_of(struct lab *lab, unsigned int i)
{
	struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };
	struct connection_view view;

	for (uint32_t k = 0; k < core_connection_bound(lab->core); k++)
		if (core_connection_view(lab->core, k, &now, &view) && view.state != CONN_FREE &&
		    be16toh(view.flow.client_port_be) == 1000 + i)
			return view.state;
	return CONN_FREE;
}

/* A SYN that passes, to a service that is transparent, and that no server answers. */
static void
pass_syn(struct lab *lab, unsigned int i)
{
	CLIENT(TCP_SYN, 600, 0, .client_port = (uint16_t)(1000 + i), .server_port = LAB_RESPOND);
	OUTCOME_IS(passed_syn);
}

/* One of each kind, in the order in which they must go; the last three never do. */
enum {
	KIND_RESET,  /* by its client; silent longer than the next */
	KIND_CLOSED, /* both FINs, acknowledged */
	KIND_SPENT,
	KIND_QUIET, /* no data of the client; silent longer than the next */
	KIND_QUIET_TOO,
	KIND_UNCONFIRMED,
	N_KINDS,
	KIND_CARRIED = N_KINDS, /* the client has sent data */
	KIND_CONNECTING,
	KIND_CONFIRMED, /* a host's own connection that was answered */
	N_ALL
};

static void
fill_with_each_kind(struct lab *lab)
{
	/* Who must go first is no earlier in the table. */
	static const unsigned int spliced[] = { KIND_QUIET_TOO, KIND_CARRIED, KIND_CLOSED,
		                                KIND_QUIET, KIND_RESET };
	uint32_t iss[N_ALL];

	lab->params.connections = N_ALL;
	lab->services[1].mode = MODE_PROXY;
	lab->services[1].calm = CALM_TRANSPARENT;
	lab->policy.timeouts.protect = PROTECT_S;
	lab->policy.timeouts.reset_linger = lab->policy.timeouts.closing = 100;
	lab_start(lab);
	lab_teach(lab);
	lab_tick(lab, 120000);
	EQUAL(core_usage(lab->core).connections, 0);
	SERVER(TCP_SYN, 500, 0, .client_port = 1000 + KIND_CONFIRMED);
	CLIENT(TCP_SYN | TCP_ACK, 900, 501, .client_port = 1000 + KIND_CONFIRMED,
	       .options = OPTION_MSS, .mss = 1400);
	for (unsigned int k = 0; k < sizeof(spliced) / sizeof(spliced[0]); k++) {
		unsigned int i = spliced[k];
		uint16_t port = (uint16_t)(1000 + i);
		iss[i] = lab_splice_of(lab, i, i);
		if (i == KIND_CARRIED)
			CLIENT(TCP_ACK, 1001 + i, iss[i] + 1, .client_port = port, .client = i,
			       .payload_len = 1);
		if (i == KIND_RESET)
			CLIENT(TCP_RST, 1001 + i, 0, .client_port = port, .client = i);
		if (i == KIND_CLOSED) {
			CLIENT(TCP_ACK | TCP_FIN, 1001 + i, iss[i] + 1, .client_port = port,
			       .client = i);
			SERVER(TCP_ACK | TCP_FIN, 9001, 1002 + i, .client_port = port, .client = i);
			CLIENT(TCP_ACK, 1002 + i, iss[i] + 2, .client_port = port, .client = i);
		}
		lab_tick(lab, 1000);
	}
	/* The last words of two of them. */
	SERVER(TCP_ACK, 9001, 1001 + KIND_QUIET_TOO, .client_port = 1000 + KIND_QUIET_TOO,
	       .client = KIND_QUIET_TOO, .payload_len = 5);
	CLIENT(TCP_ACK, 1002 + KIND_CLOSED, iss[KIND_CLOSED] + 2, .client_port = 1000 + KIND_CLOSED,
	       .client = KIND_CLOSED);
	lab_open_of(lab, KIND_SPENT, 1);
	SERVER(TCP_RST | TCP_ACK, 0, 1001 + KIND_SPENT, .client_port = 1000 + KIND_SPENT,
	       .client = 1);
	EQUAL(state_of(lab, KIND_SPENT), CONN_SPENT);
	lab_tick(lab, 7000);
	lab_open_of(lab, KIND_CONNECTING, 1);
	lab->n_opened = 0; /* a client that comes again with the same numbers is another one */
}

LAB_TEST_ONCE(test_evict_in_order)
{
	fill_with_each_kind(lab);
	pass_syn(lab, KIND_UNCONFIRMED);
	EQUAL(core_usage(lab->core).connections, N_ALL);
	lab_tick(lab, 5000);
	for (unsigned int i = 0; i < N_KINDS; i++) {
		for (unsigned int k = i; k < N_ALL; k++)
			CHECK(state_of(lab, k) != CONN_FREE);
		lab_open_of(lab, 100 + i, 50);
		OUTCOME_IS(taken_proof);
		EQUAL(state_of(lab, i), CONN_FREE);
		EQUAL(lab_count(lab, COUNTER_evicted), i < KIND_QUIET       ? 0
		                                       : i > KIND_QUIET_TOO ? 2
		                                                            : i - KIND_QUIET + 1);
		lab_tick(lab, 1); /* a full table is searched once a millisecond */
	}
	refused(lab, 200);
	for (unsigned int k = N_KINDS; k < N_ALL; k++)
		CHECK(state_of(lab, k) != CONN_FREE);
}

/* What has just been is not given up yet. */
LAB_TEST_ONCE(test_evict_none_before_its_time)
{
	lab->params.connections = 2;
	lab->services[1].mode = MODE_PROXY;
	lab->services[1].calm = CALM_TRANSPARENT;
	lab->policy.timeouts.protect = PROTECT_S;
	lab_start(lab);
	lab_teach(lab);
	lab_splice_of(lab, 0, 0);
	lab_tick(lab, 1000 * (PROTECT_S - 5));
	pass_syn(lab, 2);
	lab_tick(lab, 4000);
	refused(lab, 10);
	/* Half of the time that an answer may take. */
	lab_tick(lab, 1000);
	lab_open_of(lab, 11, 50);
	OUTCOME_IS(taken_proof);
	EQUAL(state_of(lab, 0), CONN_FREE);
	lab_open_of(lab, 13, 52);
	OUTCOME_IS(taken_proof);
	EQUAL(state_of(lab, 2), CONN_FREE);
	EQUAL(lab_count(lab, COUNTER_evicted), 1);
}

/* One that may still have to be sent again is protected for so long, to the second. */
LAB_TEST_ONCE(test_evict_closing_in_its_time)
{
	lab->params.connections = 1;
	lab->policy.timeouts.protect = PROTECT_S;
	lab->policy.timeouts.closing = 100;
	lab_start(lab);
	lab_teach(lab);
	uint32_t iss = lab_splice_of(lab, 0, 0);
	CLIENT(TCP_ACK | TCP_FIN, 1001, iss + 1, .client_port = 1000, .client = 0);
	SERVER(TCP_ACK | TCP_FIN, 9001, 1002, .client_port = 1000, .client = 0);
	lab_tick(lab, 1000 * (PROTECT_S - 1));
	refused(lab, 10);
	lab_tick(lab, 1000);
	lab_open_of(lab, 11, 50);
	OUTCOME_IS(taken_proof);
}

/* Short connections of real clients cost nobody else a place: of those that have just ended the
 * oldest goes, before a client is refused and behind all that may go besides. */
LAB_TEST_ONCE(test_evict_young_spent_at_last)
{
	lab->params.connections = 3;
	lab->services[1].mode = MODE_PROXY;
	lab->services[1].calm = CALM_TRANSPARENT;
	lab->policy.timeouts.protect = PROTECT_S;
	lab_start(lab);
	lab_teach(lab);
	lab_tick(lab, 120000);
	EQUAL(core_usage(lab->core).connections, 0);
	pass_syn(lab, 2);
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int port = 1001 - i;
		lab_open_of(lab, port - 1000, 40);
		SERVER(TCP_RST | TCP_ACK, 0, port + 1, .client_port = (uint16_t)port, .client = 40);
		EQUAL(state_of(lab, port - 1000), CONN_SPENT);
		lab_tick(lab, 3000);
	}
	EQUAL(core_usage(lab->core).connections, 3);
	lab_open_of(lab, 10, 50);
	OUTCOME_IS(taken_proof);
	EQUAL(state_of(lab, 2), CONN_FREE);
	lab_tick(lab, 1);
	lab_open_of(lab, 11, 51);
	OUTCOME_IS(taken_proof);
	EQUAL(state_of(lab, 1), CONN_FREE);
	EQUAL(state_of(lab, 0), CONN_SPENT);
	lab_tick(lab, 1);
	lab_open_of(lab, 12, 52);
	OUTCOME_IS(taken_proof);
	EQUAL(state_of(lab, 0), CONN_FREE);
	EQUAL(lab_count(lab, COUNTER_table_full), 0);
	lab_tick(lab, 1);
	refused(lab, 13);
}

/* What the client said while its server was asked is data of the client's. */
LAB_TEST_ONCE(test_evict_not_who_spoke_early)
{
	lab->params.connections = 1;
	lab->policy.timeouts.protect = PROTECT_S;
	lab_start(lab);
	lab_teach(lab);
	lab_syn_of(lab, 0, 0);
	uint32_t iss = NTH(SIDE_OUTSIDE, 0)->seg.seq;
	CLIENT(TCP_ACK, 1001, iss + 1, .client_port = 1000, .payload_len = 10);
	SERVER(TCP_SYN | TCP_ACK, 9000, 1001, .client_port = 1000, .options = OPTION_MSS,
	       .mss = lab->server_mss);
	EQUAL(lab_count(lab, COUNTER_connected), 1);
	lab_tick(lab, 3000 * PROTECT_S);
	refused(lab, 10);
}

/* No flow of a test has this tag, and no entry this number. */
#define FILLER_TAG 0xfffe
#define FILLER_ENTRY (FLOW_HALF_OPEN | 0x7ffffffe)

/* Every free slot is taken, or all that were so taken are free again. */
static void
set_fillers(struct flow_index *index, bool on)
{
	for (uint32_t i = 0; i <= index->mask; i++)
		for (unsigned int slot = 0; slot < FLOW_SLOTS; slot++) {
			struct flow_bucket *b = &index->buckets[i];
			if (on && b->tag[slot] == 0) {
				b->tag[slot] = FILLER_TAG;
				b->entry[slot] = FILLER_ENTRY;
			} else if (!on && b->tag[slot] == FILLER_TAG) {
				b->tag[slot] = 0;
			}
		}
}

/* Tables of the size that goes with it leave it 60 % full at most. If it were full, a SYN
 * is answered without state, a proof is refused, and who is in it goes on. */
LAB_TEST_ONCE(test_index_full_refuses_newcomers)
{
	lab_start(lab);
	lab_teach(lab);
	uint32_t iss = lab_splice_of(lab, 1, 1);

	set_fillers(&lab->core->index, true);
	lab_syn_of(lab, 2, 2);
	OUTCOME_IS(answered_syn_cookie);
	EQUAL(lab_grew(lab, COUNTER_index_full), 1);
	CLIENT(TCP_ACK, 1003, NTH(SIDE_OUTSIDE, 0)->seg.seq + 1, .client_port = 1002, .client = 2);
	OUTCOME_IS(answered_rst);
	EQUAL(lab_grew(lab, COUNTER_index_full), 1);
	CLIENT(TCP_ACK, 1002, iss + 1, .client_port = 1001, .client = 1, .payload_len = 10);
	OUTCOME_IS(spliced);
	set_fillers(&lab->core->index, false);
	lab_open_of(lab, 3, 3);
	OUTCOME_IS(taken_proof);
}

CU_TestInfo core_evict_tests[] = {
	CHECK_TEST(test_evict_idle_without_data),
	CHECK_TEST(test_evict_not_in_vain),
	CHECK_TEST(test_evict_reset_first),
	CHECK_TEST(test_evict_not_half_closed),
	CHECK_TEST(test_evict_closing_once_acknowledged),
	CHECK_TEST(test_evict_in_order),
	CHECK_TEST(test_evict_none_before_its_time),
	CHECK_TEST(test_evict_closing_in_its_time),
	CHECK_TEST(test_evict_young_spent_at_last),
	CHECK_TEST(test_evict_not_who_spoke_early),
	CHECK_TEST(test_index_full_refuses_newcomers),
	CU_TEST_INFO_NULL,
};
