/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture: what workers received and sent, as blocks of a file; who captures nothing does the
 * same as ever, and who captures sends the same. */
#include "capture.h"
#include "worker_lab.h"

static const char services[] =
	"  - {name: proxy, addresses: 192.0.2.1, ports: 80, mode: proxy, repeat_syn: false}\n"
	"  - {name: cookies, addresses: 192.0.2.1, ports: 82, mode: respond, cookies: always}\n";

static struct worker_lab lab;
static struct capture *capture;
static uint8_t file[1u << 20];
static size_t file_size;

static struct capture_filter
all(void)
{
	struct capture_filter f = { .service = SERVICE_NONE, .is_any = true };

	memset(f.outcomes, 0xff, sizeof(f.outcomes));
	return f;
}

static void
begin(const struct capture_filter *filter)
{
	char error[CAPTURE_NAME_MAX];

	capture = capture_begin(&lab.plane, filter, error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
	file_size = 0;
}

static void
start(const struct capture_filter *filter)
{
	worker_lab_init(&lab, 1, 2, services);
	begin(filter);
}

/* All that there is, in answers of `room` bytes. */
static void
read_all(size_t room)
{
	size_t n;

	while ((n = capture_read(&lab.plane, &lab.conf->policy, capture, file + file_size, room)) !=
	       0)
		file_size += n;
}

static void
end(void)
{
	capture_end(&lab.plane, capture);
	read_all(8192);
	capture_free(&lab.plane);
	worker_lab_fini(&lab);
}

static void
put_syn(uint16_t client_port)
{
	struct frame_spec f = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1000, 0);

	f.src_port = client_port;
	worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &f);
}

static uint32_t
word(size_t at)
{
	uint32_t w;

	memcpy(&w, file + at, sizeof(w));
	return w;
}

/* Block number `n` of this type: where it begins. 0: there is none. */
static size_t
block(uint32_t type, unsigned int n)
{
	for (size_t at = 0; at < file_size; at += word(at + 4)) {
		CU_ASSERT_TRUE_FATAL(word(at + 4) >= 12 && word(at + 4) <= file_size - at);
		CU_ASSERT_EQUAL_FATAL(word(at + word(at + 4) - 4), word(at + 4));
		if (word(at) == type && n-- == 0)
			return at;
	}
	return 0;
}

#define PACKET 6u

/* Does the comment of a packet say that? */
static bool
says(size_t at, const char *text)
{
	return memmem(file + at, word(at + 4), text, strlen(text)) != NULL;
}

static void
test_capture_shows_both_ways(void)
{
	struct capture_filter f = all();

	start(&f);
	put_syn(4000);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	end();
	CU_ASSERT_EQUAL(word(0), 0x0a0d0d0a);
	CU_ASSERT_NOT_EQUAL(block(1, 1), 0); /* two interfaces */
	size_t in = block(PACKET, 0), out = block(PACKET, 1);
	CU_ASSERT_TRUE_FATAL(in != 0 && out != 0);
	CU_ASSERT_EQUAL(block(PACKET, 2), 0);
	CU_ASSERT_TRUE(says(in,
	                    "answered_syn_cookie; row LISTEN.OUTSIDE.SYN; service cookies; why: "
	                    "SYNs answered with a SYN-ACK and no state"));
	CU_ASSERT_TRUE(says(out, "sent for answered_syn_cookie; row LISTEN.OUTSIDE.SYN"));
	/* What came is as it came, though its buffer was answered in. */
	CU_ASSERT_EQUAL(file[in + 28 + 14 + 20 + 13], 0x02);
	CU_ASSERT_EQUAL(file[out + 28 + 14 + 20 + 13], 0x12);
	CU_ASSERT_EQUAL(memcmp(file + out + 28, lab.sent[0].bytes, lab.sent[0].len), 0);
	/* 2023: WALL_S of the lab, and some seconds. */
	uint64_t ns = (uint64_t)word(in + 12) << 32 | word(in + 16);
	CU_ASSERT_EQUAL(ns / 1000000000 / 100, 17000000);
	CU_ASSERT_NOT_EQUAL(block(5, 1), 0); /* statistics of both */
}

