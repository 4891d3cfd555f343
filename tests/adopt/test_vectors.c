/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies as the program in the kernel makes them: those of the table that lib/cookie and
 * scripts/cookie-figures are held against, and random ones as lib/cookie makes them. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "adopt.skel.h"
#include "check.h"
#include "cookie.h"
#include "loaded.h"

#define FIRST_EPOCH 60000000u /* of the table */
#define N_RANDOM 2000u

static struct program program;

static struct ip_addr
addr_of(const char *text)
{
	struct ip_addr addr;
	uint32_t v4_be;

	if (inet_pton(AF_INET, text, &v4_be) == 1)
		return ip_addr_v4(v4_be);
	if (inet_pton(AF_INET6, text, addr.bytes) != 1)
		abort();
	return addr;
}

static uint32_t
made_in_kernel(const struct flow *flow, uint32_t irs, uint32_t profile, uint32_t epoch)
{
	struct adopt_vector v = { .client_port_be = flow->client_port_be,
		                  .server_port_be = flow->server_port_be,
		                  .irs = irs,
		                  .epoch = epoch,
		                  .profile = profile,
		                  .is_v4 = ip_addr_is_v4(&flow->client) };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &v, .ctx_size_in = sizeof(v));

	memcpy(v.client_be, &flow->client, 16);
	memcpy(v.server_be, &flow->server, 16);
	int fd = bpf_program__fd(program.skeleton->progs.synfront_vector);
	CU_ASSERT_EQUAL_FATAL(bpf_prog_test_run_opts(fd, &opts), 0);
	CU_ASSERT_EQUAL(v.found, 1);
	return v.iss;
}

static void
test_cookie_in_kernel_gives_the_published_values(void)
{
	static const struct {
		const char *client;
		uint16_t client_port;
		const char *server;
		uint16_t server_port;
		uint32_t irs, profile, epoch, iss;
	} published[] = {
#define VECTOR(...) { __VA_ARGS__ },
#include "cookie_vectors.def"
#undef VECTOR
	};

	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
		struct flow flow = { addr_of(published[i].client), addr_of(published[i].server),
			             htons(published[i].client_port),
			             htons(published[i].server_port) };
		CU_ASSERT_EQUAL(made_in_kernel(&flow, published[i].irs, published[i].profile,
		                               published[i].epoch),
		                published[i].iss);
	}
}

static void
test_cookie_in_kernel_equals_the_engines(void)
{
	static struct secret_ring ring;
	uint8_t secret[MASTER_SECRET_SIZE];
	uint64_t state = 1;

	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++)
		secret[i] = (uint8_t)i;
	for (unsigned int i = 0; i < N_RANDOM; i++) {
		uint32_t epoch = FIRST_EPOCH + (uint32_t)(check_random(&state) >> 30) % 60;
		struct flow flow;
		uint64_t words[5];

		for (unsigned int j = 0; j < 5; j++)
			words[j] = check_random(&state);
		memcpy(&flow, words, sizeof(flow));
		if (i % 2 == 0) {
			flow.client = ip_addr_v4(flow.client.words_be[0]);
			flow.server = ip_addr_v4(flow.server.words_be[0]);
		}
		struct cookie_job job = { .flow = &flow,
			                  .irs = (uint32_t)check_random(&state),
			                  .profile = check_random(&state) >> 40 & 31,
			                  .parity = epoch & 1,
			                  .is_v4 = i % 2 == 0 };
		secret_init(&ring, secret, (uint64_t)epoch * EPOCH_S);
		cookie_make(secret_current(&ring), &job, 1);
		CU_ASSERT_EQUAL(made_in_kernel(&flow, job.irs, job.profile, epoch), job.iss);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_cookie_in_kernel_gives_the_published_values),
		CHECK_TEST(test_cookie_in_kernel_equals_the_engines),
		CU_TEST_INFO_NULL,
	};

	loaded_begin(&program);
	loaded_set_time(&program, (uint64_t)FIRST_EPOCH * EPOCH_S, false);
	int rc = check_run("adopt_vectors", tests);
	loaded_end(&program);
	return rc;
}
