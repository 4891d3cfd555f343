/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that is written anew: it is there as a whole, or as it was. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "fresh_file.h"
#include "written.h"

static char folder[] = "/tmp/synfront-fresh-XXXXXX";
static char path[64], beside[64];

static const enum fresh_file_need needs[] = { FRESH_FILE_WHOLE, FRESH_FILE_KEPT };

static int
replace(const char *words, enum fresh_file_need need)
{
	struct fresh_file file;

	CU_ASSERT_EQUAL_FATAL(fresh_file_begin(&file, path), 0);
	fputs(words, file.out);
	return fresh_file_end(&file, need);
}

static void
begin(void)
{
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(replace("old\n", FRESH_FILE_WHOLE), 0);
}

static void
test_it_takes_the_place_when_it_ends(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct fresh_file file;
		begin();
		CU_ASSERT_EQUAL_FATAL(fresh_file_begin(&file, path), 0);
		fputs("fresh\n", file.out);
		fflush(file.out);
		CU_ASSERT_STRING_EQUAL(text_of(path), "old\n");
		CU_ASSERT_STRING_EQUAL(text_of(beside), "fresh\n");
		CU_ASSERT_EQUAL(fresh_file_end(&file, needs[i]), 0);
		CU_ASSERT_STRING_EQUAL(text_of(path), "fresh\n");
		CU_ASSERT_NOT_EQUAL(access(beside, F_OK), 0);
	}
}

/* What stands beside it goes, and what that points to stays as it is. */
static void
test_what_stands_beside_it_is_not_followed(void)
{
	static char target[64];

	snprintf(target, sizeof(target), "%s/target", folder);
	begin();
	FILE *out = fopen(target, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs("another's\n", out);
	fclose(out);
	CU_ASSERT_EQUAL_FATAL(symlink(target, beside), 0);
	CU_ASSERT_EQUAL(replace("fresh\n", FRESH_FILE_WHOLE), 0);
	CU_ASSERT_STRING_EQUAL(text_of(target), "another's\n");
	CU_ASSERT_STRING_EQUAL(text_of(path), "fresh\n");
	unlink(target);
}

/* The disk ends, by a limit: at a word in the middle, or when the stream's buffer is written out. */
static void
test_what_cannot_be_written_changes_nothing(void)
{
	struct rlimit was, limit;
	static char much[100000];

	memset(much, 'x', sizeof(much) - 1);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = was;
	signal(SIGXFSZ, SIG_IGN);
	for (unsigned int i = 0; i < 4; i++) {
		begin();
		limit.rlim_cur = 5;
		setrlimit(RLIMIT_FSIZE, &limit);
		errno = 0;
		CU_ASSERT_EQUAL(replace(i < 2 ? "fresh\n" : much, needs[i % 2]), -1);
		CU_ASSERT_NOT_EQUAL(errno, 0);
		setrlimit(RLIMIT_FSIZE, &was);
		CU_ASSERT_STRING_EQUAL(text_of(path), "old\n");
		CU_ASSERT_NOT_EQUAL(access(beside, F_OK), 0);
	}
}

static void
test_what_cannot_take_the_place_is_not_left(void)
{
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	CU_ASSERT_EQUAL(replace("fresh\n", FRESH_FILE_KEPT), -1);
	CU_ASSERT_EQUAL(errno, EISDIR);
	CU_ASSERT_NOT_EQUAL(access(beside, F_OK), 0);
	rmdir(path);
}

static void
test_what_cannot_be_made_is_said(void)
{
	static char far[PATH_MAX + 8];
	struct fresh_file file;

	memset(far, 'x', PATH_MAX - 3);
	CU_ASSERT_EQUAL(fresh_file_begin(&file, far), -1);
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
	CU_ASSERT_EQUAL(fresh_file_begin(&file, "/nowhere/at/all"), -1);
	CU_ASSERT_EQUAL(errno, ENOENT);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_it_takes_the_place_when_it_ends),
		CHECK_TEST(test_what_stands_beside_it_is_not_followed),
		CHECK_TEST(test_what_cannot_be_written_changes_nothing),
		CHECK_TEST(test_what_cannot_take_the_place_is_not_left),
		CHECK_TEST(test_what_cannot_be_made_is_said),
		CU_TEST_INFO_NULL,
	};

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(beside, sizeof(beside), "%s/file.new", folder);
	int rc = check_run("fresh_file", tests);
	unlink(path);
	rmdir(folder);
	return rc;
}
