/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments at ports that a connection has or has had: over a live one, with a cookie that is spent,
 * and those that would draw a RST which nobody has asked for.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "adopt.skel.h"
#include "check.h"
#include "cookie.h"
#include "frame.h"
#include "loaded.h"
#include "segment.h"

#define NOW_S 1800000010u
#define LOOKS_A_SECOND 1000u /* at segments of live connections, and so many RSTs */
#define N_FRAMES 8000u

static struct program program;
static struct secret_ring ring;

static int
run(const struct frame_spec *spec)
{
	uint8_t frame[FRAME_SIZE];

	return loaded_run(&program, frame, frame_build(frame, spec));
}

/* The cookie that the segment brings back, made for this ISS of the client. */
static void
bring_cookie(struct frame_spec *spec, uint32_t irs)
{
	struct flow flow = { spec->src, spec->dst, htons(spec->src_port), htons(spec->dst_port) };
	struct cookie_job job = { .flow = &flow,
		                  .irs = irs,
		                  .profile = 24,
		                  .parity = NOW_S / EPOCH_S & 1,
		                  .is_v4 = true };

	cookie_make(secret_current(&ring), &job, 1);
	spec->ack = job.iss + 1;
}

static void
loopback_up(int fd)
{
	struct ifreq request = { .ifr_name = "lo" };

	CU_ASSERT_EQUAL_FATAL(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	request.ifr_flags |= IFF_UP;
	CU_ASSERT_EQUAL_FATAL(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

/* A connection to port 80, and a segment with its addresses and ports. */
static int
connect_here(struct frame_spec *spec)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons(80),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(to);

	CU_ASSERT_FATAL(fd >= 0);
	loopback_up(fd);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&to, &size), 0);
	*spec = frame_spec_v4();
	spec->src = spec->dst = ip_addr_v4(htonl(INADDR_LOOPBACK));
	spec->src_port = ntohs(to.sin_port);
	spec->flags = TCP_ACK;
	return fd;
}

/* Who guesses a cookie over a live connection has so many tries a second, whatever the guess. */
static void
test_again_guesses_over_a_live_connection_are_limited(void)
{
	struct timespec begin, end;
	uint64_t state = 41;
	struct frame_spec spec;
	unsigned int n_looked = 0, n_untried = 0;
	int fd = connect_here(&spec);

	clock_gettime(CLOCK_BOOTTIME, &begin);
	for (unsigned int i = 0; i < N_FRAMES; i++) {
		spec.ack = (uint32_t)check_random(&state);
		int found = run(&spec);
		n_looked += found == ADOPT_CONNECTED;
		n_untried += found == ADOPT_TAKEOVER_UNTRIED;
	}
	clock_gettime(CLOCK_BOOTTIME, &end);
	unsigned int seconds = (unsigned int)(end.tv_sec - begin.tv_sec) + 2;
	printf("%u looked at, %u not ", n_looked, n_untried);
	CU_ASSERT_EQUAL(n_looked + n_untried, N_FRAMES);
	CU_ASSERT(n_looked >= LOOKS_A_SECOND);
	CU_ASSERT(n_looked <= seconds * LOOKS_A_SECOND);
	close(fd);
}

/* A real client over its old connection, after such a flood: when a moment has passed. */
static void
test_again_over_a_live_connection(void)
{
	struct frame_spec spec;
	int fd = connect_here(&spec), found;

	usleep(100000);
	spec.seq = 1001;
	bring_cookie(&spec, spec.seq - 1);
	found = run(&spec);
	/* The kernel may have no memory for the clone. */
	CU_ASSERT(found == ADOPT_TAKEOVER_CONNECTED || found == ADOPT_REFUSED);
	/* What belongs to the connection takes no part in it. */
	close(fd);
}

/* A probe would be a second guess in the same segment. */
static void
test_again_no_probe_ends_a_live_connection(void)
{
	struct frame_spec spec;
	int fd = connect_here(&spec);

	usleep(100000);
	spec.seq = 1000;
	bring_cookie(&spec, spec.seq);
	CU_ASSERT_EQUAL(run(&spec), ADOPT_CONNECTED);
	close(fd);
}

/* The kernel has opened a connection from this cookie. */
static void
mark_opened(const struct frame_spec *spec)
{
	struct adopt_spent_key key = { .client_port_be = htons(spec->src_port),
		                       .server_port_be = htons(spec->dst_port),
		                       .iss = spec->ack - 1 };
	uint32_t one = 1;

	memcpy(key.client_be, &spec->src, sizeof(key.client_be));
	memcpy(key.server_be, &spec->dst, sizeof(key.server_be));
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(bpf_map__fd(program.skeleton->maps.spent_map),
	                                          &key, &one, BPF_ANY),
	                      0);
}

