/* SPDX-License-Identifier: BSD-3-Clause */
/* Who sends most, as a core counts it: by service and outcome, in windows. */
#include "core_lab.h"
#include "talkers.h"

static bool
talk_find(const struct lab *lab, uint16_t service, enum counter outcome, bool would,
          struct core_talk *talk)
{
	for (uint32_t i = 0; i < CORE_TALKS_MAX; i++)
		if (core_talk(lab->core, i, would, talk) && talk->service == service &&
		    talk->outcome == outcome)
			return true;
	return false;
}

static uint64_t
key_of(const struct lab *lab, uint32_t client, bool is_net)
{
	struct ip_addr a = (lab->variant->is_v6 ? frame_spec_v6() : frame_spec_v4()).src;

	if (!lab->variant->is_v6)
		return (__builtin_bswap32(a.words_be[3]) + (client << 8)) &
		       (is_net ? 0xffffff00u : 0xffffffffu);
	uint64_t key = __builtin_bswap64(a.quads_be[0]) + ((uint64_t)client << 16);
	return is_net ? key & ~UINT64_C(0xffff) : key;
}

static uint32_t
count_of(const struct heavy *h, uint64_t key)
{
	for (unsigned int i = 0; i < HEAVY_SLOTS && h->slots[i].count != 0; i++)
		if (h->slots[i].key == key)
			return h->slots[i].count;
	return 0;
}

/* SYNs to a closed port, two in three from the net of `heavy`, a millisecond for every two. */
static void
flood(struct lab *lab, unsigned int n, uint32_t heavy)
{
	for (unsigned int i = 0; i < n; i++) {
		CLIENT(TCP_SYN, i, 0, .server_port = LAB_CLOSED,
		       .client = i % 3 != 0 ? heavy : 10 + i % 100,
		       .client_port = (uint16_t)(1000 + i));
		if (i % 2)
			lab_tick(lab, 1);
	}
}

LAB_TEST(test_talkers_of_a_closed_port)
{
	struct core_talk talk;

	lab->policy.closed_port = REFUSE_DROP;
	lab_start(lab);
	CHECK(!talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, false, &talk));
	flood(lab, 300, 3);
	CHECK(talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, false, &talk));
	/* So slow that each frame counts. */
	EQUAL(talk.nets[0].n_samples, 300);
	EQUAL(talk.nets[0].weight, 300);
	EQUAL(count_of(&talk.nets[0], key_of(lab, 3, true)), 200);
	EQUAL(count_of(&talk.hosts[0], key_of(lab, 3, false)), 200);
	EQUAL(talk.nets[1].weight, 0);
	CHECK(!talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, true, &talk));
}

/* All in one millisecond: fewer samples, and they stand for all. */
LAB_TEST_ONCE(test_talkers_of_a_burst_are_a_sample)
{
	struct core_talk talk;

	lab->policy.closed_port = REFUSE_DROP;
	lab_start(lab);
	for (unsigned int i = 0; i < 20000; i++)
		CLIENT(TCP_SYN, i, 0, .server_port = LAB_CLOSED, .client = i % 3 != 0);
	CHECK(talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, false, &talk));
	CHECK(talk.nets[0].n_samples > 20 && talk.nets[0].n_samples < 100);
	CHECK(talk.nets[0].weight > 5000 && talk.nets[0].weight < 80000);
	CHECK(count_of(&talk.nets[0], key_of(lab, 1, true)) > talk.nets[0].weight / 4);
	/* When it is over each frame counts again, soon. */
	lab_tick(lab, 100000);
	flood(lab, 12000, 5);
	CHECK(talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, false, &talk));
	CHECK(talk.nets[0].n_samples + talk.nets[1].n_samples > 1000);
}

LAB_TEST_ONCE(test_talkers_windows_turn)
{
	struct core_talk talk;

	lab->policy.closed_port = REFUSE_DROP;
	lab_start(lab);
	flood(lab, 30, 3);
	lab_tick(lab, TALK_WINDOW_MS);
	flood(lab, 60, 4);
	CHECK(talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, false, &talk));
	EQUAL(talk.nets[0].weight, 60);
	EQUAL(talk.nets[1].weight, 30);
	EQUAL(count_of(&talk.nets[1], key_of(lab, 3, true)), 20);
	EQUAL(count_of(&talk.hosts[1], key_of(lab, 3, false)), 20);
	EQUAL(count_of(&talk.nets[0], key_of(lab, 3, true)), 0);
	lab_tick(lab, 2 * TALK_WINDOW_MS);
	flood(lab, 90, 5);
	CHECK(talk_find(lab, SERVICE_CLOSED, COUNTER_drop_closed, false, &talk));
	EQUAL(talk.nets[0].weight, 90);
	EQUAL(talk.nets[1].weight, 0);
}

/* Of what would be done under observe, beside what is done. */
LAB_TEST_ONCE(test_talkers_of_what_would_be)
{
	static const struct prefix everybody[] = { { .len = 0 } };
	struct core_talk talk;

	lab->params.seen = 1024;
	lab->services[0].observe = true;
	lab->services[0].deny = everybody;
	lab->services[0].n_deny = 1;
	lab->policy.observes = lab->policy.may_observe = true;
	lab_start(lab);
	lab_syn(lab);
	OUTCOME_IS(passed_observed);
	CHECK(talk_find(lab, 0, COUNTER_passed_observed, false, &talk));
	CHECK(talk_find(lab, 0, COUNTER_drop_denied, true, &talk));
	EQUAL(talk.nets[0].weight, 1);
}

CU_TestInfo core_talkers_tests[] = {
	CHECK_TEST(test_talkers_of_a_closed_port),
	CHECK_TEST(test_talkers_of_a_burst_are_a_sample),
	CHECK_TEST(test_talkers_windows_turn),
	CHECK_TEST(test_talkers_of_what_would_be),
	CU_TEST_INFO_NULL,
};
