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
		SERVER(TCP_ACK | TCP_FIN, 9001, 1001 + i, .client_port = (uint16_t)(1000 + i),
		       .client = i);
	}
	refused(lab, 16);
	SERVER(TCP_ACK, 9002, 1002 + 3, .client_port = 1003, .client = 3);
	refused(lab, 17);
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
	CHECK_TEST(test_index_full_refuses_newcomers),
	CU_TEST_INFO_NULL,
};
