/* SPDX-License-Identifier: BSD-3-Clause */
/* Until when a kind of SYNs is remembered, and a base. */
#include "live_set.h"
#include "syn_kind_lab.h"

/* Another policy: nothing of the one before is left, by whatever way it came. */
static void
test_forgotten_with_the_policy(void)
{
	struct policy other;
	uint32_t a, b;

	kind_lab_begin();
	const struct segment seg = kind_lab_syn(true, PORT_OF(RESPOND));
	GETS_PLACE(&seg);
	core_forget(lab.core);
	/* Neither a place nor a base. */
	COMES(&seg, DERIVED_ANEW);
	COMES(&seg, FOUND_OUT);
	NOT_FOUND_ANEW(&seg);
	other = lab.policy;
	other.services = &lab.services[HANDOFF];
	other.n_services = 1;
	CU_ASSERT_PTR_NULL_FATAL(policy_compile(&other, &a, &b));
	core_set_policy(lab.core, &other);
	kind_lab_check_found(&seg, LOCATE_NOTHING, SERVICE_CLOSED, SYN_LANE_NEVER);
	core_set_policy(lab.core, &lab.policy);
	kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_NEVER);
	policy_free_index(&other);
	kind_lab_end();
}

/* A SYN that says what an empty place does is none that was met. */
static void
test_empty_place_is_no_kind(void)
{
	const struct segment nothing = { .is_v4 = false };

	kind_lab_begin();
	for (unsigned int round = 0; round < 2; round++) {
		CU_ASSERT_TRUE(syn_kind_is(syn_kind_place(lab.core, &nothing), &nothing, false));
		kind_lab_check_found(&nothing, LOCATE_NOTHING, SERVICE_NONE, SYN_LANE_NEVER);
		core_forget(lab.core);
	}
	kind_lab_end();
}

/* With what went into answers, and where servers are: each in its place, and each base. */
static void
test_found_anew_in_each_turn(void)
{
	kind_lab_begin();
	const struct segment seg = kind_lab_syn(true, PORT_OF(RESPOND));

	GETS_PLACE(&seg);
	lab.now.wall_ms++;
	NOT_FOUND_ANEW(&seg);
	lab.now.wall_ms += (1u << COOKIE_TS_UNIT_SHIFT) - 1;
	FOUND_ANEW(&seg);
	lab.core->params.hold_bytes /= 2;
	FOUND_ANEW(&seg);
	lab.core->sources.now_s++;
	FOUND_ANEW(&seg);
	NOT_FOUND_ANEW(&seg);
	/* One that was found out turns ago is no better than one of the last. */
	lab.now.wall_ms += 1u << COOKIE_TS_UNIT_SHIFT;
	kind_lab_meet(&(struct segment){ 0 });
	lab.now.wall_ms -= 1u << COOKIE_TS_UNIT_SHIFT;
	FOUND_ANEW(&seg);
	kind_lab_end();
}

/* A place lasts longer than a turn: who comes to it first in the next one has not got it. */
static void
test_place_is_kept_over_turns(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND),
			     two = kind_lab_of_same_place(&one, 0);

	GETS_PLACE(&one);
	for (unsigned int i = 0; i < 3; i++) {
		kind_lab_turn();
		COMES_DERIVED(&two);
		COMES(&one, FOUND_OUT);
		COMES(&one, REMEMBERED);
		COMES_DERIVED(&two);
		COMES(&one, REMEMBERED);
	}
	kind_lab_end();
}

/* No key is in it: cookies of the next epoch are made by the same kind. */
static void
test_remembered_over_epochs(void)
{
	static const struct secret_set next[SECRET_SETS] = { { .epoch = 1 } };

	kind_lab_begin();
	const struct segment seg = kind_lab_syn(true, PORT_OF(HANDOFF));
	GETS_PLACE(&seg);
	lab.now.secrets = next;
	NOT_FOUND_ANEW(&seg);
	kind_lab_check_found(&seg, LOCATE_HANDOFF, HANDOFF, SYN_LANE_ALWAYS);
	kind_lab_end();
}

/* With cookie mode and the lane of its service; another one's are nothing to it. */
static void
test_found_anew_with_the_mode_of_its_service(void)
{
	const struct prefix somebody = { ip_addr_v4(htobe32(0x01020300)), 120 };
	struct live_set *set = live_set_new(1, 1);

	kind_lab_begin();
	const struct segment seg = kind_lab_syn(true, PORT_OF(RESPOND));
	GETS_PLACE(&seg);
	lab.core->services[PROXY].cookie_mode = true;
	NOT_FOUND_ANEW(&seg);
	lab.core->services[RESPOND].cookie_mode = true;
	FOUND_ANEW_IN_TURN(&seg);
	kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_IN_COOKIE_MODE);
	/* By a live list, with which no policy comes. */
	CU_ASSERT_TRUE_FATAL(set != NULL && live_set_put(set, &somebody, 1 + RESPOND, LIVE_DENY));
	core_set_lists(lab.core, set);
	FOUND_ANEW_IN_TURN(&seg);
	kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_NEVER);
	core_set_lists(lab.core, NULL);
	FOUND_ANEW_IN_TURN(&seg);
	kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_IN_COOKIE_MODE);
	live_set_free(set);
	kind_lab_end();
}

