/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds of SYNs: what is one kind, where it stands, and what is found out about it. */
#include "syn_kind_lab.h"

/* ---- one kind or two --------------------------------------------------- */

static bool
lies_in(size_t byte, size_t off, size_t size)
{
	return byte >= off && byte < off + size;
}

/* Each bit of a segment that tells kinds apart does, and no other. Of IPv4 the first half of an
 * address is always the same. */
static void
test_kinds_are_told_by_server_and_options(void)
{
	kind_lab_begin();
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		const struct segment seg = kind_lab_syn(is_v4, PORT_OF(RESPOND));
		const struct syn_kind *kind = kind_lab_meet(&seg);
		unsigned int n_wrong = 0;

		CU_ASSERT_TRUE(syn_kind_is(kind, &seg, is_v4));
		for (size_t bit = 0; bit < 8 * offsetof(struct segment, found); bit++) {
			struct segment other = seg;
			const size_t byte = bit / 8, half = is_v4 ? 8 : 0;
			bool tells = lies_in(byte, offsetof(struct segment, flow.server) + half,
			                     sizeof(struct ip_addr) - half) ||
			             lies_in(byte, offsetof(struct segment, flow.server_port_be),
			                     2) ||
			             lies_in(byte, offsetof(struct segment, options), 8);

			((uint8_t *)&other)[byte] ^= (uint8_t)(1u << bit % 8);
			n_wrong += syn_kind_is(kind, &other, is_v4) == tells;
		}
		CU_ASSERT_EQUAL(n_wrong, 0);
	}
	kind_lab_end();
}

/* A flood of one kind is found out once: the base for the first that comes, the kind for the second,
 * whatever clients they are of. */
static void
test_one_kind_of_all_clients(void)
{
	kind_lab_begin();
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		struct segment seg = kind_lab_syn(is_v4, PORT_OF(RESPOND));

		COMES(&seg, DERIVED_ANEW);
		seg.flow.client.words_be[3] = htobe32(0x0b010203);
		seg.flow.client_port_be = htobe16(7);
		COMES(&seg, FOUND_OUT);
		seg.seq = 4711;
		seg.tsval = 99;
		seg.window = 512;
		for (unsigned int i = 0; i < 3; i++)
			COMES(&seg, REMEMBERED);
	}
	kind_lab_end();
}

/* Where no shape tells the family, a kind of the other one is none, though its address ends alike
 * and it stands in the same place. */
static void
test_families_apart_without_a_shape(void)
{
	kind_lab_begin();
	struct segment v4 = kind_lab_syn(true, PORT_OF(RESPOND)),
		       v6 = kind_lab_syn(false, PORT_OF(RESPOND));

	v4.shape = v6.shape = SHAPE_SYN_OTHER;
	for (uint32_t i = 0; syn_kind_place(lab.core, &v6) != syn_kind_place(lab.core, &v4); i++)
		v6.flow.server.words_be[1] = htobe32(i);
	for (unsigned int i = 0; i < 2; i++) {
		GETS_PLACE(&v6);
		CU_ASSERT_FALSE(kind_lab_meet(&v6)->is_v4);
		CU_ASSERT_TRUE(syn_kind_is(syn_kind_place(lab.core, &v6), &v4, true));
		kind_lab_check(kind_lab_meet(&v4), &v4);
		COMES(&v4, FOUND_OUT);
		COMES(&v4, REMEMBERED);
		CU_ASSERT_TRUE(kind_lab_meet(&v4)->is_v4);
		kind_lab_check(kind_lab_meet(&v6), &v6);
		kind_lab_pass(SYN_KIND_WHILE);
	}
	kind_lab_end();
}

/* ---- places ------------------------------------------------------------ */

/* Each is one of the places, and kinds that differ in one thing spread over them. */
static void
test_places_by_server_port_and_options(void)
{
	static uint8_t taken[4][SYN_KINDS];
	unsigned int n[4] = { 0 };

	kind_lab_begin();
	memset(taken, 0, sizeof(taken));
	for (unsigned int i = 0; i < 256; i++) {
		struct segment by[4];

		for (unsigned int j = 0; j < 4; j++)
			by[j] = kind_lab_syn(j != 1, PORT_OF(RESPOND));
		by[0].flow.server.words_be[3] = htobe32(0xc6120100 + i);
		by[1].flow.server.quads_be[0] = htobe64(0x20010db800000000 + i);
		by[2].flow.server_port_be = htobe16((uint16_t)(PORTS_OF_RESPOND + i));
		by[3].mss = (uint16_t)(1200 + i);
		for (unsigned int j = 0; j < 4; j++) {
			size_t at = (size_t)(syn_kind_place(lab.core, &by[j]) - lab.core->kinds);

			CU_ASSERT_FATAL(at < SYN_KINDS);
			CU_ASSERT_PTR_EQUAL(syn_kind_place(lab.core, &by[j]), &lab.core->kinds[at]);
			n[j] += taken[j][at]++ == 0;
		}
	}
	/* By chance it would be 241. */
	for (unsigned int j = 0; j < 4; j++)
		CU_ASSERT_TRUE(n[j] > 200);
	kind_lab_end();
}

