/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes in a burst whose earlier segments have changed the index: what they take is that of which
 * the index still says the same. That nothing else comes of it is the fuzzers' to show.
 */
#include "syn_lane_lab.h"

#include "plain_lane.h"
#include "syn_lane.h"

#define N 4u

static struct segment segs[N];
static uint8_t frames[N][FRAME_SIZE];

/* A burst, located. */
static void
locate(struct lab *lab, const struct lab_seg *specs)
{
	const struct instant now = lab_now(lab);

	for (unsigned int i = 0; i < N; i++) {
		uint8_t options[64], payload[FRAME_SIZE];
		struct frame_spec f = lab_frame(lab, &specs[i], options, payload);
		uint32_t len = (uint32_t)frame_build(frames[i], &f);

		segment_parse(&segs[i], frames[i], len, len, specs[i].side);
	}
	core_locate(lab->core, segs, N, &now);
}

/* How many a lane takes from number `first` on. */
static unsigned int
n_taken(struct lab *lab, unsigned int first)
{
	static struct action list[LAB_BURST];
	struct actions out = { list, 0, LAB_BURST };
	const struct instant now = lab_now(lab);
	unsigned int n;

	if (segs[first].found.lane != SYN_LANE_NEVER)
		n = syn_lane_run(lab->core, segs, first, N, &now, &out);
	else
		n = plain_lane_run(lab->core, segs, first, N, &now, &out);
	EQUAL(out.n, n);
	lab->n_received += n;
	return n;
}

/* Whose flow it is comes to have this entry. */
static void
enters(struct lab *lab, const struct segment *seg, uint32_t entry)
{
	struct flow_slot at;

	CHECK(flow_index_insert(&lab->core->index, seg->found.hash, entry, UINT16_MAX, &at));
	lab->core->mutations++;
}

/* ... and to have none. */
static void
leaves(struct lab *lab, const struct segment *seg)
{
	flow_index_remove(&lab->core->index,
	                  (struct flow_slot){ seg->found.at_bucket, seg->found.at_slot });
	lab->core->mutations++;
}

LAB_TEST_ONCE(test_syns_of_flows_that_are_still_unknown_taken)
{
	struct flow_slot at;

	start(lab);
	locate(lab, (struct lab_seg[N]){ *SYN_OF(), *SYN_OF(.client_port = 7),
	                                 *SYN_OF(.client_port = 8), *SYN_OF(.client_port = 9) });
	EQUAL(n_taken(lab, 0), N);
	enters(lab, &segs[1], 0);
	EQUAL(n_taken(lab, 0), 1);
	EQUAL(n_taken(lab, 1), 0);
	EQUAL(n_taken(lab, 2), 2);
	CHECK(flow_index_first(&lab->core->index, segs[1].found.hash, &at) == 0);
	flow_index_remove(&lab->core->index, at);
}

LAB_TEST_ONCE(test_data_of_connections_that_are_still_there_taken)
{
	struct lab_seg specs[N];

	lab_start(lab);
	lab_teach(lab);
	for (unsigned int i = 0; i < N; i++) {
		uint32_t iss = lab_splice_of(lab, i, 1);

		SERVER(TCP_ACK, 9001, 1001 + i, .client = 1, .client_port = (uint16_t)(1000 + i),
		       .payload_len = 5);
		OUTCOME_IS(spliced);
		specs[i] = (struct lab_seg){ .side = SIDE_OUTSIDE,
			                     .flags = TCP_ACK,
			                     .client = 1,
			                     .client_port = (uint16_t)(1000 + i),
			                     .seq = 1001 + i,
			                     .ack = iss + 1,
			                     .no_timestamps = true };
	}
	locate(lab, specs);
	EQUAL(segs[0].found.plain, PLAIN_DATA);
	EQUAL(n_taken(lab, 0), N);
	const uint32_t entry = segs[1].found.entry;
	leaves(lab, &segs[1]);
	EQUAL(n_taken(lab, 0), 1);
	EQUAL(n_taken(lab, 1), 0);
	EQUAL(n_taken(lab, 2), 2);
	enters(lab, &segs[1], entry);
	/* Where it stands is looked up anew. */
	const struct flow_slot at = { segs[1].found.at_bucket, segs[1].found.at_slot };
	segs[1].found.at_bucket ^= 1;
	segs[1].found.at_slot ^= 1;
	EQUAL(n_taken(lab, 0), N);
	EQUAL(segs[1].found.at_bucket, at.bucket);
	EQUAL(segs[1].found.at_slot, at.slot);
}

/* Nothing is asked of what has no place in the index. */
LAB_TEST_ONCE(test_what_has_no_entries_taken_after_any_change)
{
	struct lab_seg specs[N];

	lab->services[2].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	for (unsigned int i = 0; i < N; i++)
		specs[i] = (struct lab_seg){ .side = SIDE_OUTSIDE,
			                     .flags = TCP_ACK,
			                     .seq = 1,
			                     .client_port = (uint16_t)(1 + i),
			                     .server_port = i < 2 ? LAB_HANDOFF : LAB_CLOSED };
	locate(lab, specs);
	EQUAL(segs[0].found.plain, PLAIN_HANDED);
	EQUAL(segs[2].found.plain, PLAIN_FOREIGN);
	lab->core->mutations++;
	EQUAL(n_taken(lab, 0), 2);
	EQUAL(n_taken(lab, 2), 2);
}

CU_TestInfo core_lanes_changed_tests[] = {
	CHECK_TEST(test_syns_of_flows_that_are_still_unknown_taken),
	CHECK_TEST(test_data_of_connections_that_are_still_there_taken),
	CHECK_TEST(test_what_has_no_entries_taken_after_any_change),
	CU_TEST_INFO_NULL,
};
