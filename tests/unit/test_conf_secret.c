/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of the master secret: what is taken, and each way in which it can be unfit. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_wrong.h"

/* Writes a secret file with the mode and parses a configuration that names it.
 * True if it was accepted; else its error is in *err. */
__attribute__((nonnull)) static bool
secret_accepted(const char *path, const void *bytes, size_t len, mode_t mode,
                struct conf_error *err)
{
	char yaml[512];
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, len, f), len);
	fclose(f);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
	snprintf(yaml, sizeof(yaml), GOOD "secret:\n  file: %s\n", path);

	struct conf *conf = conf_parse(yaml, strlen(yaml), "t", err);
	bool accepted = conf != NULL;
	if (accepted) {
		uint8_t master[MASTER_SECRET_SIZE];
		CU_ASSERT_EQUAL(conf_read_secret(conf, master, err), 0);
		/* Hex digits of 0x5a and 0x5b, or the bytes themselves: see the caller. */
		for (size_t i = 0; i < sizeof(master); i++)
			CU_ASSERT_EQUAL(master[i], i < sizeof(master) / 2 ? 0x5a : 0x5b);
	}
	conf_free(conf);
	unlink(path);
	return accepted;
}

static void
test_secret_file_unfit_is_refused(void)
{
	char dir[] = "/tmp/test_conf_XXXXXX", path[64], hex[67], raw[100], want[256];
	struct conf_error err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/secret", dir);
	memset(raw, 0x5b, sizeof(raw));
	memset(raw, 0x5a, 16);
	for (int i = 0; i < 64; i++)
		hex[i] = (i < 32 ? "5A5a" : "5B5b")[i % 4];
	hex[64] = hex[65] = '\n';

	CU_ASSERT_TRUE(secret_accepted(path, hex, 64, 0600, &err));
	CU_ASSERT_TRUE(secret_accepted(path, hex, 65, 0400, &err));
	CU_ASSERT_TRUE(secret_accepted(path, raw, 32, 0600, &err));
	CU_ASSERT_TRUE(secret_accepted(path, raw, 100, 0600, &err));

	CU_ASSERT_FALSE(secret_accepted(path, raw, 31, 0600, &err));
	snprintf(want, sizeof(want),
	         "t:4:9: secret.file: found \"%s\" with 31 bytes; expected 64 hex digits "
	         "or at least 32 bytes",
	         path);
	CU_ASSERT_STRING_EQUAL(err.text, want);
	CU_ASSERT_FALSE(secret_accepted(path, raw, 0, 0600, &err));
	CU_ASSERT_FALSE(secret_accepted(path, raw + 16, 64, 0600, &err));
	snprintf(want, sizeof(want),
	         "t:4:9: secret.file: found \"%s\" with two equal halves; expected 32 random bytes",
	         path);
	CU_ASSERT_STRING_EQUAL(err.text, want);

	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601 };
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		CU_ASSERT_FALSE(secret_accepted(path, raw, 32, modes[i], &err));
		snprintf(want, sizeof(want),
		         "t:4:9: secret.file: found \"%s\" with mode %04o; expected 0600 or "
		         "0400: no access for group and others",
		         path, modes[i]);
		CU_ASSERT_STRING_EQUAL(err.text, want);
	}

	const struct wrong cases[] = {
		{ GOOD "secret:\n  file: /nonexistent/secret\n",
		  "t:4:9: secret.file: found "
		  "\"/nonexistent/secret\": No such file or directory; expected a file that can be "
		  "read" },
		{ GOOD "secret:\n  file: /\n",
		  "t:4:9: secret.file: found \"/\", not a regular file; expected "
		  "one" },
	};
	CHECK_WRONG(cases);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_secret_file_unfit_is_refused),
		CU_TEST_INFO_NULL,
	};

	return check_run("conf_secret", tests);
}
