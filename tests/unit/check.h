/* SPDX-License-Identifier: BSD-3-Clause */
/* Running a table of CUnit tests from main(), and repeatable random numbers. */
#ifndef SYNFRONT_CHECK_H
#define SYNFRONT_CHECK_H

#include <CUnit/Basic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line of a table of tests; the table ends with CU_TEST_INFO_NULL. */
#define CHECK_TEST(function) { #function, function }

/* Run suites, the last of which is CU_SUITE_INFO_NULL; the exit status for main(). */
static inline int
check_run_suites(CU_SuiteInfo *suites)
{
	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return EXIT_FAILURE;
	/* Who waits for the first failure need not wait for the end. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_ErrorCode error = CU_basic_run_tests();
	unsigned int n_failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return error == CUE_SUCCESS && n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Run `tests` as one suite. */
static inline int
check_run(const char *name, CU_TestInfo *tests)
{
	CU_SuiteInfo suites[] = { { .pName = name, .pTests = tests }, CU_SUITE_INFO_NULL };

	return check_run_suites(suites);
}

/* xorshift64 (Marsaglia, 2003); `state` is any number but zero. */
static inline uint64_t
check_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A heap copy of exactly `len` bytes, so that a sanitizer sees a read past it. */
static inline uint8_t *
check_copy(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	return copy;
}

#endif
