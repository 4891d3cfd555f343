/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What takes the straight lane of SYNs and what does not. That it makes no difference is
 * fuzz_syn_lane's to show, and that of all tests whose SYNs take it.
 */
#include "syn_lane_lab.h"

#include "live_set.h"
#include "syn_lane.h"

#define LEAVES(...) CHECK(lab_n_taken(lab, SYN_OF(__VA_ARGS__), 1, 0) == 0)

/* What a test changes of the segments of a burst before they are decided. */
static void (*bend)(struct lab *lab, struct segment *seg, uint8_t *frame);

unsigned int
lab_n_taken(struct lab *lab, const struct lab_seg *specs, unsigned int n, unsigned int first)
{
	static uint8_t frames[LAB_BURST][FRAME_SIZE];
	static struct action list[LAB_BURST];
	struct segment segs[LAB_BURST];
	struct actions out = { list, 0, LAB_BURST };
	const struct instant now = { lab->now_ms, lab->wall_ms, secret_current(&lab->secrets) };

	for (unsigned int i = 0; i < n; i++) {
		uint8_t options[64], payload[FRAME_SIZE];
		struct frame_spec f = lab_frame(lab, &specs[i], options, payload);
		uint32_t len = (uint32_t)frame_build(frames[i], &f);
		segment_parse(&segs[i], frames[i], len, len, specs[i].side);
		if (bend != NULL)
			bend(lab, &segs[i], frames[i]);
	}
	core_locate(lab->core, segs, n, &now);
	lab->before = *core_counters(lab->core);
	if (segs[first].found.lane == SYN_LANE_NEVER)
		return 0;
	unsigned int taken = syn_lane_run(lab->core, segs, first, n, &now, &out);
	/* Those are answered, and nothing has come of the others. */
	EQUAL(lab_grew(lab, COUNTER_answered_syn_cookie), taken);
	EQUAL(lab_grew(lab, COUNTER_syn_received), taken);
	EQUAL(lab_grew(lab, COUNTER_syn_ack_sent), taken);
	EQUAL(out.n, taken);
	for (unsigned int i = 0; i < taken; i++)
		CHECK(list[i].kind == ACTION_REPLY && list[i].seg == first + i &&
		      list[i].outcome == COUNTER_answered_syn_cookie);
	lab->n_received += taken;
	return taken;
}

/* ---- of a service ------------------------------------------------------ */

LAB_TEST(test_syn_lane_always_taken)
{
	start(lab);
	TAKES();
	TAKES(.client = 3, .client_port = 7, .options = LAB_ALL, .mss = 1400, .wscale = 7);
}

LAB_TEST_ONCE(test_syn_lane_in_cookie_mode_taken)
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	LEAVES();
	state_of(lab, 1)->cookie_mode = true;
	TAKES();
}

LAB_TEST_ONCE(test_syn_lane_listed_left)
{
	const struct prefix nobody = { ip_addr_v4(htobe32(0x01020300)), 120 };

	lab->services[1].deny = &nobody;
	lab->services[1].n_deny = 1;
	start(lab);
	LEAVES();
}

/* As soon as a live list concerns it, and no longer. */
LAB_TEST_ONCE(test_syn_lane_listed_live_left)
{
	const struct prefix nobody = { ip_addr_v4(htobe32(0x01020300)), 120 };
	struct live_set *set = live_set_new(1, 1);

	CHECK(set != NULL);
	start(lab);
	core_set_lists(lab->core, set);
	TAKES();
	CHECK(live_set_put(set, &nobody, 1 + 0, LIVE_DENY)); /* of another service */
	core_set_lists(lab->core, set);
	TAKES();
	CHECK(live_set_put(set, &nobody, 1 + 1, LIVE_DENY));
	core_set_lists(lab->core, set);
	LEAVES();
	core_set_policy(lab->core, &lab->policy);
	LEAVES();
	core_set_lists(lab->core, NULL);
	TAKES();
	live_set_free(set);
}

