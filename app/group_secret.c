/* SPDX-License-Identifier: BSD-3-Clause */
#include "group_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE (2u * MASTER_SECRET_SIZE + 1)

static bool
has_group(const struct conf *conf, const char *group)
{
	for (uint32_t i = 0; i < conf->policy.n_services; i++)
		if (conf->policy.services[i].mode == MODE_HANDOFF &&
		    strcmp(conf->policy.services[i].group, group) == 0)
			return true;
	return false;
}

/* Without stdio, which would keep a copy in a buffer of its own. */
static void
fill_text(char text[TEXT_SIZE], const uint8_t secret[MASTER_SECRET_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < MASTER_SECRET_SIZE; i++) {
		text[2 * i] = digits[secret[i] >> 4];
		text[2 * i + 1] = digits[secret[i] & 15];
	}
	text[TEXT_SIZE - 1] = '\n';
}

static int
write_new(const char *path, const char text[TEXT_SIZE], struct conf_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0 && write(fd, text, TEXT_SIZE) == (ssize_t)TEXT_SIZE && fsync(fd) == 0 &&
	    close(fd) == 0)
		return 0;
	int why = errno;
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	snprintf(err->text, sizeof(err->text), "%.200s: %s; expected a file that can be made", path,
	         strerror(why));
	return -1;
}

int
group_secret_write(const struct conf *conf, const char *group, const char *path,
                   struct conf_error *err)
{
	uint8_t master[MASTER_SECRET_SIZE], secret[MASTER_SECRET_SIZE];
	char text[TEXT_SIZE];

	if (conf->secret_file == NULL) {
		snprintf(err->text, sizeof(err->text),
		         "%.128s: secret.file: found nothing; expected the file of the master "
		         "secret",
		         conf->source);
		return -1;
	}
	if (!has_group(conf, group)) {
		snprintf(err->text, sizeof(err->text),
		         "%.128s: services: found no group \"%.31s\"; expected a service of mode "
		         "handoff with it",
		         conf->source, group);
		return -1;
	}
	if (conf_read_secret(conf, master, err) != 0)
		return -1;
	secret_group_derive(master, group, secret);
	fill_text(text, secret);
	int rc = write_new(path, text, err);
	explicit_bzero(master, sizeof(master));
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(text, sizeof(text));
	return rc;
}