static void
test_capture_filters(void)
{
	struct capture_filter f = all();
	struct frame_spec bad = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);

	memset(f.outcomes, 0, sizeof(f.outcomes));
	f.has_outcomes = true;
	CU_ASSERT_TRUE(verdict_outcomes("drop", f.outcomes));
	start(&f);
	put_syn(4000);
	bad.bad_tcp_checksum = 1;
	worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &bad);
	put_syn(4001);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 2);
	end();
	size_t in = block(PACKET, 0);
	CU_ASSERT_TRUE_FATAL(in != 0);
	CU_ASSERT_EQUAL(block(PACKET, 1), 0);
	CU_ASSERT_TRUE(says(in, "drop_checksum; service cookies; why: TCP checksum wrong"));
}

/* Of one client: in bursts where it is alone, among others, last, and not at all. */
static void
test_capture_of_a_client(void)
{
	struct frame_spec other = worker_lab_segment(SIDE_OUTSIDE, LAB_RESPOND, 0x02, 1, 0);
	const struct prefix client = { other.src, 128 };
	struct capture_filter f = all();

	capture_want_client(&f, &client);
	other.src.words_be[3] ^= 1u << 24;
	start(&f);
	for (unsigned int round = 0; round < 4; round++) {
		for (uint16_t i = 0; i < 5 && round != 1; i++) {
			other.src_port = (uint16_t)(5000 + 10 * round + i);
			worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &other);
		}
		if (round != 0)
			put_syn((uint16_t)(4000 + round));
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(lab.n_sent, (round != 1 ? 5u : 0) + (round != 0));
	}
	end();
	for (unsigned int i = 0; i < 6; i++) {
		size_t at = block(PACKET, i);
		CU_ASSERT_TRUE_FATAL(at != 0);
		CU_ASSERT_TRUE(says(at, i % 2 ? "sent for answered_syn_cookie; row LISTEN.OUTSIDE"
		                              : "answered_syn_cookie; row LISTEN.OUTSIDE.SYN"));
	}
	CU_ASSERT_EQUAL(block(PACKET, 6), 0);
}

/* A frame in pieces, longer than what is kept of it, that crosses. */
static void
test_capture_pieces(void)
{
	struct capture_filter f = all();
	uint8_t frame[FRAME_SIZE];

	start(&f);
	size_t len = worker_lab_other(frame);
	memset(frame + len, 0x55, 1400 - len);
	worker_lab_put(&lab, SIDE_INSIDE, 0, worker_lab_mbuf(&lab, frame, 1400, 500));
	worker_lab_run(&lab, 0, 1);
	end();
	for (unsigned int i = 0; i < 2; i++) {
		size_t at = block(PACKET, i);
		CU_ASSERT_TRUE_FATAL(at != 0);
		CU_ASSERT_EQUAL(word(at + 8), i == 0 ? SIDE_INSIDE : SIDE_OUTSIDE);
		CU_ASSERT_EQUAL(word(at + 20), 1400);
		CU_ASSERT_EQUAL(memcmp(file + at + 28, frame, 1400), 0);
	}
	CU_ASSERT_TRUE(says(block(PACKET, 0), "passed_other; why: "));
}

