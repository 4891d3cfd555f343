/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs say of CPUs that lack something. */
#include "check.h"
#include "cpu_guard.h"

const int cpu_guard_status = EXIT_FAILURE;

/* As Intel's first processors with AES instructions say (Westmere). */
#define WESTMERE 0x029ee3ffu
#define LAHF 1u

static char text[256];

static size_t
complaint(uint32_t leaf_1, uint32_t leaf_80000001, size_t size)
{
	const struct cpu_words words = { leaf_1, leaf_80000001 };

	memset(text, 'x', sizeof(text));
	return cpu_guard_complaint(&words, "some", text, size);
}

static void
test_cpu_whole_has_no_complaint(void)
{
	CU_ASSERT_EQUAL(complaint(WESTMERE, LAHF, sizeof(text)), 0);
	CU_ASSERT_EQUAL(complaint(UINT32_MAX, UINT32_MAX, sizeof(text)), 0);
}

/* Each bit of CPUID, by the manuals of Intel and AMD. */
static void
test_cpu_without_one_names_it(void)
{
	static const struct {
		uint32_t leaf_1, leaf_80000001;
		const char *name;
	} rows[] = {
		{ 1u << 0, 0, " pni " },     { 1u << 9, 0, " ssse3 " },
		{ 1u << 13, 0, " cx16 " },   { 1u << 19, 0, " sse4_1 " },
		{ 1u << 20, 0, " sse4_2 " }, { 1u << 23, 0, " popcnt " },
		{ 1u << 25, 0, " aes " },    { 0, 1u << 0, " lahf_lm " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = complaint(WESTMERE & ~rows[i].leaf_1, LAHF & ~rows[i].leaf_80000001,
		                       256);

		CU_ASSERT_EQUAL(len, strlen(text));
		CU_ASSERT_PTR_EQUAL(strstr(text, "some: this CPU lacks"), text);
		CU_ASSERT_PTR_EQUAL(strstr(text, rows[i].name), text + 20);
		CU_ASSERT_PTR_EQUAL(strstr(text, "(named"), text + 20 + strlen(rows[i].name));
		CU_ASSERT_EQUAL(text[len - 1], '\n');
	}
}

static void
test_cpu_without_all_names_all(void)
{
	size_t len = complaint(0, 0, sizeof(text));

	CU_ASSERT_EQUAL(len, strlen(text));
	CU_ASSERT_EQUAL(text[len - 1], '\n');
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "lacks pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm aes (named"));
}

static void
test_cpu_complaint_is_cut(void)
{
	CU_ASSERT_EQUAL(complaint(0, 0, 25), 24);
	CU_ASSERT_STRING_EQUAL(text, "some: this CPU lacks pni");
	CU_ASSERT_EQUAL(text[25], 'x');
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_cpu_whole_has_no_complaint),
		CHECK_TEST(test_cpu_without_one_names_it),
		CHECK_TEST(test_cpu_without_all_names_all),
		CHECK_TEST(test_cpu_complaint_is_cut),
		CU_TEST_INFO_NULL,
	};

	return check_run("cpu_guard", tests);
}
