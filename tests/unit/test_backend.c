/* SPDX-License-Identifier: BSD-3-Clause */
/* Backends: the table against an array, and the rules of learning row by row. */
#include "backend.h"

#include "addr_hash_stub.h"

/* What a SYN with this offer has, enum segment_option. */
static uint8_t
options(const struct tcp_offer *offer)
{
	return OPTION_MSS | (offer->sack ? OPTION_SACK_PERMITTED : 0) |
	       (offer->timestamps ? OPTION_TIMESTAMPS : 0) |
	       (offer->wscale != WSCALE_NONE ? OPTION_WSCALE : 0);
}

#define N_SERVERS 200u

struct server {
	struct ip_addr addr;
	uint16_t port_be;
	uint16_t mss; /* mark of the record; 0: not in the table, or lost */
	uint32_t number;
	bool busy;
};

static const struct flow_hash_key key;

static void
random_run(uint64_t seed, enum trial_hash kind, uint32_t capacity)
{
	struct trial trial = trial_start(seed);
	static struct server servers[N_SERVERS];
	void *memory = trial_memory(backend_table_size(capacity));
	struct backend_table table;
	uint32_t now_s = UINT32_MAX - 500, n_busy = 0;

	addr_hash_kind = kind;
	backend_table_init(&table, memory, capacity, &key);
	for (uint32_t i = 0; i < N_SERVERS; i++)
		servers[i] = (struct server){ .addr = ip_addr_v4(__builtin_bswap32(i / 3)),
			                      .port_be = (uint16_t)(80 + i % 3) };
	for (; trial.step < 50000; trial.step++) {
		struct server *s = &servers[trial_pick(&trial, N_SERVERS)];
		uint32_t number = backend_find(&table, &s->addr, s->port_be, false, now_s);
		struct backend *b = backend_at(&table, number);

		now_s += trial_pick(&trial, 10) == 0;
		TRIAL_CHECK(&trial, (number == BACKEND_NONE) == (b == NULL));
		TRIAL_CHECK(&trial, !s->busy || (number == s->number && b->mss == s->mss));
		if (b != NULL) {
			TRIAL_CHECK(&trial, ip_addr_equal(&b->addr, &s->addr));
			TRIAL_CHECK(&trial, b->port_be == s->port_be && b->mss == s->mss);
			TRIAL_CHECK(&trial, number == s->number);
		}
		if (s->busy && trial_pick(&trial, 2) == 0) {
			b->n_connecting = 0;
			backend_succeed(b);
			s->busy = false;
			n_busy--;
			continue;
		}
		if (b != NULL)
			continue;
		number = backend_find(&table, &s->addr, s->port_be, true, now_s);
		b = backend_at(&table, number);
		if (b == NULL) {
			TRIAL_CHECK(&trial, n_busy >= 4);
			continue;
		}
		TRIAL_CHECK(&trial, number <= table.capacity && !b->known && b->mss == 0);
		TRIAL_CHECK(&trial, b->wscale == WSCALE_NONE && b->n_connecting == 0 && !b->down);
		s->number = number;
		s->mss = b->mss = (uint16_t)(1 + trial_pick(&trial, 65535));
		s->busy = trial_pick(&trial, 4) == 0;
		n_busy += s->busy;
		if (s->busy && trial_pick(&trial, 2) == 0)
			b->n_connecting = 1;
		else
			b->known = b->down = s->busy;
	}
	TRIAL_CHECK(&trial, table.used <= table.capacity);
	free(memory);
}

static void
test_table_random_run_keeps_busy_and_down(void)
{
	random_run(111, HASH_GOOD, 256);
	random_run(112, HASH_GOOD, 16);
	random_run(113, HASH_IDENTITY, 16);
	random_run(114, HASH_CONSTANT, 256);
}

static void
test_table_full_set_replaces_oldest(void)
{
	struct backend_table table;
	void *memory = trial_memory(backend_table_size(1));
	struct ip_addr addr = ip_addr_v4(1);
	uint32_t numbers[6];

	addr_hash_kind = HASH_GOOD;
	backend_table_init(&table, memory, 1, &key);
	CU_ASSERT_EQUAL(table.capacity, 4);
	CU_ASSERT_EQUAL(backend_find(&table, &addr, 0, true, 0), BACKEND_NONE);
	for (uint16_t port = 1; port <= 4; port++)
		numbers[port] = backend_find(&table, &addr, port, true, UINT32_MAX - 2 + port);
	backend_find(&table, &addr, 1, false, 4); /* used again: no longer the oldest */
	numbers[5] = backend_find(&table, &addr, 5, true, 5);
	CU_ASSERT_EQUAL(numbers[5], numbers[2]);
	CU_ASSERT_EQUAL(backend_find(&table, &addr, 2, false, 5), BACKEND_NONE);
	CU_ASSERT_EQUAL(backend_find(&table, &addr, 1, false, 5), numbers[1]);
	CU_ASSERT_EQUAL(table.used, 4);
	free(memory);
}