/* With each bit that its server has shown, and with nothing else about it. Until it is as it was the
 * kind is derived, from a base that is found out with each change. */
static void
test_found_anew_with_what_its_server_shows(void)
{
	kind_lab_begin();
	const struct segment seg = kind_lab_syn(false, PORT_OF(PROXY));
	struct backend *b = kind_lab_server(&seg);
	const size_t end_of_shown = offsetof(struct backend, port_be) + sizeof(uint64_t);
	unsigned int n_wrong = 0;

	GETS_PLACE(&seg);
	for (size_t bit = 8 * offsetof(struct backend, mss); bit < 8 * sizeof(*b); bit++) {
		uint8_t *byte = (uint8_t *)b + bit / 8;
		bool shows = bit / 8 < end_of_shown;

		for (unsigned int i = 0; i < 2; i++) {
			const struct segment stranger = kind_lab_stranger(&seg);

			*byte ^= (uint8_t)(1u << bit % 8);
			n_wrong += kind_lab_how(&stranger) != (shows ? DERIVED_ANEW : DERIVED);
			n_wrong += kind_lab_how(&seg) != (shows && i == 0 ? DERIVED : REMEMBERED);
		}
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	/* In the next turn it is found out with what its server shows then. */
	b->mss ^= 1;
	FOUND_ANEW_IN_TURN(&seg);
	CU_ASSERT_EQUAL(kind_lab_meet(&seg)->plan->answer.mss, b->mss);
	kind_lab_end();
}

/* A server that comes to be here may be that of a kind whose server was not. All others stay. */
static void
test_found_anew_with_servers_that_come(void)
{
	kind_lab_begin();
	const struct segment unknown = kind_lab_syn(true, PORT_OF(PROXY)),
			     known = kind_lab_syn(false, PORT_OF(PROXY)),
			     respond = kind_lab_syn(true, PORT_OF(RESPOND));
	const struct ip_addr other = ip_addr_v4(htobe32(0x01020304));
	struct backend_table *backends = &lab.core->backends;

	kind_lab_server(&known);
	GETS_PLACE(&unknown);
	GETS_PLACE(&known);
	GETS_PLACE(&respond);
	for (uint16_t port = 1; port < 4; port++) {
		backend_find(backends, &other, port, true, 1);
		NOT_FOUND_ANEW(&known);
		NOT_FOUND_ANEW(&respond);
		FOUND_ANEW(&unknown);
		NOT_FOUND_ANEW(&unknown);
	}
	/* Its own. */
	struct backend *b = kind_lab_server(&unknown);
	FOUND_ANEW(&unknown);
	CU_ASSERT_PTR_EQUAL(kind_lab_meet(&unknown)->backend, b);
	NOT_FOUND_ANEW(&known);
	/* One that has shown the same, in its place. */
	b->addr.bytes[15] ^= 1;
	backends->n_placed++;
	FOUND_ANEW_IN_TURN(&unknown);
	CU_ASSERT_PTR_NULL(kind_lab_meet(&unknown)->backend);
	kind_lab_end();
}

/* The server of the same interface identifier and port in another net, of the `number`-th of those
 * nets whose servers stand in the set where that of `seg` does. */
static struct segment
in_same_set(const struct segment *seg, unsigned int number)
{
	const struct backend_table *backends = &lab.core->backends;
	struct segment other = *seg;
	uint32_t set, wanted = (uint32_t)addr_hash(backends->key, &seg->flow.server,
	                                           seg->flow.server_port_be) &
	                       backends->mask;

	do {
		other.flow.server.words_be[1]++;
		set = (uint32_t)addr_hash(backends->key, &other.flow.server,
		                          other.flow.server_port_be) &
		      backends->mask;
	} while (set != wanted || number-- != 0);
	return other;
}

/* A server that was used in this turn gives way to another where all of its set were, and that one to
 * a third, which looks like the first but for the net: what was found out of the first holds of
 * neither. */
static void
test_found_anew_with_its_server_gone(void)
{
	kind_lab_begin();
	const struct segment seg = kind_lab_syn(false, PORT_OF(PROXY)), like = in_same_set(&seg, 0);
	struct segment other = in_same_set(&seg, 1);
	struct backend *b = kind_lab_server(&seg);

	for (unsigned int i = 2; i < 5; i++) {
		const struct segment beside = in_same_set(&seg, i);
		kind_lab_server(&beside);
	}
	GETS_PLACE(&seg);
	CU_ASSERT_PTR_EQUAL(kind_lab_meet(&seg)->backend, b);
	other.flow.server.bytes[15] ^= 1;
	/* In the set of the first, too. */
	while ((((uint32_t)addr_hash(lab.core->backends.key, &other.flow.server,
	                             other.flow.server_port_be) ^
	         (uint32_t)addr_hash(lab.core->backends.key, &seg.flow.server,
	                             seg.flow.server_port_be)) &
	        lab.core->backends.mask) != 0)
		other.flow.server.words_be[1]++;
	backend_find(&lab.core->backends, &other.flow.server, other.flow.server_port_be, true,
	             lab.core->sources.now_s);
	CU_ASSERT_PTR_EQUAL(kind_lab_server(&like), b);
	CU_ASSERT_PTR_NULL(kind_lab_meet(&seg)->backend);
	CU_ASSERT_PTR_EQUAL(kind_lab_meet(&like)->backend, b);
	kind_lab_end();
}

/* A SYN with another MSS, of another kind's place, whose plan has the same place as that of `seg`. */
static struct segment
of_same_plan(const struct segment *seg)
{
	const struct service_state *state = &lab.core->services[RESPOND];
	struct segment other = *seg;
	uint64_t to = syn_plan_to(seg, state);

	for (other.mss = 600; other.mss < 65000; other.mss++)
		if (syn_plan_place(lab.core, syn_said(&other) & ~SYN_SAID_SHAPE, to, 0) ==
		            syn_plan_place(lab.core, syn_said(seg) & ~SYN_SAID_SHAPE, to, 0) &&
		    syn_kind_place(lab.core, &other) != syn_kind_place(lab.core, seg) &&
		    other.mss != seg->mss)
			return other;
	CU_FAIL_FATAL("no such SYN");
	return other;
}

/* With its plan, whose place another has taken: in the next turn, and derived until then. */
static void
test_found_anew_with_its_plan(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORT_OF(RESPOND)), two = of_same_plan(&one);

	GETS_PLACE(&one);
	GETS_PLACE(&two);
	for (unsigned int i = 0; i < 3; i++) {
		COMES(&one, DERIVED);
		CU_ASSERT_EQUAL(kind_lab_meet(&one)->plan->offer.mss, one.mss);
		COMES(&two, REMEMBERED);
		kind_lab_turn();
		FOUND_ANEW(&one);
		CU_ASSERT_EQUAL(kind_lab_meet(&one)->plan->offer.mss, one.mss);
		COMES(&two, FOUND_OUT);
		COMES(&two, REMEMBERED);
		CU_ASSERT_EQUAL(kind_lab_meet(&two)->plan->offer.mss, two.mss);
	}
	kind_lab_end();
}