/* Data and FIN of a client who believes in a connection that will never be draw the kernel's RST,
 * so many a second; what has neither is dropped. */
static void
test_again_data_of_a_spent_cookie_is_told(void)
{
	struct frame_spec spec = frame_spec_v4();
	unsigned int n_told = 0, n_dropped = 0;

	spec.flags = TCP_ACK;
	spec.seq = 1001;
	bring_cookie(&spec, spec.seq - 1);
	mark_opened(&spec);
	CU_ASSERT_EQUAL(run(&spec), ADOPT_REPLAYED);
	spec.flags = TCP_ACK | TCP_FIN;
	CU_ASSERT_EQUAL(run(&spec), ADOPT_SPENT_DATA);
	spec.flags = TCP_ACK;
	spec.payload = (const uint8_t *)"GET";
	spec.payload_len = 3;
	CU_ASSERT_EQUAL(run(&spec), ADOPT_SPENT_DATA);
	for (unsigned int i = 0; i < N_FRAMES; i++) {
		int found = run(&spec);
		n_told += found == ADOPT_SPENT_DATA;
		n_dropped += found == ADOPT_REPLAYED;
	}
	CU_ASSERT_EQUAL(n_told + n_dropped, N_FRAMES);
	CU_ASSERT(n_told >= LOOKS_A_SECOND / 2 && n_dropped > 0);
}

/* Who has many good cookies, and brings them so that the kernel opens nothing (here no interface
 * has received them), has no cookie forgotten that is spent. */
static void
test_again_what_opens_nothing_pushes_out_nothing(void)
{
	struct frame_spec spent = frame_spec_v4(), spec = spent;
	unsigned int n_tried = 0, n = 2 * program.conf->spent;

	spent.flags = spec.flags = TCP_ACK;
	spent.seq = 7001;
	bring_cookie(&spent, spent.seq - 1);
	mark_opened(&spent);
	for (unsigned int i = 0; i < n; i++) {
		spec.src_port = (uint16_t)(1024 + i % 60000);
		spec.seq = 100000 + i;
		bring_cookie(&spec, spec.seq - 1);
		n_tried += run(&spec) == ADOPT_REFUSED;
	}
	CU_ASSERT_EQUAL(n_tried, n);
	CU_ASSERT_EQUAL(run(&spent), ADOPT_REPLAYED);
}

/* A listener would answer a SYN-ACK with a RST to whoever it names. Where nobody listens, and in all
 * that has RST, it is the kernel's affair. */
static void
test_again_syn_acks_at_a_listener_are_dropped(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct frame_spec spec = i == 0 ? frame_spec_v4() : frame_spec_v6();

		spec.flags = TCP_SYN | TCP_ACK;
		CU_ASSERT_EQUAL(run(&spec), ADOPT_SYN_ACK);
		spec.flags = TCP_SYN | TCP_ACK | TCP_FIN | TCP_PSH;
		CU_ASSERT_EQUAL(run(&spec), ADOPT_SYN_ACK);
		spec.flags = TCP_SYN | TCP_ACK | TCP_RST;
		CU_ASSERT_EQUAL(run(&spec), ADOPT_HANDSHAKE);
		spec.flags = TCP_SYN;
		CU_ASSERT_EQUAL(run(&spec), ADOPT_HANDSHAKE);
		spec.flags = TCP_SYN | TCP_ACK;
		spec.dst_port = 81;
		CU_ASSERT_EQUAL(run(&spec), ADOPT_HANDSHAKE);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_again_guesses_over_a_live_connection_are_limited),
		CHECK_TEST(test_again_over_a_live_connection),
		CHECK_TEST(test_again_no_probe_ends_a_live_connection),
		CHECK_TEST(test_again_data_of_a_spent_cookie_is_told),
		CHECK_TEST(test_again_what_opens_nothing_pushes_out_nothing),
		CHECK_TEST(test_again_syn_acks_at_a_listener_are_dropped),
		CU_TEST_INFO_NULL,
	};
	uint8_t secret[MASTER_SECRET_SIZE];
	cpu_set_t one;

	/* What is limited is so on each CPU. */
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	loaded_begin(&program);
	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		secret[i] = (uint8_t)(LOADED_SECRET(0) + i);
	secret_init(&ring, secret, NOW_S);
	loaded_set_time(&program, NOW_S, false);
	int rc = check_run("adopt_again", tests);
	loaded_end(&program);
	return rc;
}