/* Who names many ports that nobody answers on does not push out a server that does. */
static void
test_table_full_set_replaces_unanswered_first(void)
{
	struct backend_table table;
	void *memory = trial_memory(backend_table_size(1));
	struct ip_addr addr = ip_addr_v4(1);

	addr_hash_kind = HASH_GOOD;
	backend_table_init(&table, memory, 1, &key);
	uint32_t server = backend_find(&table, &addr, 443, true, 0);
	backend_at(&table, server)->known = true;
	for (uint16_t port = 1000; port < 1100; port++) {
		uint32_t number = backend_find(&table, &addr, port, true, port);
		CU_ASSERT_NOT_EQUAL_FATAL(number, BACKEND_NONE);
		CU_ASSERT_NOT_EQUAL(number, server);
		/* It refuses, and is down for good. */
		for (uint32_t net = 1; net <= BACKEND_DOWN_VOTES; net++)
			backend_fail(backend_at(&table, number), net, port, 10);
		CU_ASSERT_TRUE(backend_at(&table, number)->down);
	}
	CU_ASSERT_EQUAL(backend_find(&table, &addr, 443, false, 2000), server);
	/* The servers that answer may fill it, and then replace each other. */
	for (uint16_t port = 1; port <= 8; port++) {
		uint32_t number = backend_find(&table, &addr, port, true, 2000u + port);
		CU_ASSERT_NOT_EQUAL_FATAL(number, BACKEND_NONE);
		backend_at(&table, number)->known = true;
	}
	CU_ASSERT_EQUAL(backend_find(&table, &addr, 443, false, 3000), BACKEND_NONE);
	free(memory);
}

static const struct tcp_offer bare = { .mss = 1460, .wscale = WSCALE_NONE };
static const struct tcp_offer full = { .mss = 1460, .wscale = 7, .sack = true, .timestamps = true };

static struct backend
fresh(void)
{
	struct backend b = { .port_be = 80, .wscale = WSCALE_NONE };
	return b;
}

static void
test_learn_first_answer_is_known(void)
{
	struct backend b = fresh();

	CU_ASSERT_TRUE(backend_curious(&b, options(&bare)));
	backend_learn(&b, &full, &full, 1, 0);
	CU_ASSERT_TRUE(b.known && b.sack && b.timestamps);
	CU_ASSERT_EQUAL(b.mss, 1460);
	CU_ASSERT_EQUAL(b.wscale, 7);
	CU_ASSERT_FALSE(backend_curious(&b, options(&full)));
}

static void
test_learn_bare_syns_teach_no_absence(void)
{
	struct backend b = fresh();

	for (uint32_t net = 0; net < 100; net++)
		backend_learn(&b, &bare, &bare, net, 0);
	CU_ASSERT_TRUE(b.known && !b.sack && !b.timestamps);
	CU_ASSERT_TRUE(backend_curious(&b, options(&full)));
	CU_ASSERT_FALSE(backend_curious(&b, options(&bare)));
	backend_learn(&b, &full, &full, 1, 0);
	for (uint32_t net = 0; net < 100; net++)
		backend_learn(&b, &bare, &bare, net, 0);
	CU_ASSERT_TRUE(b.sack && b.timestamps);
	CU_ASSERT_EQUAL(b.wscale, 7);
}

static void
test_learn_absence_needs_votes_of_different_nets(void)
{
	struct backend b = fresh();

	backend_learn(&b, &full, &full, 1, 0);
	for (unsigned int i = 0; i < 100; i++)
		backend_learn(&b, &full, &bare, 2 + i % (BACKEND_ABSENT_VOTES - 1), 0);
	CU_ASSERT_TRUE(b.sack && b.timestamps);
	CU_ASSERT_EQUAL(b.wscale, 7);
	backend_learn(&b, &full, &bare, 50, 0);
	CU_ASSERT_FALSE(b.sack || b.timestamps);
	CU_ASSERT_EQUAL(b.wscale, WSCALE_NONE);
	CU_ASSERT_TRUE(b.known);
	CU_ASSERT_FALSE(backend_curious(&b, options(&full)));
}