LAB_TEST_ONCE(test_syn_lane_handoff_by_calm)
{
	lab->server_port = LAB_HANDOFF;
	lab_start(lab);
	lab->services[2].calm = CALM_INTERCEPT;
	core_set_policy(lab->core, &lab->policy);
	TAKES();
	lab->services[2].calm = CALM_TRANSPARENT;
	core_set_policy(lab->core, &lab->policy);
	LEAVES();
	state_of(lab, 2)->cookie_mode = true; /* what passes in calm is counted in it, too */
	LEAVES();
	lab->services[2].cookies = COOKIES_ALWAYS;
	core_set_policy(lab->core, &lab->policy);
	TAKES();
}

/* Of a mode of before, connections may be known. */
LAB_TEST_ONCE(test_syn_lane_handoff_by_reload_left)
{
	lab->server_port = LAB_HANDOFF;
	lab->services[2].mode = MODE_PROXY;
	lab_start(lab);
	lab->services[2].mode = MODE_HANDOFF;
	lab->services[2].cookies = COOKIES_ALWAYS;
	core_set_policy(lab->core, &lab->policy);
	LEAVES();
}

LAB_TEST_ONCE(test_syn_lane_bypass_left)
{
	lab->services[3].cookies = COOKIES_ALWAYS;
	lab_start(lab);
	LEAVES(.server_port = LAB_BYPASS);
	LEAVES(.server_port = LAB_CLOSED);
}

/* All that the lane may take, and nothing of it while it is observed. */
LAB_TEST_ONCE(test_syn_lane_observed_left)
{
	static const enum lab_port ports[] = { LAB_WEB, LAB_RESPOND, LAB_HANDOFF };

	lab->params.seen = 64;
	lab->policy.may_observe = lab->policy.observes = true;
	for (unsigned int i = 0; i < 3; i++)
		lab->services[i].observe = true;
	lab_start(lab);
	for (unsigned int round = 0; round < 2; round++) {
		bool observed = round == 0;

		for (unsigned int i = 0; i < 3; i++) {
			lab->services[i].observe = observed;
			lab->services[i].cookies = COOKIES_ALWAYS;
		}
		core_set_policy(lab->core, &lab->policy);
		for (uint16_t i = 0; i < 3; i++) {
			state_of(lab, i)->cookie_mode = true;
			EQUAL(lab_n_taken(lab, SYN_OF(.server_port = ports[i]), 1, 0), !observed);
		}
	}
}

/* ---- of a server ------------------------------------------------------- */

static void
start_proxy(struct lab *lab)
{
	lab->services[0].cookies = COOKIES_ALWAYS;
	lab_start(lab);
}

static struct backend *
server(struct lab *lab)
{
	struct frame_spec f = lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4();

	return backend_at(&lab->core->backends,
	                  backend_find(&lab->core->backends, &f.dst, htobe16(LAB_WEB), true, 0));
}

LAB_TEST_ONCE(test_syn_lane_unknown_server_left)
{
	start_proxy(lab);
	LEAVES();
	state_of(lab, 0)->cookie_mode = true; /* nobody is asked then */
	TAKES();
}

LAB_TEST_ONCE(test_syn_lane_known_server_taken)
{
	start_proxy(lab);
	lab_teach(lab);
	TAKES(.client = 3);
	server(lab)->down = true;
	LEAVES(.client = 3);
	state_of(lab, 0)->cookie_mode = true;
	LEAVES(.client = 3);
	server(lab)->down = false;
	TAKES(.client = 3);
}

/* Of one that may teach, so many in a second pass that the rest need not be asked about. */
LAB_TEST_ONCE(test_syn_lane_curious_left)
{
	start_proxy(lab);
	struct backend *b = server(lab);
	uint8_t now_s = (uint8_t)(lab->now_ms / 1000);

	LEAVES();
	b->learn_s = now_s;
	b->n_learn = LEARN_PASSES_PER_S - 1;
	LEAVES();
	b->n_learn = LEARN_PASSES_PER_S;
	TAKES();
	b->learn_s++;
	LEAVES();
	state_of(lab, 0)->cookie_mode = true;
	TAKES();
}