/* A place is of the one that was met again and again last. */
static void
test_place_is_the_last_ones(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND),
			     two = kind_lab_of_same_place(&one, 0);

	for (unsigned int i = 0; i < 3; i++) {
		GETS_PLACE(&one);
		kind_lab_check(kind_lab_meet(&one), &one);
		GETS_PLACE(&two);
		kind_lab_check(kind_lab_meet(&two), &two);
	}
	CU_ASSERT_PTR_EQUAL(kind_lab_meet(&two), syn_kind_place(lab.core, &one));
	kind_lab_end();
}

/* One that is met as often as another one keeps its place, and gives way as soon as it is not met
 * between two times of the other one. */
static void
test_place_in_use_is_kept(void)
{
	struct syn_kinds kinds;

	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND),
			     two = kind_lab_of_same_place(&one, 0);
	GETS_PLACE(&one);
	for (unsigned int i = 0; i < 3 * SYN_KIND_WHILE; i++) {
		COMES_DERIVED(&two);
		COMES(&one, REMEMBERED);
	}
	/* It is, where both come in each burst. */
	for (unsigned int i = 0; i < 3 * SYN_KIND_WHILE; i++) {
		syn_kinds_begin(lab.core, &kinds, &lab.now);
		CU_ASSERT_TRUE(kind_lab_how_in(&kinds, &two) >= DERIVED);
		CU_ASSERT_EQUAL(kind_lab_how_in(&kinds, &one), REMEMBERED);
		CU_ASSERT_TRUE(kind_lab_how_in(&kinds, &two) >= DERIVED);
	}
	GETS_PLACE(&two);
	COMES_DERIVED(&one);
	kind_lab_end();
}

/* Those that are not met again within a while, or not before another one, get no place. */
static void
test_place_is_for_who_is_met_again_soon(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND),
			     two = kind_lab_of_same_place(&one, 0),
			     three = kind_lab_of_same_place(&one, 1);

	GETS_PLACE(&one);
	for (unsigned int i = 0; i < 3; i++) {
		COMES_DERIVED(&two);
		kind_lab_pass(SYN_KIND_WHILE - 1);
	}
	COMES(&one, REMEMBERED);
	for (unsigned int i = 0; i < SYN_KIND_WHILE; i++)
		COMES_DERIVED(i % 2 ? &three : &two);
	COMES(&one, REMEMBERED);
	COMES_DERIVED(&two);
	kind_lab_pass(SYN_KIND_WHILE - 2);
	COMES(&two, FOUND_OUT);
	COMES(&two, REMEMBERED);
	kind_lab_end();
}

/* What is of no service is looked up in each burst where it has a place, whatever has stood there
 * before. */
static void
test_nothing_is_not_remembered(void)
{
	kind_lab_begin();
	const struct segment none = kind_lab_syn(true, PORTS_OF_RESPOND - 1),
			     one = kind_lab_of_same_place(&none, 0);

	for (unsigned int i = 0; i < 2; i++) {
		GETS_PLACE(&one);
		COMES_DERIVED(&none);
		for (unsigned int j = 0; j < 3; j++)
			COMES(&none, FOUND_OUT);
	}
	kind_lab_end();
}

/* In one burst a kind stays as it is, whether it was found out in it or before: those that come to
 * the same place stand behind all places. */
static void
test_kind_stays_for_its_burst(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND);
	struct syn_kinds kinds;

	COMES(&one, DERIVED_ANEW);
	for (unsigned int round = 0; round < 3; round++) {
		syn_kinds_begin(lab.core, &kinds, &lab.now);
		const struct syn_kind *first = kind_lab_meet_in(&kinds, &one);
		CU_ASSERT_PTR_EQUAL(first, syn_kind_place(lab.core, &one));
		for (unsigned int i = 0; i < CORE_BURST_MAX - 1; i++) {
			const struct segment other = kind_lab_of_same_place(&one, i / 4);
			const struct syn_kind *kind = kind_lab_meet_in(&kinds, &other);

			CU_ASSERT_PTR_EQUAL(kind, &lab.core->kinds[SYN_KINDS + i]);
			kind_lab_check(kind, &other);
			kind_lab_check(first, &one);
		}
		CU_ASSERT_EQUAL(kinds.n_more, CORE_BURST_MAX - 1);
		CU_ASSERT_EQUAL(kind_lab_how_in(&kinds, &one), REMEMBERED);
	}
	COMES(&one, REMEMBERED);
	kind_lab_end();
}

