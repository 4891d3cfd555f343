/* SPDX-License-Identifier: BSD-3-Clause */
/* Bases: which SYNs have one in common, and that what is derived is what would be found out. */
#include "syn_kind_lab.h"

#include "checksum.h"

/* Those have one base that say the same but for MSS, scale and the order of their options. */
static void
test_base_of_those_that_say_nearly_the_same(void)
{
	kind_lab_begin();
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		struct segment seg = kind_lab_syn(is_v4, PORT_OF(RESPOND));

		COMES(&seg, DERIVED_ANEW);
		seg.mss = mss_default(is_v4);
		COMES(&seg, DERIVED);
		seg.mss = UINT16_MAX;
		COMES(&seg, DERIVED);
		seg.wscale = 3;
		COMES(&seg, DERIVED);
		seg.ts_off = 28;
		COMES(&seg, DERIVED);
		seg.options &= (uint8_t)~OPTION_MSS;
		seg.mss = 0;
		COMES(&seg, DERIVED);
		seg.shape = SHAPE_SYN_OTHER;
		COMES(&seg, DERIVED);
		seg.flow.client.words_be[3] = htobe32(0x0b010203);
		seg.wscale = 4;
		COMES(&seg, DERIVED);
	}
	kind_lab_end();
}

/* Any other difference, and an MSS that is below what counts where none is said, makes another. */
static void
test_base_of_those_that_do_not(void)
{
	static const uint8_t bits[] = { OPTION_WSCALE, OPTION_SACK_PERMITTED, OPTION_TIMESTAMPS,
		                        OPTION_MD5, OPTION_AO };

	kind_lab_begin();
	for (unsigned int is_v4 = 0; is_v4 < 2; is_v4++) {
		const struct segment seg = kind_lab_syn(is_v4, PORT_OF(RESPOND));
		struct segment other = seg;

		COMES(&seg, DERIVED_ANEW);
		other.mss = mss_default(is_v4) - 1;
		COMES(&other, DERIVED_ANEW);
		other.mss = 1;
		COMES(&other, DERIVED);
		for (size_t i = 0; i < sizeof(bits); i++) {
			other = seg;
			other.options ^= bits[i];
			COMES(&other, DERIVED_ANEW);
		}
		other = seg;
		other.flow.server_port_be = htobe16(PORTS_OF_RESPOND);
		COMES(&other, DERIVED_ANEW);
		other = seg;
		other.flow.server.bytes[15] ^= 1;
		COMES(&other, DERIVED_ANEW);
	}
	kind_lab_end();
}

/* Two that share a place are found out each time, and are not taken for one another: those of two
 * ports, and those of two families whose addresses end alike. */
static void
check_share_a_place(const struct segment *one, const struct segment *two)
{
	CU_ASSERT_PTR_EQUAL_FATAL(kind_lab_base(one), kind_lab_base(two));
	for (unsigned int i = 0; i < 3; i++) {
		BASE_FOUND_ANEW(one);
		CU_ASSERT_EQUAL(kind_lab_base(one)->kind.is_v4, one->is_v4);
		CU_ASSERT_EQUAL(kind_lab_base(one)->kind.port_be, one->flow.server_port_be);
		BASE_FOUND_ANEW(two);
		CU_ASSERT_EQUAL(kind_lab_base(two)->kind.is_v4, two->is_v4);
		CU_ASSERT_EQUAL(kind_lab_base(two)->kind.port_be, two->flow.server_port_be);
	}
}

static void
test_bases_of_one_place(void)
{
	kind_lab_begin();
	const struct segment one = kind_lab_syn(true, PORTS_OF_RESPOND);
	struct segment two = one, v6 = kind_lab_syn(false, PORTS_OF_RESPOND), mapped = one;
	unsigned int port = PORTS_OF_RESPOND;

	do
		two.flow.server_port_be = htobe16((uint16_t)++port);
	while (kind_lab_base(&two) != kind_lab_base(&one));
	check_share_a_place(&one, &two);
	for (uint32_t i = 1; kind_lab_base(&v6) != kind_lab_base(&one); i++)
		v6.flow.server.words_be[1] = htobe32(i);
	CU_ASSERT_TRUE(syn_kind_is_of(&kind_lab_base(&v6)->kind, &two, syn_plan_base(&two), true));
	check_share_a_place(&one, &v6);
	/* An IPv6 header may say what stands for an IPv4 address here. */
	mapped.is_v4 = false;
	mapped.shape = SHAPE_SYN_V6;
	check_share_a_place(&one, &mapped);
	kind_lab_end();
}

/* ---- derived and found out --------------------------------------------- */