LAB_TEST_ONCE(test_syn_lane_asked_again_left)
{
	start_proxy(lab);
	lab_teach(lab);
	struct backend *b = server(lab);
	uint16_t now_s = (uint16_t)(lab->now_ms / 1000);

	b->settled = b->absent = BACKEND_OPTIONS;
	b->probe_s = now_s;
	LEAVES(.client = 3, .options = LAB_ALL, .mss = 1400);
	TAKES(.client = 3, .options = OPTION_MSS, .mss = 1400);
	b->probe_s = (uint16_t)(now_s + 1);
	TAKES(.client = 3, .options = LAB_ALL, .mss = 1400);
}

/* ---- of a SYN ---------------------------------------------------------- */

/* The place that a burst begins with may be its server's, as any may. */
LAB_TEST(test_syn_lane_first_place_taken)
{
	struct frame_spec f = lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4();
	const struct flow flow = { .server = f.dst, .server_port_be = htobe16(LAB_RESPOND) };

	start(lab);
	TAKES();
	struct destinations *d = &lab->core->destinations;
	d->places[0] = *destination_place(d, &flow);
	CHECK(destination_is(&d->places[0], &flow));
	TAKES(.client_port = 7);
	core_set_policy(lab->core, &lab->policy);
}

LAB_TEST_ONCE(test_syn_lane_entry_left)
{
	lab->server_port = LAB_RESPOND;
	lab_start(lab);
	CLIENT(TCP_SYN, 9, 0);
	OUTCOME_IS(answered_syn_state);
	state_of(lab, 1)->cookie_mode = true;
	LEAVES();
	TAKES(.client_port = 7);
}

/* What came before it in its burst may have made its entry. */
LAB_TEST_ONCE(test_syn_lane_after_a_change_left)
{
	start(lab);
	CLIENT(TCP_SYN, 9, 0);
	OUTCOME_IS(answered_syn_cookie);
	const struct lab_seg specs[] = {
		{ .side = SIDE_OUTSIDE,
		  .flags = TCP_ACK,
		  .seq = 10,
		  .ack = ONLY(SIDE_OUTSIDE)->seg.seq + 1 },
		*SYN_OF(),
		*SYN_OF(.client_port = 7),
	};

	lab_in_burst(lab, specs, 3);
	EQUAL(core_usage(lab->core).connections, 1);
	EQUAL(lab_grew(lab, COUNTER_answered_syn_cookie), 1);
	EQUAL(lab_in_burst(lab, specs + 1, 2), 2);
	EQUAL(lab_grew(lab, COUNTER_answered_syn_cookie), 1);
}

LAB_TEST_ONCE(test_syn_lane_draining_left)
{
	start(lab);
	core_drain(lab->core, true);
	LEAVES();
	core_drain(lab->core, false);
	TAKES();
}

LAB_TEST_ONCE(test_syn_lane_cap_of_port_left)
{
	lab->policy.reflection.per_port_per_s = 100000;
	start(lab);
	LEAVES();
}

LAB_TEST_ONCE(test_syn_lane_cap_of_net_left)
{
	lab->policy.reflection.per_net_per_s = 2;
	start(lab);
	TAKES();
	TAKES(.client_port = 7);
	LEAVES(.client_port = 8);
	TAKES(.client = 3);
}

static void
sign_md5(struct lab *lab, struct segment *seg, uint8_t *frame)
{
	(void)lab;
	(void)frame;
	seg->options |= OPTION_MD5;
}

static void
sign_ao(struct lab *lab, struct segment *seg, uint8_t *frame)
{
	(void)lab;
	(void)frame;
	seg->options |= OPTION_AO;
}