/* So does one that is derived, and its plan, though the next one of its kind is given the place in
 * the same burst. */
static void
test_derived_kind_stays_for_its_burst(void)
{
	const struct syn_kind *kinds_met[CORE_BURST_MAX];
	struct syn_kinds kinds;

	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND);
	struct segment two = kind_lab_of_same_place(&one, 0);
	GETS_PLACE(&one);
	syn_kinds_begin(lab.core, &kinds, &lab.now);
	const struct syn_kind *first = kind_lab_meet_in(&kinds, &two),
			      *second = kind_lab_meet_in(&kinds, &two);
	CU_ASSERT_PTR_EQUAL(second, syn_kind_place(lab.core, &one));
	for (unsigned int i = 0; i < CORE_BURST_MAX - 1; i++)
		kinds_met[i] = kind_lab_meet_in(&kinds, &one);
	for (unsigned int i = 0; i < CORE_BURST_MAX - 1; i++) {
		CU_ASSERT_PTR_EQUAL(kinds_met[i], &lab.core->kinds[SYN_KINDS + 1 + i]);
		CU_ASSERT_PTR_EQUAL(kinds_met[i]->plan, &lab.core->plans[1 + i].plan);
		kind_lab_check(kinds_met[i], &one);
	}
	CU_ASSERT_PTR_EQUAL(first, &lab.core->kinds[SYN_KINDS]);
	CU_ASSERT_PTR_EQUAL(first->plan, &lab.core->plans[0].plan);
	kind_lab_check(first, &two);
	kind_lab_check(second, &two);
	kind_lab_end();
}

/* ---- what is found out ------------------------------------------------- */

static void
test_found_by_service(void)
{
	kind_lab_begin();
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		struct segment seg = kind_lab_syn(is_v4, PORT_OF(RESPOND));

		kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_NEVER);
		lab.core->services[RESPOND].cookie_mode = true;
		kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_IN_COOKIE_MODE);
		lab.core->services[RESPOND].cookie_mode = false;
		kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_NEVER);
		seg.options |= OPTION_MD5;
		lab.core->services[RESPOND].cookie_mode = true;
		kind_lab_check_found(&seg, LOCATE_KEPT, RESPOND, SYN_LANE_NEVER);
		lab.core->services[RESPOND].cookie_mode = false;
		seg = kind_lab_syn(is_v4, PORT_OF(HANDOFF));
		kind_lab_check_found(&seg, LOCATE_HANDOFF, HANDOFF, SYN_LANE_ALWAYS);
		seg = kind_lab_syn(is_v4, PORT_OF(BYPASS));
		kind_lab_check_found(&seg, LOCATE_KEPT, BYPASS, SYN_LANE_NEVER);
		seg = kind_lab_syn(is_v4, PORTS_OF_RESPOND - 1);
		kind_lab_check_found(&seg, LOCATE_NOTHING, SERVICE_CLOSED, SYN_LANE_NEVER);
		seg = kind_lab_syn(is_v4, PORT_OF(RESPOND));
		seg.flow.server.words_be[is_v4 ? 3 : 0] = htobe32(0x01020304);
		kind_lab_check_found(&seg, LOCATE_NOTHING, SERVICE_NONE, SYN_LANE_NEVER);
	}
	kind_lab_end();
}

static void
check_asks_of(const struct syn_kind *kind, enum syn_asks asks, uint8_t lane)
{
	CU_ASSERT_EQUAL(kind->asks, asks);
	CU_ASSERT_EQUAL(kind_lab_found_by(kind).lane, lane);
}

/* Derived, and, as another turn has begun, in its place. */
static void
check_asks(const struct segment *seg, enum syn_asks asks, uint8_t lane)
{
	const struct segment stranger = kind_lab_stranger(seg);

	check_asks_of(kind_lab_meet(&stranger), asks, lane);
	check_asks_of(kind_lab_meet(seg), asks, lane);
	kind_lab_turn();
	kind_lab_meet(seg);
	kind_lab_meet(seg);
	COMES(seg, REMEMBERED);
	check_asks_of(kind_lab_meet(seg), asks, lane);
}

