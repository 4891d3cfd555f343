/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for the program in the kernel and for the engine's own parser and cookies: what the
 * engine takes for a segment that proves a cookie, the program takes for one, and nothing else.
 * Frames are made at random around good ones, bounded and repeatable.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "adopt.skel.h"
#include "check.h"
#include "cookie.h"
#include "frame.h"
#include "loaded.h"
#include "segment.h"
#include "settings.h"

#define NOW_S 1800000010u
#define N_FRAMES 30000u
#define PROBES_OF 3u /* one frame in so many is a probe */

static struct program program;
/* Of the first secret, of the second one, and of one that the program never has. */
static struct secret_ring rings[3];

static struct adopt_counters
counters(void)
{
	struct adopt_counters sum;

	program_counters(&program, &sum);
	return sum;
}

static int
run_frame(const uint8_t *frame, size_t len)
{
	return loaded_run(&program, frame, len);
}

static enum cookie_proof
proof_of(const struct segment *seg)
{
	struct cookie_job job = {
		.flow = &seg->flow, .irs = seg->seq - 1, .is_v4 = seg->is_v4, .iss = seg->ack - 1
	};
	uint8_t proof;

	cookie_check(secret_current(&rings[0]), &job, 1, &proof);
	if (proof == PROOF_EXACT || seg->payload_len > 1 || (seg->flags & TCP_FIN) != 0)
		return (enum cookie_proof)proof;
	job.irs = seg->seq;
	cookie_check(secret_current(&rings[0]), &job, 1, &proof);
	return proof == PROOF_EXACT ? PROOF_PROBE : PROOF_NONE;
}

/* What becomes of a segment at a machine that listens on port 80 alone. */
static void
compare(uint8_t *frame, size_t len)
{
	struct segment seg;
	int found = run_frame(frame, len);

	segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
	bool taken = found == ADOPT_ASSIGNED || found == ADOPT_REFUSED || found == ADOPT_REPLAYED;
	if (seg.class != SEGMENT_TCP) {
		/* The kernel looks at it again. Never is more than a segment taken for one. */
		CU_ASSERT(seg.class == SEGMENT_MALFORMED || !taken);
		return;
	}
	uint8_t flags = seg.flags & (TCP_SYN | TCP_RST | TCP_ACK);
	if (flags == (TCP_SYN | TCP_ACK) && seg.flow.server_port_be == htons(80)) {
		CU_ASSERT_EQUAL(found, ADOPT_SYN_ACK);
	} else if (flags != TCP_ACK) {
		CU_ASSERT_EQUAL(found, ADOPT_HANDSHAKE);
	} else if (seg.flow.server_port_be != htons(80)) {
		CU_ASSERT_EQUAL(found, ADOPT_CLOSED);
	} else if (proof_of(&seg) != PROOF_NONE) {
		CU_ASSERT(taken);
	} else {
		CU_ASSERT_EQUAL(found, ADOPT_UNPROVEN);
	}
}

