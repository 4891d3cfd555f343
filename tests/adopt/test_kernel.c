/* SPDX-License-Identifier: BSD-3-Clause */
/* Which kernels are refused, and the tables that the one in use encrypts by. */
#include <bpf/btf.h>
#include <unistd.h>

#include "aes_tables.h"
#include "check.h"
#include "checks.h"
#include "secret.h"

static struct findings findings;

/* Types of a kernel that has this one function. */
static void
check_kernel_with(const char *function)
{
	char path[] = "/tmp/synfront-btf-XXXXXX";
	int fd = mkstemp(path);
	struct btf *btf = btf__new_empty();
	uint32_t size;

	int type = btf__add_func_proto(btf, btf__add_int(btf, "int", 4, BTF_INT_SIGNED));
	btf__add_func(btf, function, BTF_FUNC_GLOBAL, type);
	const void *raw = btf__raw_data(btf, &size);
	CU_ASSERT_EQUAL(write(fd, raw, size), (ssize_t)size);
	close(fd);
	memset(&findings, 0, sizeof(findings));
	checks_kernel(&findings, path);
	unlink(path);
	btf__free(btf);
}

static bool
complains(const char *text)
{
	for (unsigned int i = 0; i < findings.n; i++)
		if (strstr(findings.list[i].text, text) != NULL)
			return findings.list[i].severity == FINDING_ERROR;
	return false;
}

static void
test_kernel_without_the_function_is_refused_by_name(void)
{
	check_kernel_with("tcp_v4_rcv");
	CU_ASSERT(complains("has no function bpf_sk_assign_tcp_reqsk()"));
	CU_ASSERT(complains("Linux 6.9 or newer"));
	check_kernel_with("bpf_sk_assign_tcp_reqsk");
	CU_ASSERT(!complains("bpf_sk_assign_tcp_reqsk"));
}

static void
test_kernel_without_types_is_refused(void)
{
	memset(&findings, 0, sizeof(findings));
	checks_kernel(&findings, "/nonexistent/btf");
	CU_ASSERT(complains("CONFIG_DEBUG_INFO_BTF"));
}

static uint32_t table[4][256];
static uint8_t sbox[256];

/* As aes.bpf.h does it. */
static void
encrypt(const struct aes_key *key, const uint8_t in[16], uint8_t out[16])
{
	uint32_t k[44], w[4], v[4];

	memcpy(k, key->round, sizeof(k));
	memcpy(w, in, 16);
	for (unsigned int i = 0; i < 4; i++)
		w[i] ^= k[i];
	for (unsigned int round = 1; round < 10; round++) {
		for (unsigned int i = 0; i < 4; i++)
			v[i] = table[0][w[i] & 255] ^ table[1][w[(i + 1) & 3] >> 8 & 255] ^
			       table[2][w[(i + 2) & 3] >> 16 & 255] ^
			       table[3][w[(i + 3) & 3] >> 24] ^ k[4 * round + i];
		memcpy(w, v, sizeof(w));
	}
	for (unsigned int i = 0; i < 4; i++)
		v[i] = ((uint32_t)sbox[w[i] & 255] |
		        (uint32_t)sbox[w[(i + 1) & 3] >> 8 & 255] << 8 |
		        (uint32_t)sbox[w[(i + 2) & 3] >> 16 & 255] << 16 |
		        (uint32_t)sbox[w[(i + 3) & 3] >> 24] << 24) ^
		       k[40 + i];
	memcpy(out, v, 16);
}

static void
test_tables_encrypt_as_aes(void)
{
	uint64_t state = 7;

	aes_tables_fill(table, sbox);
	CU_ASSERT_EQUAL(sbox[0x53], 0xed); /* FIPS-197, 5.1.1 */
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t raw[4] = { check_random(&state), check_random(&state),
			            check_random(&state), check_random(&state) };
		uint8_t ours[16], theirs[16];
		struct aes_key key;

		aes_expand(&key, (const uint8_t *)raw);
		encrypt(&key, (const uint8_t *)&raw[2], ours);
		aes_encrypt(&key, (const uint8_t *)&raw[2], theirs);
		CU_ASSERT_EQUAL(memcmp(ours, theirs, 16), 0);
	}
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_kernel_without_the_function_is_refused_by_name),
		CHECK_TEST(test_kernel_without_types_is_refused),
		CHECK_TEST(test_tables_encrypt_as_aes),
		CU_TEST_INFO_NULL,
	};

	return check_run("adopt_kernel", tests);
}