/* More than the ring takes in a millisecond: all is answered, and what is lost is counted. */
static void
test_capture_loses_and_counts(void)
{
	struct capture_filter f = all();
	uint64_t n_taken, n_lost, n = 0;

	start(&f);
	for (unsigned int round = 0; round < 12; round++) {
		for (uint16_t i = 0; i < 60; i++)
			put_syn((uint16_t)(4000 + i));
		worker_lab_run(&lab, 0, 1);
		n += lab.n_sent;
	}
	CU_ASSERT_EQUAL(n, 12 * 60);
	capture_sums(capture, &n_taken, &n_lost);
	CU_ASSERT_EQUAL(n_taken + n_lost, 2 * n);
	/* Some rounds come in one millisecond. */
	CU_ASSERT_TRUE(n_lost > 0 && n_taken >= CAPTURE_PER_MS);
	read_all(2048);
	for (n = 0; block(PACKET, (unsigned int)n) != 0;)
		n++;
	CU_ASSERT_EQUAL(n, n_taken);
	end();
	CU_ASSERT_EQUAL(n, n_taken);
}

/* One at a time; and one that nobody reads gives way. */
static void
test_capture_is_one(void)
{
	struct capture_filter f = all();
	char error[CAPTURE_NAME_MAX] = "";
	uint64_t n_taken, n_lost;

	start(&f);
	CU_ASSERT_PTR_NULL(capture_begin(&lab.plane, &f, error));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "there is a capture already"));
	CU_ASSERT_PTR_EQUAL(capture_find(&lab.plane, capture->id), capture);
	CU_ASSERT_PTR_NULL(capture_find(&lab.plane, capture->id + 1));
	worker_lab_wait(&lab, CAPTURE_LEASE_MS + 1);
	CU_ASSERT_PTR_NULL(capture_find(&lab.plane, capture->id));
	put_syn(4000);
	worker_lab_run(&lab, 0, 1);
	CU_ASSERT_EQUAL(lab.n_sent, 1);
	capture_sums(capture, &n_taken, &n_lost);
	CU_ASSERT_EQUAL(n_taken + n_lost, 0);
	capture = capture_begin(&lab.plane, &f, error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
	CU_ASSERT_EQUAL(capture->id, 2);
	put_syn(4000);
	worker_lab_run(&lab, 0, 1);
	capture_sums(capture, &n_taken, &n_lost);
	CU_ASSERT_EQUAL(n_taken, 2);
	end();
	CU_ASSERT_PTR_NULL(lab.plane.capture);
	CU_ASSERT_PTR_NULL(lab.plane.own_capture);
}

/* What a timer sends is seen, unless outcomes are asked for. */
static void
test_capture_timers(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct capture_filter f = all();
		struct frame_spec s = worker_lab_segment(SIDE_OUTSIDE, LAB_PROXY, 0x02, 1000, 0);
		uint64_t n_before, n_after, n_lost;

		f.has_outcomes = i == 1;
		worker_lab_init(&lab, 1, 2, services);
		/* Each round without a frame is followed by housekeeping. */
		lab.plane.workers[0]->idle.way = IDLE_PAUSES;
		worker_lab_splice(&lab);
		begin(&f);
		s.src_port = 999;
		worker_lab_put_tcp(&lab, SIDE_OUTSIDE, &s);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(lab.n_sent, 1); /* its SYN-ACK */
		worker_lab_wait(&lab, 1500);
		CU_ASSERT_PTR_NOT_NULL(capture_find(&lab.plane, capture->id));
		capture_sums(capture, &n_before, &n_lost);
		worker_lab_run(&lab, 0, 1);
		CU_ASSERT_EQUAL(lab.n_sent, 1); /* again */
		capture_sums(capture, &n_after, &n_lost);
		CU_ASSERT_EQUAL(n_after - n_before, i == 0);
		end();
	}
}

CU_TestInfo worker_capture_tests[] = {
	CHECK_TEST(test_capture_shows_both_ways),  CHECK_TEST(test_capture_filters),
	CHECK_TEST(test_capture_of_a_client),      CHECK_TEST(test_capture_pieces),
	CHECK_TEST(test_capture_loses_and_counts), CHECK_TEST(test_capture_is_one),
	CHECK_TEST(test_capture_timers),           CU_TEST_INFO_NULL,
};
