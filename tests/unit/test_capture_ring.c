/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames from a worker to a capture: in order, whole, bounded, and what is lost is counted. */
#include "capture_ring.h"
#include "check.h"

static struct capture_ring ring;
static uint8_t bytes[CAPTURE_RING_SIZE] __attribute__((aligned(8)));

static void
start(void)
{
	capture_ring_init(&ring, bytes);
}

/* A frame whose bytes say its number. */
static bool
put(uint32_t number, uint16_t size, uint64_t now_ms)
{
	const struct capture_record record = {
		.at_ns = number, .len = size, .captured = size, .side = number % 2
	};
	uint8_t *to = capture_ring_reserve(&ring, &record, now_ms);

	if (to == NULL)
		return false;
	memset(to, (int)(number % 251), size);
	capture_ring_commit(&ring);
	return true;
}

static void
take(uint32_t number, uint16_t size)
{
	const struct capture_record *r = capture_ring_next(&ring);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL_FATAL(r->at_ns, number);
	CU_ASSERT_EQUAL_FATAL(r->captured, size);
	for (unsigned int i = 0; i < size; i++)
		if (capture_record_frame(r)[i] != number % 251)
			CU_FAIL_FATAL("a byte of another frame");
	capture_ring_drop(&ring);
}

static void
test_empty(void)
{
	start();
	CU_ASSERT_PTR_NULL(capture_ring_next(&ring));
	CU_ASSERT_TRUE(put(1, 60, 5));
	take(1, 60);
	CU_ASSERT_PTR_NULL(capture_ring_next(&ring));
}

/* What is reserved and not committed is not there. */
static void
test_uncommitted(void)
{
	const struct capture_record record = { .len = 60, .captured = 60 };

	start();
	CU_ASSERT_PTR_NOT_NULL(capture_ring_reserve(&ring, &record, 1));
	CU_ASSERT_PTR_NULL(capture_ring_next(&ring));
	capture_ring_commit(&ring);
	CU_ASSERT_PTR_NOT_NULL(capture_ring_next(&ring));
}

/* Many times around, in sizes that never fit the end alike. */
static void
test_around(void)
{
	uint64_t seed = 7;
	uint32_t first = 0, next = 0, ms = 0;
	static uint16_t sizes[1u << 16];

	start();
	while (next < 40000) {
		uint16_t size = (uint16_t)(1 + check_random(&seed) % CAPTURE_SNAP);
		sizes[next] = size;
		if (put(next, size, ms++))
			next++;
		else
			CU_ASSERT_TRUE(next - first > CAPTURE_RING_SIZE / (CAPTURE_SNAP + 100));
		for (unsigned int n = (unsigned int)(check_random(&seed) % 3);
		     n > 0 && first < next; n--, first++)
			take(first, sizes[first]);
	}
	for (; first < next; first++)
		take(first, sizes[first]);
	CU_ASSERT_PTR_NULL(capture_ring_next(&ring));
	CU_ASSERT_EQUAL(ring.n_taken[0] + ring.n_taken[1], next);
}

static void
test_full_counts_its_losses(void)
{
	uint32_t n = 0;

	start();
	while (put(n, 1000, n))
		n++;
	CU_ASSERT_TRUE(n > CAPTURE_RING_SIZE / 1100 && n < CAPTURE_RING_SIZE / 1000);
	/* n alternates between sides. */
	CU_ASSERT_EQUAL(ring.n_lost[n % 2], 1);
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_FALSE(put(n + i, 1000, n + i));
	CU_ASSERT_EQUAL(ring.n_lost[0] + ring.n_lost[1], 11);
	CU_ASSERT_EQUAL(ring.n_taken[0] + ring.n_taken[1], n);
	/* Room for two: at the end of the ring a part may be left out. */
	take(0, 1000);
	take(1, 1000);
	CU_ASSERT_TRUE(put(n, 1000, n + 20));
	take(2, 1000);
}

static void
test_budget_of_a_millisecond(void)
{
	start();
	for (unsigned int ms = 1; ms <= 2; ms++) {
		for (uint32_t i = 0; i < CAPTURE_PER_MS; i++)
			CU_ASSERT_TRUE(put(i, 60, ms));
		CU_ASSERT_FALSE(put(0, 60, ms));
		CU_ASSERT_EQUAL(ring.n_lost[0], ms);
	}
}