/* A whole frame of a client who has been answered by cookie, by a front end of this secret. */
static size_t
build(uint8_t *frame, uint64_t *state, const struct secret_ring *ring)
{
	static const uint8_t stamps[] = { 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
	/* Hop-by-hop options of 8 bytes and options for the destination of 16: padding. */
	static const uint8_t chain[] = { 60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12,
		                         0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t data[] = "GET / HTTP/1.0\r\n\r\n";
	uint64_t chance = check_random(state);
	struct frame_spec spec = chance & 1 ? frame_spec_v4() : frame_spec_v6();
	struct cookie_job job = { .irs = (uint32_t)check_random(state),
		                  .profile = (uint8_t)(chance >> 8 & 31),
		                  .parity = chance >> 13 & 1,
		                  .is_v4 = chance & 1 };

	spec.src_port = (uint16_t)(chance >> 16 | 1);
	struct flow flow = { spec.src, spec.dst, htons(spec.src_port), htons(spec.dst_port) };
	job.flow = &flow;
	cookie_make(secret_current(ring), &job, 1);
	spec.flags = (uint8_t)(TCP_ACK | (chance >> 32 & TCP_PSH) |
	                       ((chance >> 34 & 7) == 0 ? TCP_FIN : 0));
	spec.seq = job.irs + ((chance >> 40) % PROBES_OF == 0 ? 0 : 1);
	spec.ack = job.iss + 1;
	if (chance >> 48 & 1) {
		spec.options = stamps;
		spec.options_len = sizeof(stamps);
	}
	if (!job.is_v4 && chance >> 49 & 1) {
		spec.ip_options = chain;
		spec.ip_options_len = sizeof(chain);
	}
	spec.payload = data;
	spec.payload_len = chance >> 50 & 1 ? chance >> 51 & 15 : 0;
	return frame_build(frame, &spec);
}

static void
test_frames_have_the_engines_verdict(void)
{
	uint8_t frame[FRAME_SIZE];
	uint64_t state = 11;

	for (unsigned int i = 0; i < N_FRAMES; i++) {
		size_t len = build(frame, &state, &rings[0]);
		uint64_t chance = check_random(&state);

		/* As it is; or some bytes behind the EtherType changed; or cut. */
		for (unsigned int n = chance % 4; n > 0; n--) {
			size_t at = 14 + check_random(&state) % (len - 14);
			frame[at] = (uint8_t)check_random(&state);
		}
		if ((chance >> 8 & 15) == 0) {
			/* The kernel runs no program on less than a header of IP. */
			len = 54 + (chance >> 16) % (len - 53);
		}
		compare(frame, len);
	}
}

static void
test_frames_that_prove_are_taken(void)
{
	uint8_t frame[FRAME_SIZE];
	uint64_t state = 5;
	unsigned int n_taken = 0, n_probes = 0;
	struct adopt_counters before = counters();

	for (unsigned int i = 0; i < 1000; i++) {
		size_t len = build(frame, &state, &rings[0]);
		int found = run_frame(frame, len);
		n_taken += found == ADOPT_ASSIGNED || found == ADOPT_REFUSED;
	}
	n_probes = (unsigned int)(counters().n[ADOPT_PROBE] - before.n[ADOPT_PROBE]);
	/* Probes with data or FIN are none. */
	CU_ASSERT(n_taken > 800);
	CU_ASSERT(n_taken < 1000);
	CU_ASSERT(n_probes > 100);
	printf("%u of 1000 taken, %u probes ", n_taken, n_probes);
}

/* Clients of three front ends, each with a secret of its own: those of the first `n_known` get
 * in, whatever their first segment, and the others never do. */
static void
expect_known(unsigned int n_known)
{
	uint8_t frame[FRAME_SIZE];
	uint64_t state = 17;

	for (unsigned int i = 0; i < 3; i++) {
		struct adopt_counters before = counters();
		unsigned int n_taken = 0, n_dropped = 0;

		for (unsigned int j = 0; j < 1000; j++) {
			size_t len = build(frame, &state, &rings[i]);
			int found = run_frame(frame, len);
			n_taken += found == ADOPT_ASSIGNED || found == ADOPT_REFUSED;
			n_dropped += found == ADOPT_UNPROVEN;
		}
		uint64_t n_probes = counters().n[ADOPT_PROBE] - before.n[ADOPT_PROBE];
		CU_ASSERT_EQUAL(n_taken + n_dropped, 1000);
		CU_ASSERT(i < n_known ? n_taken > 800 : n_taken == 0);
		CU_ASSERT(i < n_known ? n_probes > 100 : n_probes == 0);
	}
}

static void
test_frames_of_either_secret_are_taken(void)
{
	expect_known(1);
	loaded_set_time(&program, NOW_S, true);
	expect_known(2);
	/* What the second one has left is removed. */
	loaded_set_time(&program, NOW_S, false);
	expect_known(1);
}

/* In the last two seconds of an epoch the next one's cookies are good, under both secrets. */
static void
test_frames_of_either_secret_at_the_lead(void)
{
	uint8_t frame[FRAME_SIZE];
	uint64_t state = 23, now_s = NOW_S / EPOCH_S * EPOCH_S + EPOCH_S - 1;
	unsigned int n_taken[2] = { 0, 0 };

	for (unsigned int two = 0; two < 2; two++) {
		loaded_set_time(&program, now_s, two);
		secret_step(&rings[1], now_s);
		for (unsigned int i = 0; i < 200; i++) {
			size_t len = build(frame, &state, &rings[1]);
			int found = run_frame(frame, len);
			n_taken[two] += found == ADOPT_ASSIGNED || found == ADOPT_REFUSED;
		}
	}
	CU_ASSERT_EQUAL(n_taken[0], 0);
	CU_ASSERT(n_taken[1] > 150);
}

/* Of clients who were answered `ago` epochs before NOW_S: how many of `n` first segments are passed to
 * the kernel for a RST. All of these have data or FIN; the others prove nothing. */
static unsigned int
n_expired(unsigned int ago, unsigned int n)
{
	uint8_t frame[FRAME_SIZE], secret[MASTER_SECRET_SIZE];
	static struct secret_ring ring;
	uint64_t state = 29;
	unsigned int n_found = 0;

	for (unsigned int j = 0; j < MASTER_SECRET_SIZE; j++)
		secret[j] = (uint8_t)(LOADED_SECRET(0) + j);
	secret_init(&ring, secret, NOW_S - ago * EPOCH_S);
	for (unsigned int i = 0; i < n; i++) {
		struct segment seg;
		size_t len = build(frame, &state, &ring);
		int found = run_frame(frame, len);

		segment_parse(&seg, frame, (uint32_t)len, (uint32_t)len, SIDE_OUTSIDE);
		CU_ASSERT(found == ADOPT_UNPROVEN ||
		          (found == ADOPT_EXPIRED &&
		           (seg.payload_len != 0 || (seg.flags & TCP_FIN) != 0)));
		n_found += found == ADOPT_EXPIRED;
	}
	return n_found;
}

static void
test_frames_of_dead_cookies_are_told(void)
{
	static const unsigned int told[] = { 2, 3, ADOPT_EPOCHS_DEAD };

	loaded_set_time(&program, NOW_S, false);
	for (unsigned int i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		sleep(2); /* so that there are tokens for all */
		CU_ASSERT(n_expired(told[i], 500) > 100);
	}
	sleep(2);
	CU_ASSERT_EQUAL(n_expired(ADOPT_EPOCHS_DEAD + 2, 500), 0);
}

/* Data that proves nothing costs no more than so many looks a second. */
static void
test_frames_of_dead_cookies_are_limited(void)
{
	struct timespec begin, end;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	clock_gettime(CLOCK_BOOTTIME, &begin);
	unsigned int n = n_expired(2, 12000);
	clock_gettime(CLOCK_BOOTTIME, &end);
	unsigned int seconds = (unsigned int)(end.tv_sec - begin.tv_sec) + 2;
	printf("%u of 12000 in less than %u s ", n, seconds);
	CU_ASSERT(n <= seconds * 1000);
}

/* What comes back of it does so bit by bit: who asks at any time finds some of it. */
static void
test_frames_of_dead_cookies_are_told_all_the_time(void)
{
	for (unsigned int i = 0; i < 20; i++)
		n_expired(2, 500);
	for (unsigned int i = 0; i < 20; i++) {
		usleep(20000);
		CU_ASSERT(n_expired(2, 100) > 0);
	}
}

/* Writes the same services, by address, again and again, as each new agent does while the program
 * of the one before is at work. */
static bool is_over;
static void *
write_services(void *conf)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		settings_write(program.skeleton, conf);
	return NULL;
}

static void
test_frames_find_services_while_they_are_written(void)
{
	static char text[65536];
	uint8_t frame[FRAME_SIZE];
	uint64_t state = 31;
	pthread_t writer;
	struct conf_error err;
	unsigned int n_missed = 0;

	size_t len = (size_t)snprintf(text, sizeof(text),
	                              "interfaces: [lo]\nsecret: {file: unused}\n"
	                              "services:\n  - name: some\n"
	                              "    ports: all\n    addresses: [192.0.2.1");
	for (unsigned int i = 1; i < 1000; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ", \"2001:db8:2::%x\"", i);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "]\n");
	struct agent_conf *conf = agent_conf_parse(text, len, "test", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	CU_ASSERT_EQUAL_FATAL(settings_write(program.skeleton, conf), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_services, conf), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		len = build(frame, &state, &rings[0]);
		n_missed += run_frame(frame, len) == -1;
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	CU_ASSERT_EQUAL(n_missed, 0);
	CU_ASSERT_EQUAL(settings_write(program.skeleton, program.conf), 0);
	agent_conf_free(conf);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_frames_that_prove_are_taken),
		CHECK_TEST(test_frames_have_the_engines_verdict),
		CHECK_TEST(test_frames_of_either_secret_are_taken),
		CHECK_TEST(test_frames_of_either_secret_at_the_lead),
		CHECK_TEST(test_frames_find_services_while_they_are_written),
		CHECK_TEST(test_frames_of_dead_cookies_are_told),
		CHECK_TEST(test_frames_of_dead_cookies_are_limited),
		CHECK_TEST(test_frames_of_dead_cookies_are_told_all_the_time),
		CU_TEST_INFO_NULL,
	};
	uint8_t secret[MASTER_SECRET_SIZE];

	loaded_begin(&program);
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int j = 0; j < MASTER_SECRET_SIZE; j++)
			secret[j] = (uint8_t)(LOADED_SECRET(i) + j);
		secret_init(&rings[i], secret, NOW_S);
	}
	loaded_set_time(&program, NOW_S, false);
	int rc = check_run("adopt_packets", tests);
	loaded_end(&program);
	return rc;
}