static void
to_group(struct lab *lab, struct segment *seg, uint8_t *frame)
{
	(void)lab;
	(void)seg;
	frame[0] |= 1;
}

static void
in_pieces(struct lab *lab, struct segment *seg, uint8_t *frame)
{
	(void)lab;
	(void)frame;
	seg->payload_here = false;
	seg->shape = SHAPE_SYN_OTHER;
}

static void
proven_by_port(struct lab *lab, struct segment *seg, uint8_t *frame)
{
	(void)lab;
	(void)frame;
	seg->checksum_good = true;
}

LAB_TEST(test_syn_lane_odd_left)
{
	static void (*const odd[])(struct lab *lab, struct segment *seg,
	                           uint8_t *frame) = { sign_md5, sign_ao, to_group, in_pieces };

	start(lab);
	for (unsigned int i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		bend = odd[i];
		LEAVES();
	}
	bend = NULL;
	TAKES();
}

LAB_TEST(test_syn_lane_bad_checksum_left)
{
	start(lab);
	LEAVES(.bad_checksum = 1);
	LEAVES(.bad_checksum = 1, .options = LAB_ALL, .mss = 1400, .wscale = 7);
	bend = proven_by_port;
	TAKES(.bad_checksum = 1); /* as far as it is known here, the port has looked */
	bend = NULL;
}

/* It stops at what is another's, and goes on behind it. */
LAB_TEST(test_syn_lane_run_ends)
{
	struct lab_seg specs[5];

	start(lab);
	for (uint16_t i = 0; i < 5; i++)
		specs[i] = *SYN_OF(.client = i);
	EQUAL(lab_n_taken(lab, specs, 5, 0), 5);
	EQUAL(lab_n_taken(lab, specs, 5, 3), 2);
	specs[2].bad_checksum = 1;
	EQUAL(lab_n_taken(lab, specs, 5, 0), 2);
	EQUAL(lab_n_taken(lab, specs, 5, 2), 0);
	EQUAL(lab_n_taken(lab, specs, 5, 3), 2);
	specs[2] = (struct lab_seg){ .side = SIDE_OUTSIDE, .flags = TCP_ACK, .seq = 1, .ack = 1 };
	EQUAL(lab_n_taken(lab, specs, 5, 0), 2);
	EQUAL(lab_in_burst(lab, specs, 5), 4);
	EQUAL(lab_grew(lab, COUNTER_answered_syn_cookie), 4);
	EQUAL(lab_grew(lab, COUNTER_drop_unproven_ack), 1);
}

CU_TestInfo core_syn_lane_tests[] = {
	CHECK_TEST(test_syn_lane_always_taken),
	CHECK_TEST(test_syn_lane_in_cookie_mode_taken),
	CHECK_TEST(test_syn_lane_listed_left),
	CHECK_TEST(test_syn_lane_listed_live_left),
	CHECK_TEST(test_syn_lane_handoff_by_calm),
	CHECK_TEST(test_syn_lane_handoff_by_reload_left),
	CHECK_TEST(test_syn_lane_bypass_left),
	CHECK_TEST(test_syn_lane_observed_left),
	CHECK_TEST(test_syn_lane_unknown_server_left),
	CHECK_TEST(test_syn_lane_known_server_taken),
	CHECK_TEST(test_syn_lane_curious_left),
	CHECK_TEST(test_syn_lane_asked_again_left),
	CHECK_TEST(test_syn_lane_first_place_taken),
	CHECK_TEST(test_syn_lane_entry_left),
	CHECK_TEST(test_syn_lane_after_a_change_left),
	CHECK_TEST(test_syn_lane_draining_left),
	CHECK_TEST(test_syn_lane_cap_of_port_left),
	CHECK_TEST(test_syn_lane_cap_of_net_left),
	CHECK_TEST(test_syn_lane_odd_left),
	CHECK_TEST(test_syn_lane_bad_checksum_left),
	CHECK_TEST(test_syn_lane_run_ends),
	CU_TEST_INFO_NULL,
};