/* ---- the filter -------------------------------------------------------- */

static struct segment
segment_of(uint32_t client, uint16_t service)
{
	struct segment seg = { .class = SEGMENT_TCP };

	seg.flow.client = ip_addr_v4(__builtin_bswap32(client));
	seg.found.service = service;
	return seg;
}

static struct capture_filter
all(void)
{
	return (struct capture_filter){ .service = SERVICE_NONE, .is_any = true };
}

static void
test_filter_client(void)
{
	struct prefix net = { ip_addr_v4(__builtin_bswap32(0xc0000200)), 120 };
	struct capture_filter f = all();
	struct segment in = segment_of(0xc00002ff, 3), out = segment_of(0xc0000300, 3), other;

	CU_ASSERT_TRUE(capture_wants(&f, &in) && capture_wants(&f, &out));
	capture_want_client(&f, &net);
	CU_ASSERT_TRUE(capture_wants(&f, &in));
	CU_ASSERT_FALSE(capture_wants(&f, &out));
	/* What is no TCP has no client, and whatever lies there is not looked at. */
	other = in;
	other.class = SEGMENT_OTHER;
	CU_ASSERT_FALSE(capture_wants(&f, &other));
	f = all();
	CU_ASSERT_TRUE(capture_wants(&f, &other));
}

/* Before a burst is decided on: any prefix, of either family, and wherever the segment stands. */
static void
test_filter_of_a_burst(void)
{
	static const uint8_t v6_lengths[] = { 1, 48, 64, 65, 128 };
	struct capture_filter f = all();
	struct segment segs[3];

	for (unsigned int i = 0; i < 3; i++)
		segs[i] = segment_of(0x0a000000 + i, 3);
	CU_ASSERT_TRUE(capture_may_want(&f, segs, 3));
	for (uint32_t i = 0; i < 4; i++) {
		struct prefix one = { segment_of(0x0a000000 + i, 3).flow.client, 128 };
		capture_want_client(&f, &one);
		CU_ASSERT_EQUAL(capture_may_want(&f, segs, 3), i < 3);
		CU_ASSERT_EQUAL(capture_may_want(&f, segs, 1), i == 0);
	}
	for (unsigned int i = 0; i < sizeof(v6_lengths); i++) {
		struct prefix net = { .len = v6_lengths[i] };
		net.addr.quads_be[0] = 0x2222222222222280;
		net.addr.quads_be[1] = v6_lengths[i] > 64 ? 0x8180 : 0;
		capture_want_client(&f, &net);
		CU_ASSERT_FALSE(capture_may_want(&f, segs, 3));
		segs[2].flow.client = net.addr;
		CU_ASSERT_TRUE(capture_wants(&f, &segs[2]) && capture_may_want(&f, segs, 3));
		segs[2] = segment_of(0x0a000002, 3);
	}
}

static void
test_filter_service(void)
{
	struct capture_filter f = all();
	struct segment three = segment_of(1, 3), none = segment_of(1, SERVICE_NONE);

	f.service = 3;
	CU_ASSERT_TRUE(capture_wants(&f, &three));
	CU_ASSERT_FALSE(capture_wants(&f, &none));
}

/* Frames of the engine's own belong to no segment, and say nothing of one; what an action had before
 * them may still stand in it. */
static void
test_wanted_of_segments_alone(void)
{
	static struct action list[2];
	static struct segment segs[2];
	struct actions actions = { .list = list, .n = 2, .max = 2 };
	struct capture_filter f = all();
	uint8_t outcomes[2] = { 0 };

	CU_ASSERT_TRUE(verdict_outcomes("answered_rst", f.outcomes));
	list[0] = (struct action){ .kind = ACTION_SEND,
		                   .outcome = COUNTER_answered_rst,
		                   .seg = ACTION_NO_SEGMENT };
	list[1] = (struct action){ .kind = ACTION_REPLY,
		                   .outcome = COUNTER_answered_rst,
		                   .seg = 1 };
	CU_ASSERT_EQUAL(capture_wanted(&f, &actions, segs, outcomes), 2);
	CU_ASSERT_EQUAL(outcomes[0], 0);
	CU_ASSERT_EQUAL(outcomes[1], COUNTER_answered_rst);
	list[1].outcome = COUNTER_drop_denied;
	CU_ASSERT_EQUAL(capture_wanted(&f, &actions, segs, outcomes), 0);
}

