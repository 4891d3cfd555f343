/* SPDX-License-Identifier: BSD-3-Clause */
#include "loaded.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "adopt.skel.h"
#include "checks.h"
#include "frame.h"
#include "settings.h"

static const char text[] = "interfaces: [lo]\n"
			   "services: [{name: all, ports: all}]\n"
			   "secret: {file: unused}\n"
			   "instance: synfront-adopt-test\n";

static void
skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	exit(LOADED_SKIP);
}

static void
listen_here(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 16) != 0)
		skip(strerror(errno));
}

void
loaded_begin(struct program *program)
{
	static struct findings findings;
	struct conf_error err;

	checks_kernel(&findings, CHECKS_BTF);
	if (findings.n != 0)
		skip(findings.list[0].text);
	if (unshare(CLONE_NEWNET) != 0)
		skip("no network namespace can be made here");
	listen_here();
	struct agent_conf *conf = agent_conf_parse(text, sizeof(text) - 1, "test", &err);
	if (conf == NULL || program_load(program, conf, false, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(EXIT_FAILURE);
	}
}

void
loaded_set_clock(struct program *program, uint64_t wall_s)
{
	struct adopt_clock clock;
	struct timespec t;
	uint32_t zero = 0;

	clock_gettime(CLOCK_BOOTTIME, &t);
	clock.wall_less_boot_ns = wall_s * 1000000000 -
	                          ((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
	if (bpf_map_update_elem(bpf_map__fd(program->skeleton->maps.clock_map), &zero, &clock,
	                        BPF_ANY) != 0)
		abort();
}

void
loaded_set_time(struct program *program, uint64_t wall_s, bool two)
{
	uint8_t secret[ADOPT_SECRETS][32];
	const uint8_t *const secrets[] = { secret[0], two ? secret[1] : NULL };

	for (unsigned int i = 0; i < ADOPT_SECRETS; i++)
		for (unsigned int j = 0; j < sizeof(secret[i]); j++)
			secret[i][j] = (uint8_t)(LOADED_SECRET(i) + j);
	loaded_set_clock(program, wall_s);
	if (settings_write_keys(program->skeleton, secrets, wall_s, true) != 0)
		abort();
}

void
loaded_address(uint8_t *here, const uint8_t *frame, size_t len)
{
	memmove(here, frame, len);
	memset(here, 0, 6);
}

int
loaded_run_as_it_is(struct program *program, const uint8_t *frame, size_t len)
{
	static const int besides[] = { ADOPT_OPENED, ADOPT_RETRIED, ADOPT_PROBE, ADOPT_MSS_RAISED };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len);
	struct adopt_counters before, after;
	int found = -1;

	program_counters(program, &before);
	int rc = bpf_prog_test_run_opts(bpf_program__fd(program->skeleton->progs.synfront_adopt),
	                                &opts);
	if (rc != 0) {
		fprintf(stderr, "frame of %zu bytes: %s\n", len, strerror(-rc));
		abort();
	}
	program_counters(program, &after);
	for (unsigned int i = 0; i < sizeof(besides) / sizeof(besides[0]); i++)
		after.n[besides[i]] = before.n[besides[i]];
	for (int i = 0; i < ADOPT_COUNTERS; i++)
		if (after.n[i] != before.n[i])
			found = found == -1 ? i : ADOPT_COUNTERS;
	return found;
}

int
loaded_run(struct program *program, const uint8_t *frame, size_t len)
{
	uint8_t here[FRAME_SIZE];

	loaded_address(here, frame, len);
	return loaded_run_as_it_is(program, here, len);
}

void
loaded_end(struct program *program)
{
	struct agent_conf *conf = (struct agent_conf *)program->conf;

	program_fini(program, false);
	agent_conf_free(conf);
}
