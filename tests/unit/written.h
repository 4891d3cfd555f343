/* SPDX-License-Identifier: BSD-3-Clause */
/* What has been written to a file. */
#ifndef SYNFRONT_WRITTEN_H
#define SYNFRONT_WRITTEN_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* All of it, until it is asked again; "" of none. */
static inline const char *
text_of(const char *name)
{
	static char text[65536];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static inline unsigned int
n_times(const char *text, const char *what)
{
	unsigned int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

#endif
