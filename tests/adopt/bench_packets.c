/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a segment costs in the program, by case: nanoseconds each, as BPF_PROG_TEST_RUN measures
 * many runs on the same one. Before that, how long the kernel takes to verify and load it all,
 * and how many instructions the verifier looks at in what segments meet. One JSON object on
 * standard output.
 *
 *   bench_packets [RUNS]
 *
 * A segment that proves a cookie is refused by the kernel at the end, since no interface has
 * received it: what the kernel itself does with an adopted one is not in the figure.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "adopt.skel.h"
#include "cookie.h"
#include "frame.h"
#include "loaded.h"
#include "segment.h"

#define NOW_S 1800000010u
#define ROUNDS 5u
#define LOADS 3u

static struct program program;
static struct secret_ring ring;

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_later;

static void
print_row(const char *name, uint64_t value)
{
	printf("%s\"%s\": %llu", is_later ? ", " : "{", name, (unsigned long long)value);
	is_later = true;
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	/* Of the CPU: verifier and compiler work in the caller's name. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Median of some rounds. Each loads all programs of the object, as the agent does at its start. */
static void
measure_load(void)
{
	uint32_t ms[LOADS], size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { 0 };
	struct conf_error err;

	for (unsigned int i = 0; i < LOADS; i++) {
		struct program again;
		uint64_t begin = now_ms();
		if (program_load(&again, program.conf, false, &err) != 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(EXIT_FAILURE);
		}
		ms[i] = (uint32_t)(now_ms() - begin);
		program_fini(&again, false);
	}
	qsort(ms, LOADS, sizeof(ms[0]), by_size);
	print_row("load, ms", ms[LOADS / 2]);
	int fd = bpf_program__fd(program.skeleton->progs.synfront_adopt);
	if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
		print_row("verified instructions", info.verified_insns);
}

/* Median of some rounds, and that the segment ended where it should. */
static void
measure(const char *name, const struct frame_spec *spec, int counter, uint32_t runs)
{
	uint8_t frame[FRAME_SIZE], made[FRAME_SIZE];
	uint32_t ns[ROUNDS];
	struct adopt_counters before, after;
	size_t len = frame_build(made, spec);

	loaded_address(frame, made, len);
	/* Cookies are of this time, however long all before has taken. */
	loaded_set_clock(&program, NOW_S);
	program_counters(&program, &before);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		            .data_size_in = (uint32_t)len, .repeat = (int)runs);
		int fd = bpf_program__fd(program.skeleton->progs.synfront_adopt);
		if (bpf_prog_test_run_opts(fd, &opts) != 0) {
			perror(name);
			exit(EXIT_FAILURE);
		}
		ns[i] = opts.duration;
	}
	program_counters(&program, &after);
	if (counter >= 0 && after.n[counter] - before.n[counter] != (uint64_t)runs * ROUNDS) {
		fprintf(stderr, "%s: ended elsewhere\n", name);
		exit(EXIT_FAILURE);
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_size);
	print_row(name, ns[ROUNDS / 2]);
}

/* A client who proves a cookie, or with `wrong` does not. */
static struct frame_spec
proving(bool is_v4, bool wrong, const char *data)
{
	struct frame_spec spec = is_v4 ? frame_spec_v4() : frame_spec_v6();
	struct flow flow = { spec.src, spec.dst, htons(spec.src_port), htons(spec.dst_port) };
	struct cookie_job job = { .flow = &flow,
		                  .irs = 1000,
		                  .profile = 24,
		                  .parity = NOW_S / EPOCH_S & 1,
		                  .is_v4 = is_v4 };

	cookie_make(secret_current(&ring), &job, 1);
	spec.flags = TCP_ACK;
	spec.seq = job.irs + 1;
	spec.ack = job.iss + (wrong ? 65 : 1);
	spec.payload = (const uint8_t *)data;
	spec.payload_len = strlen(data);
	return spec;
}

static void
loopback_up(int fd)
{
	struct ifreq request = { .ifr_name = "lo" };

	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		abort();
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		abort();
}

/* A segment of a connection that there is. */
static struct frame_spec
connected(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons(80),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct frame_spec spec = frame_spec_v4();
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, off = 0, queue = TCP_RECV_QUEUE;
	socklen_t size = sizeof(to);
	uint32_t rcv_nxt = 0;

	loopback_up(fd);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&to, &size) != 0)
		abort();
	size = sizeof(rcv_nxt);
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) != 0 ||
	    getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &rcv_nxt, &size) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) != 0)
		abort();
	spec.src = spec.dst = ip_addr_v4(htonl(INADDR_LOOPBACK));
	spec.src_port = ntohs(to.sin_port);
	spec.flags = TCP_ACK;
	spec.ack = rcv_nxt;
	return spec;
}

/* From here on, so that where a segment goes is looked up. */
static void
forward(void)
{
	static const char *const paths[] = { "/proc/sys/net/ipv4/ip_forward",
		                             "/proc/sys/net/ipv6/conf/all/forwarding" };

	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		FILE *file = fopen(paths[i], "w");
		if (file == NULL || fputs("1", file) == EOF || fclose(file) != 0)
			abort();
	}
}

int
main(int argc, char **argv)
{
	uint32_t runs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 200000;
	uint8_t secret[MASTER_SECRET_SIZE];
	struct frame_spec spec = frame_spec_v4();

	loaded_begin(&program);
	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		secret[i] = (uint8_t)i;
	secret_init(&ring, secret, NOW_S);
	loaded_set_time(&program, NOW_S, false);
	measure_load();

	spec.proto = IPPROTO_UDP;
	measure("not TCP", &spec, -1, runs);
	spec = frame_spec_v4();
	measure("SYN", &spec, ADOPT_HANDSHAKE, runs);
	spec = connected();
	measure("of a connection", &spec, ADOPT_CONNECTED, runs);
	spec = proving(true, true, "data");
	measure("proves nothing, IPv4, one try", &spec, ADOPT_UNPROVEN, runs);
	spec = proving(true, true, "");
	measure("proves nothing, IPv4, two tries", &spec, ADOPT_UNPROVEN, runs);
	spec = proving(false, true, "data");
	measure("proves nothing, IPv6, one try", &spec, ADOPT_UNPROVEN, runs);
	spec = proving(false, true, "");
	measure("proves nothing, IPv6, two tries", &spec, ADOPT_UNPROVEN, runs);
	spec = proving(true, false, "");
	measure("proves a cookie, IPv4", &spec, ADOPT_REFUSED, runs);
	spec = proving(false, false, "");
	measure("proves a cookie, IPv6", &spec, ADOPT_REFUSED, runs);
	forward();
	spec = proving(true, true, "data");
	measure("proves nothing, IPv4, one try, this machine forwards", &spec, ADOPT_UNPROVEN,
	        runs);
	spec = proving(false, true, "data");
	measure("proves nothing, IPv6, one try, this machine forwards", &spec, ADOPT_UNPROVEN,
	        runs);
	puts("}");
	loaded_end(&program);
	return 0;
}