/* What a kind says, without where it and its plan stand, and until when they do. */
struct kind_says {
	struct syn_kind kind;
	struct syn_plan plan;
	struct emit_fixed made;
};

static void
read_kind(struct kind_says *says, const struct syn_kind *kind)
{
	memset(says, 0, sizeof(*says));
	memcpy(&says->kind, kind, sizeof(*kind));
	says->kind.plan = NULL;
	if (kind->shows == kind->shown)
		says->kind.shows = NULL;
	says->kind.turn = 0;
	says->kind.found[1] = 0;
	says->kind.serial = says->kind.burst = says->kind.rival = says->kind.rival_burst = 0;
	if (kind->way == LOCATE_NOTHING) { /* where there are no cookies */
		says->kind.mask_at = 0;
		return;
	}
	memcpy(&says->plan, kind->plan, sizeof(says->plan));
	memcpy(&says->made, kind->plan->answer.made, sizeof(says->made));
	says->plan.answer.made = NULL;
	says->made.sum = checksum_fold(says->made.sum);
}

/* In how much does it matter whether a SYN comes for the first or the second time? */
static unsigned int
differ(const struct segment *seg)
{
	struct kind_says derived, found_out;
	const struct syn_kind *kind = kind_lab_meet(seg);
	unsigned int n = kind < &lab.core->kinds[SYN_KINDS];

	read_kind(&derived, kind);
	kind = kind_lab_meet(seg);
	n += kind != syn_kind_place(lab.core, seg);
	read_kind(&found_out, kind);
	return n + (memcmp(&derived, &found_out, sizeof(derived)) != 0);
}

static unsigned int
differ_by_options(struct segment *seg)
{
	static const uint16_t all_mss[] = {
		0, 1, 48, 535, 536, 1219, 1220, 1300, 1460, UINT16_MAX
	};
	static const uint8_t scales[] = { 0, 7, 14 };
	unsigned int n = 0;

	core_forget(lab.core);
	for (unsigned int options = 0; options < 0x80; options++)
		for (size_t i = 0; i < sizeof(all_mss) / sizeof(all_mss[0]); i++) {
			seg->options = (uint8_t)options;
			seg->mss = options & OPTION_MSS ? all_mss[i] : 0;
			seg->wscale = options & OPTION_WSCALE ? scales[i % sizeof(scales)] : 0;
			seg->ts_off = options & OPTION_TIMESTAMPS ? (uint8_t)(24 + 4 * i) : 0;
			/* Without an MSS it would be the same again. */
			seg->sack_off = (uint8_t)i;
			n += differ(seg);
		}
	return n;
}

static void
test_derived_is_what_is_found_out(void)
{
	static const unsigned int ports[] = { PORT_OF(PROXY), PORT_OF(RESPOND), PORT_OF(HANDOFF),
		                              PORT_OF(BYPASS), PORTS_OF_RESPOND - 1 };

	kind_lab_begin();
	for (unsigned int i = 0; i < 4 * sizeof(ports) / sizeof(ports[0]); i++) {
		struct segment seg = kind_lab_syn(i & 1, ports[i / 4]);

		if (i / 4 < SERVICES)
			lab.core->services[i / 4].cookie_mode = i & 2;
		CU_ASSERT_EQUAL(differ_by_options(&seg), 0);
	}
	kind_lab_end();
}

/* The same of a server that has shown what it is like, or that it is down. */
static void
test_derived_is_what_is_found_out_of_servers(void)
{
	kind_lab_begin();
	for (unsigned int i = 0; i < 32; i++) {
		struct segment seg = kind_lab_syn(i & 1, PORT_OF(PROXY));
		struct backend *b = kind_lab_server(&seg);

		lab.core->services[PROXY].cookie_mode = i & 2;
		b->sack = i & 4;
		b->timestamps = i & 8;
		b->absent = i & 4 ? 0 : BACKEND_OPTIONS;
		b->settled = i & 8 ? BACKEND_OPTIONS : OPTION_SACK_PERMITTED;
		b->down = i & 16;
		CU_ASSERT_EQUAL(differ_by_options(&seg), 0);
		CU_ASSERT_PTR_EQUAL(kind_lab_meet(&seg)->backend, b);
	}
	kind_lab_end();
}

CU_TestInfo syn_kind_base_tests[] = {
	CHECK_TEST(test_base_of_those_that_say_nearly_the_same),
	CHECK_TEST(test_base_of_those_that_do_not),
	CHECK_TEST(test_bases_of_one_place),
	CHECK_TEST(test_derived_is_what_is_found_out),
	CHECK_TEST(test_derived_is_what_is_found_out_of_servers),
	CU_TEST_INFO_NULL,
};