static void
test_filter_outcomes(void)
{
	struct capture_filter f = all();
	unsigned int n_drops = 0;

	CU_ASSERT_FALSE(verdict_outcomes("opened", f.outcomes)); /* no frame ends in it */
	CU_ASSERT_FALSE(verdict_outcomes("nonsense", f.outcomes));
	CU_ASSERT_TRUE(verdict_outcomes("answered_rst", f.outcomes));
	CU_ASSERT_TRUE(capture_wants_outcome(&f, COUNTER_answered_rst));
	CU_ASSERT_FALSE(capture_wants_outcome(&f, COUNTER_drop_denied));
	CU_ASSERT_TRUE(verdict_outcomes("drop", f.outcomes));
	for (unsigned int i = 0; i < COUNTER_COUNT; i++) {
		bool is_drop = counter_infos[i].class == OUTCOME_DROP;
		n_drops += is_drop;
		CU_ASSERT_EQUAL(capture_wants_outcome(&f, (uint8_t)i),
		                is_drop || i == COUNTER_answered_rst);
	}
	CU_ASSERT_TRUE(n_drops > 20);
}

/* ---- words ------------------------------------------------------------- */

static void
test_words(void)
{
	struct verdict v = { .outcome = COUNTER_answered_rst,
		             .note = { .row = CORE_ROW_NONE, .reason = COUNTER_limit_connecting } };
	char text[VERDICT_TEXT_MAX];

	verdict_text(text, &v, "web");
	CU_ASSERT_STRING_EQUAL(text, "answered_rst; service web; limit_connecting; why: proven "
	                             "clients refused: max_connecting of the backend");
	v.note = (struct core_note){ .row = 0,
		                     .is_observed = true,
		                     .would_outcome = COUNTER_drop_denied,
		                     .would_row = CORE_ROW_NONE };
	v.outcome = COUNTER_passed_syn;
	verdict_text(text, &v, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "passed_syn; row LISTEN.OUTSIDE.SYN; why: "));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "; would_drop_denied, why: source in deny, or not in allow"));
	verdict_sent_text(text, NULL, "web");
	CU_ASSERT_STRING_EQUAL(text, "sent; by a timer; service web");
	verdict_sent_text(text, &v, "web");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "sent for passed_syn; row LISTEN.OUTSIDE.SYN; service web; admit"));
}

/* The longest words of each kind, together, fit. */
static void
test_words_fit(void)
{
	struct verdict v = { .note = { .is_observed = true } };
	char text[VERDICT_TEXT_MAX];

	for (unsigned int i = 1; i < COUNTER_COUNT; i++)
		for (unsigned int row = 0; row < CORE_ROW_NONE; row++) {
			v.outcome = v.note.reason = v.note.would_outcome = (uint8_t)i;
			v.note.would_reason = (uint8_t)i;
			v.note.row = v.note.would_row = (uint8_t)row;
			verdict_text(text, &v, "a-service-with-31-letters-in-all");
			if (strlen(text) + 1 >= VERDICT_TEXT_MAX)
				CU_FAIL_FATAL("cut");
		}
}

int
main(void)
{
	CU_TestInfo tests[] = { CHECK_TEST(test_empty),
		                CHECK_TEST(test_uncommitted),
		                CHECK_TEST(test_around),
		                CHECK_TEST(test_full_counts_its_losses),
		                CHECK_TEST(test_budget_of_a_millisecond),
		                CHECK_TEST(test_filter_client),
		                CHECK_TEST(test_filter_of_a_burst),
		                CHECK_TEST(test_filter_service),
		                CHECK_TEST(test_filter_outcomes),
		                CHECK_TEST(test_wanted_of_segments_alone),
		                CHECK_TEST(test_words),
		                CHECK_TEST(test_words_fit),
		                CU_TEST_INFO_NULL };

	return check_run("capture_ring", tests);
}