/* What must be asked of the server of a proxy, and whether the lane may be taken then. */
static void
test_found_by_server(void)
{
	kind_lab_begin();
	const struct segment seg = kind_lab_syn(true, PORT_OF(PROXY));
	struct segment bare = seg;
	struct service_state *state = &lab.core->services[PROXY];

	bare.options = OPTION_MSS;
	check_asks(&seg, SYN_ASKS_TABLE, SYN_LANE_NEVER);
	CU_ASSERT_PTR_NULL(kind_lab_meet(&seg)->backend);
	state->cookie_mode = true;
	check_asks(&seg, SYN_ASKS_NOTHING, SYN_LANE_IN_COOKIE_MODE);
	state->lane = SYN_LANE_ALWAYS;
	struct backend *b = kind_lab_server(&seg);
	for (unsigned int round = 0; round < 2; round++) {
		state->cookie_mode = round == 0;
		check_asks(&seg, SYN_ASKS_NOTHING, SYN_LANE_ALWAYS);
		CU_ASSERT_PTR_EQUAL(kind_lab_meet(&seg)->backend, b);
		CU_ASSERT_EQUAL(kind_lab_meet(&seg)->plan->answer.mss, 1300);
		b->down = true;
		check_asks(&seg, SYN_ASKS_TABLE, SYN_LANE_NEVER);
		b->down = false;
	}
	b->settled = OPTION_SACK_PERMITTED;
	check_asks(&seg, SYN_ASKS_LEARNED, SYN_LANE_ALWAYS);
	check_asks(&bare, SYN_ASKS_NOTHING, SYN_LANE_ALWAYS);
	b->settled = b->absent = BACKEND_OPTIONS;
	check_asks(&seg, SYN_ASKS_AGAIN, SYN_LANE_ALWAYS);
	check_asks(&bare, SYN_ASKS_NOTHING, SYN_LANE_ALWAYS);
	state->cookie_mode = true;
	check_asks(&seg, SYN_ASKS_NOTHING, SYN_LANE_ALWAYS);
	kind_lab_end();
}

/* Two destinations of which there is one place: what is no SYN is of the service of its own, though
 * that of the other was there when this was looked at last. */
static void
test_found_by_destination_in_the_place_of_another(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORT_OF(BYPASS));
	struct segment other = kind_lab_syn(true, PORTS_OF_RESPOND);
	uint32_t port = PORTS_OF_RESPOND;

	while (destination_place(&lab.core->destinations, &one.flow) !=
	       destination_place(&lab.core->destinations, &other.flow))
		other.flow.server_port_be = htobe16((uint16_t)++port);
	CU_ASSERT_TRUE_FATAL(port <= UINT16_MAX);
	struct segment burst[] = { one, other, other };
	for (unsigned int i = 0; i < 3; i++)
		burst[i].class = SEGMENT_TCP;
	burst[0].flags = burst[2].flags = TCP_RST;
	burst[0].shape = burst[2].shape = SHAPE_ANY;
	core_locate(lab.core, burst, 3, &lab.now);
	CU_ASSERT_EQUAL(burst[0].found.service, BYPASS);
	CU_ASSERT_EQUAL(burst[1].found.service, RESPOND);
	CU_ASSERT_EQUAL(burst[2].found.service, RESPOND);
	kind_lab_end();
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_kinds_are_told_by_server_and_options),
	CHECK_TEST(test_one_kind_of_all_clients),
	CHECK_TEST(test_families_apart_without_a_shape),
	CHECK_TEST(test_places_by_server_port_and_options),
	CHECK_TEST(test_place_is_the_last_ones),
	CHECK_TEST(test_place_in_use_is_kept),
	CHECK_TEST(test_place_is_for_who_is_met_again_soon),
	CHECK_TEST(test_nothing_is_not_remembered),
	CHECK_TEST(test_kind_stays_for_its_burst),
	CHECK_TEST(test_derived_kind_stays_for_its_burst),
	CHECK_TEST(test_found_by_service),
	CHECK_TEST(test_found_by_server),
	CHECK_TEST(test_found_by_destination_in_the_place_of_another),
	CU_TEST_INFO_NULL,
};

int
main(void)
{
	CU_SuiteInfo suites[] = {
		{ .pName = "syn kind", .pTests = tests },
		{ .pName = "syn kind turns", .pTests = syn_kind_turns_tests },
		{ .pName = "syn kind bases", .pTests = syn_kind_base_tests },
		CU_SUITE_INFO_NULL,
	};

	return check_run_suites(suites);
}