static void
test_learn_options_unseen_settle_by_votes(void)
{
	struct backend b = fresh();

	for (uint32_t net = 1; net <= BACKEND_ABSENT_VOTES; net++) {
		CU_ASSERT_TRUE(backend_curious(&b, options(&full)));
		backend_learn(&b, &full, &bare, net, 0);
		CU_ASSERT_FALSE(b.sack || b.timestamps);
	}
	CU_ASSERT_FALSE(backend_curious(&b, options(&full)));
}

/* What counts as absent is asked for again, now and then, and never forgotten for it. */
static void
test_learn_absent_is_asked_again(void)
{
	struct backend b = fresh();
	uint32_t now_s = UINT16_MAX - 5; /* 16 bits of it are kept */

	CU_ASSERT_FALSE(backend_ask_again(&b, options(&full), now_s));
	for (uint32_t net = 1; net <= BACKEND_ABSENT_VOTES; net++)
		backend_learn(&b, &full, &bare, net, now_s);
	for (unsigned int round = 0; round < 3; round++) {
		CU_ASSERT_FALSE(backend_ask_again(&b, options(&full), now_s));
		CU_ASSERT_FALSE(
			backend_ask_again(&b, options(&full), now_s + BACKEND_ASK_AGAIN_S - 1));
		now_s += BACKEND_ASK_AGAIN_S;
		CU_ASSERT_FALSE(backend_ask_again(&b, options(&bare), now_s));
		CU_ASSERT_TRUE(backend_ask_again(&b, options(&full), now_s));
		backend_learn(&b, &full, &bare, 9, now_s);
		CU_ASSERT_FALSE(b.sack || b.timestamps || backend_curious(&b, options(&full)));
	}
	now_s += BACKEND_ASK_AGAIN_S;
	CU_ASSERT_TRUE(backend_ask_again(&b, options(&full), now_s));
	backend_learn(&b, &full, &full, 9, now_s);
	CU_ASSERT_TRUE(b.sack && b.timestamps && b.wscale != WSCALE_NONE);
	CU_ASSERT_FALSE(backend_ask_again(&b, options(&full), now_s + 2 * BACKEND_ASK_AGAIN_S));
}

/* When to try a server that is down next is not put off by what its clients were answered before. */
static void
test_learn_absence_while_down_leaves_the_probe(void)
{
	struct backend b = fresh();

	backend_learn(&b, &full, &full, 1, 0);
	for (uint32_t net = 1; net <= 3; net++)
		(void)backend_fail(&b, net, 100, 5);
	CU_ASSERT_TRUE(b.down);
	uint16_t probe_s = b.probe_s;
	for (uint32_t net = 1; net <= 3; net++)
		backend_learn(&b, &full, &bare, net, 101);
	CU_ASSERT_FALSE(b.sack || b.timestamps);
	CU_ASSERT_EQUAL(b.probe_s, probe_s);
	/* Nor is it asked for options while it is down. */
	CU_ASSERT_FALSE(backend_ask_again(&b, options(&full), 101 + 2 * BACKEND_ASK_AGAIN_S));
}

static void
test_learn_mss_lower_by_votes_and_wscale_last(void)
{
	struct backend b = fresh();
	struct tcp_offer answer = full;

	backend_learn(&b, &full, &full, 1, 0);
	answer.mss = 1200;
	answer.wscale = 3;
	/* To one net, however often, it is that net's path. */
	for (unsigned int i = 0; i < 5; i++)
		backend_learn(&b, &full, &answer, 1, 0);
	CU_ASSERT_EQUAL(b.mss, 1460);
	backend_learn(&b, &full, &answer, 2, 0);
	backend_learn(&b, &full, &full, 3, 0);
	backend_learn(&b, &full, &answer, 4, 0);
	backend_learn(&b, &full, &answer, 5, 0);
	CU_ASSERT_EQUAL(b.mss, 1460);
	backend_learn(&b, &full, &answer, 6, 0);
	CU_ASSERT_EQUAL(b.mss, 1200);
	/* The next one needs as many votes anew. */
	answer.mss = 1100;
	backend_learn(&b, &full, &answer, 7, 0);
	backend_learn(&b, &full, &answer, 8, 0);
	CU_ASSERT_EQUAL(b.mss, 1200);
	backend_learn(&b, &full, &answer, 9, 0);
	CU_ASSERT_EQUAL(b.mss, 1100);
	answer.mss = 9000;
	answer.wscale = 14;
	backend_learn(&b, &full, &answer, 1, 0);
	CU_ASSERT_EQUAL(b.mss, 9000);
	CU_ASSERT_EQUAL(b.wscale, 14);
	answer.mss = 0;
	backend_learn(&b, &full, &answer, 1, 0);
	CU_ASSERT_EQUAL(b.mss, 9000);
}