/* The plan of a kind that was met stays for the burst, and one that finds no place lasts no longer:
 * its kind is found out in each burst. */
static void
test_plan_stays_for_its_burst(void)
{
	struct syn_kinds kinds;

	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORT_OF(RESPOND)), two = of_same_plan(&one);
	GETS_PLACE(&one);
	COMES_DERIVED(&two);
	for (unsigned int round = 0; round < 3; round++) {
		syn_kinds_begin(lab.core, &kinds, &lab.now);
		const struct syn_kind *first = kind_lab_meet_in(&kinds, &one);
		CU_ASSERT_EQUAL(kind_lab_how_in(&kinds, &two), FOUND_OUT);
		const struct syn_kind *second = syn_kind_place(lab.core, &two);

		CU_ASSERT_PTR_NOT_EQUAL(first->plan, second->plan);
		CU_ASSERT_EQUAL(first->plan->offer.mss, one.mss);
		CU_ASSERT_EQUAL(second->plan->offer.mss, two.mss);
		CU_ASSERT_PTR_EQUAL(second->plan, &lab.core->plans[0].plan);
		CU_ASSERT_EQUAL(kind_lab_how_in(&kinds, &one), REMEMBERED);
		CU_ASSERT_TRUE(kind_lab_how_in(&kinds, &two) >= DERIVED);
		CU_ASSERT_PTR_EQUAL(second->plan, &lab.core->plans[0].plan);
	}
	COMES(&one, REMEMBERED);
	COMES(&two, FOUND_OUT);
	COMES(&two, REMEMBERED);
	COMES(&one, DERIVED);
	kind_lab_end();
}

CU_TestInfo syn_kind_turns_tests[] = {
	CHECK_TEST(test_forgotten_with_the_policy),
	CHECK_TEST(test_empty_place_is_no_kind),
	CHECK_TEST(test_found_anew_in_each_turn),
	CHECK_TEST(test_place_is_kept_over_turns),
	CHECK_TEST(test_remembered_over_epochs),
	CHECK_TEST(test_found_anew_with_the_mode_of_its_service),
	CHECK_TEST(test_found_anew_with_what_its_server_shows),
	CHECK_TEST(test_found_anew_with_servers_that_come),
	CHECK_TEST(test_found_anew_with_its_server_gone),
	CHECK_TEST(test_found_anew_with_its_plan),
	CHECK_TEST(test_plan_stays_for_its_burst),
	CU_TEST_INFO_NULL,
};
