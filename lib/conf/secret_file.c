/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading it: who may read it is checked on the open file, its text is wiped. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "regular_file.h"
#include "secret_file.h"

#define HEX_DIGITS (2 * MASTER_SECRET_SIZE)

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 64 hex digits and at most one newline. */
static bool
decode_hex(const uint8_t *text, size_t len, uint8_t master[MASTER_SECRET_SIZE])
{
	if (len > HEX_DIGITS && text[HEX_DIGITS] == '\n')
		len--;
	if (len != HEX_DIGITS)
		return false;
	for (size_t i = 0; i < HEX_DIGITS; i++)
		if (hex_value(text[i]) < 0)
			return false;
	for (size_t i = 0; i < MASTER_SECRET_SIZE; i++)
		master[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}

static int
read_secret(int fd, const struct stat *st, const char *path, uint8_t master[MASTER_SECRET_SIZE],
            char problem[CONF_SECRET_PROBLEM_SIZE])
{
	uint8_t bytes[HEX_DIGITS + 2]; /* one more than the longest hex form */

	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		snprintf(problem, CONF_SECRET_PROBLEM_SIZE,
		         "found \"%.100s\" with mode %04o; expected 0600 or 0400: no access for "
		         "group and others",
		         path, (unsigned int)st->st_mode & 07777);
		return -1;
	}
	ssize_t n = regular_file_read(fd, bytes, sizeof(bytes));
	if (n < (ssize_t)MASTER_SECRET_SIZE) {
		snprintf(problem, CONF_SECRET_PROBLEM_SIZE,
		         "found \"%.100s\" with %zd bytes; expected %u hex digits or at least %u "
		         "bytes",
		         path, n < 0 ? 0 : n, HEX_DIGITS, MASTER_SECRET_SIZE);
		return -1;
	}
	if (!decode_hex(bytes, (size_t)n, master))
		memcpy(master, bytes, MASTER_SECRET_SIZE);
	explicit_bzero(bytes, sizeof(bytes));
	/* Two keys whose outputs are added: of equal ones nothing would be left (secret.c). */
	if (memcmp(master, master + MASTER_SECRET_SIZE / 2, MASTER_SECRET_SIZE / 2) != 0)
		return 0;
	snprintf(problem, CONF_SECRET_PROBLEM_SIZE,
	         "found \"%.100s\" with two equal halves; expected %u random bytes", path,
	         MASTER_SECRET_SIZE);
	return -1;
}

int
conf_secret_file_read(const char *path, uint8_t master[MASTER_SECRET_SIZE],
                      char problem[CONF_SECRET_PROBLEM_SIZE])
{
	struct stat st;
	int fd = regular_file_open(path, &st);

	if (fd < 0 && errno == 0) {
		snprintf(problem, CONF_SECRET_PROBLEM_SIZE,
		         "found \"%.100s\", not a regular file; expected one", path);
		return -1;
	}
	if (fd < 0) {
		snprintf(problem, CONF_SECRET_PROBLEM_SIZE,
		         "found \"%.100s\": %s; expected a file that can be read", path,
		         strerror(errno));
		return -1;
	}
	int rc = read_secret(fd, &st, path, master, problem);
	close(fd);
	return rc;
}

int
conf_read_secret(const struct conf *conf, uint8_t master[MASTER_SECRET_SIZE],
                 struct conf_error *err)
{
	char problem[CONF_SECRET_PROBLEM_SIZE];

	if (conf_secret_file_read(conf->secret_file, master, problem) == 0)
		return 0;
	snprintf(err->text, sizeof(err->text), "%.128s: secret.file: %s", conf->source, problem);
	return -1;
}