/* Where all clients are of one net: many in a row, over a time, none of them higher. */
static void
test_learn_mss_lower_of_one_net_in_a_long_row(void)
{
	struct backend b = fresh();
	struct tcp_offer answer = full;
	uint32_t now_s = UINT16_MAX - 30; /* across the wrap */

	backend_learn(&b, &full, &full, 1, now_s);
	/* All at once: whoever can make so many connections. */
	answer.mss = 1200;
	for (unsigned int i = 0; i < 10 * BACKEND_MSS_ANSWERS; i++)
		backend_learn(&b, &full, &answer, 1, now_s + i % BACKEND_MSS_S);
	CU_ASSERT_EQUAL(b.mss, 1460);
	/* A higher one between, of anybody: from the beginning. */
	backend_learn(&b, &full, &full, 1, now_s + BACKEND_MSS_S);
	for (unsigned int i = 0; i < BACKEND_MSS_ANSWERS; i++) {
		answer.mss = i == 3 ? 1300 : 1200;
		CU_ASSERT_EQUAL(b.mss, 1460);
		backend_learn(&b, &full, &answer, 1, now_s + 100 + 10 * i);
	}
	/* The highest of the row. */
	CU_ASSERT_EQUAL(b.mss, 1300);
	backend_learn(&b, &full, &full, 1, now_s + 1000);
	for (unsigned int i = 1; i < BACKEND_MSS_ANSWERS; i++)
		backend_learn(&b, &full, &answer, 1, now_s + 1000 * i);
	CU_ASSERT_EQUAL(b.mss, 1460);
}

/* The rule, kept as the whole list of voters since the option was last seen. */
struct model_option {
	bool had, settled;
	uint32_t voters[64];
	unsigned int n;
};

static void
model_learn(struct model_option *o, bool offered, bool answered, uint32_t net)
{
	if (!offered)
		return;
	if (answered) {
		o->had = o->settled = true;
		o->n = 0;
		return;
	}
	for (unsigned int i = 0; i < o->n; i++)
		if (o->voters[i] == net)
			return;
	o->voters[o->n++] = net;
	if (o->n < BACKEND_ABSENT_VOTES)
		return;
	o->had = false;
	o->settled = true;
	o->n = 0;
}

static void
test_learn_random_answers_agree_with_model(void)
{
	struct trial trial = trial_start(121);
	struct backend b = fresh();
	struct model_option sack = { 0 }, timestamps = { 0 }, wscale = { 0 };

	for (; trial.step < 100000; trial.step++) {
		uint32_t net = trial_pick(&trial, 4) << 20 | trial_pick(&trial, 4);
		struct tcp_offer offer = { 1460, trial_pick(&trial, 3) ? 2 : WSCALE_NONE,
			                   trial_pick(&trial, 3) != 0, trial_pick(&trial, 3) != 0 };
		struct tcp_offer answer = offer;

		if (trial_pick(&trial, 3) != 0)
			answer.wscale = WSCALE_NONE;
		answer.sack = offer.sack && trial_pick(&trial, 3) == 0;
		answer.timestamps = offer.timestamps && trial_pick(&trial, 3) == 0;
		backend_learn(&b, &offer, &answer, net & 0xffff, 0);
		model_learn(&sack, offer.sack, answer.sack, net & 0xffff);
		model_learn(&timestamps, offer.timestamps, answer.timestamps, net & 0xffff);
		model_learn(&wscale, offer.wscale != WSCALE_NONE, answer.wscale != WSCALE_NONE,
		            net & 0xffff);
		TRIAL_CHECK(&trial, b.sack == sack.had && b.timestamps == timestamps.had);
		TRIAL_CHECK(&trial, (b.wscale != WSCALE_NONE) == wscale.had);
		TRIAL_CHECK(&trial,
		            backend_curious(&b, options(&full)) ==
		                    !(sack.settled && timestamps.settled && wscale.settled));
		if (trial_pick(&trial, 200) == 0) {
			backend_forget(&b);
			sack = timestamps = wscale = (struct model_option){ 0 };
			TRIAL_CHECK(&trial, !b.known && b.mss == 0);
		}
	}
}

static void
test_fail_one_net_never_takes_down(void)
{
	struct backend b = fresh();

	b.known = true;
	for (unsigned int i = 0; i < 100; i++)
		CU_ASSERT_FALSE(backend_fail(&b, i % (BACKEND_DOWN_VOTES - 1), i, 10));
	CU_ASSERT_FALSE(b.down);
}

static void
test_fail_success_between_starts_anew(void)
{
	struct backend b = fresh();

	for (uint32_t net = 0; net < 100; net++) {
		if (net % (BACKEND_DOWN_VOTES - 1) == 0)
			backend_succeed(&b);
		CU_ASSERT_FALSE(backend_fail(&b, net, 0, 10));
	}
	CU_ASSERT_FALSE(b.down);
}

static void
test_fail_different_nets_take_down_until_success(void)
{
	struct backend b = fresh();
	uint32_t now_s = UINT32_MAX - 5; /* probes across the wrap */

	for (uint32_t net = 1; net <= BACKEND_DOWN_VOTES; net++)
		CU_ASSERT_EQUAL(backend_fail(&b, net, now_s, 10), net == BACKEND_DOWN_VOTES);
	CU_ASSERT_TRUE(b.down);
	CU_ASSERT_FALSE(backend_fail(&b, 99, now_s, 10)); /* down already */
	CU_ASSERT_FALSE(backend_probe(&b, 99, now_s + 9, 10));
	CU_ASSERT_TRUE(backend_probe(&b, 99, now_s + 10, 10));
	CU_ASSERT_FALSE(backend_probe(&b, 99, now_s + 10, 10));
	CU_ASSERT_FALSE(backend_probe(&b, 99, now_s + 19, 10));
	CU_ASSERT_TRUE(backend_probe(&b, 99, now_s + 20, 10));
	backend_succeed(&b);
	CU_ASSERT_FALSE(b.down);
}

/* In each interval a few nets have their turn, once each; to look takes none. */
static void
test_probe_each_net_once_in_an_interval(void)
{
	struct backend b = fresh();

	for (uint32_t net = 1; net <= BACKEND_DOWN_VOTES; net++)
		backend_fail(&b, net, 0, 10);
	for (uint32_t turn = 1; turn < 20; turn++) {
		uint32_t n = 0;
		for (uint32_t i = 0; i < 50; i++) {
			uint32_t net = turn * 7 + i / 5, now_s = turn * 10 + i % 10;
			bool may = backend_may_probe(&b, net, now_s, 10);
			CU_ASSERT_EQUAL(may, i % 5 == 0 && n < BACKEND_PROBES);
			CU_ASSERT_EQUAL(backend_may_probe(&b, net, now_s, 10), may);
			CU_ASSERT_EQUAL(backend_probe(&b, net, now_s, 10), may);
			n += may;
		}
		CU_ASSERT_EQUAL(n, BACKEND_PROBES);
	}
}

/* However long nobody asked, the next one who does may try. */
static void
test_probe_after_any_pause_is_due(void)
{
	for (uint32_t pause_s = 10; pause_s < 200000; pause_s += 1009) {
		struct backend b = fresh();
		uint16_t late_s = (uint16_t)(pause_s - 10);

		for (uint32_t net = 1; net <= BACKEND_DOWN_VOTES; net++)
			backend_fail(&b, net, 77, 10);
		/* Within one interval of 2^16 seconds a past time looks like one to come. */
		uint32_t now_s = 77 + pause_s + (late_s >= UINT16_MAX - 9u ? 10 : 0);
		CU_ASSERT_TRUE(backend_probe(&b, 1, now_s, 10));
		CU_ASSERT_FALSE(backend_probe(&b, 1, now_s, 10));
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_table_random_run_keeps_busy_and_down),
		CHECK_TEST(test_table_full_set_replaces_oldest),
		CHECK_TEST(test_table_full_set_replaces_unanswered_first),
		CHECK_TEST(test_learn_first_answer_is_known),
		CHECK_TEST(test_learn_bare_syns_teach_no_absence),
		CHECK_TEST(test_learn_absence_needs_votes_of_different_nets),
		CHECK_TEST(test_learn_options_unseen_settle_by_votes),
		CHECK_TEST(test_learn_absent_is_asked_again),
		CHECK_TEST(test_learn_absence_while_down_leaves_the_probe),
		CHECK_TEST(test_learn_mss_lower_by_votes_and_wscale_last),
		CHECK_TEST(test_learn_mss_lower_of_one_net_in_a_long_row),
		CHECK_TEST(test_learn_random_answers_agree_with_model),
		CHECK_TEST(test_fail_one_net_never_takes_down),
		CHECK_TEST(test_probe_each_net_once_in_an_interval),
		CHECK_TEST(test_fail_success_between_starts_anew),
		CHECK_TEST(test_fail_different_nets_take_down_until_success),
		CHECK_TEST(test_probe_after_any_pause_is_due),
		CU_TEST_INFO_NULL,
	};
	return check_run("backend", tests);
}
