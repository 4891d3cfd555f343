/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int journal_fd = -1;
static struct sockaddr_un journal_address = { .sun_family = AF_UNIX };

bool
journal_has_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

void
journal_open(const char *path)
{
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = -1;
	if (!journal_has_stderr() || strlen(path) >= sizeof(journal_address.sun_path))
		return;
	strcpy(journal_address.sun_path, path);
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* A field's value ends with its line. What comes from a file or a user may have others in it. */
static void
flatten(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

bool
journal_send(int priority, const char *message, const char *fields, size_t size)
{
	char flat[1024], head[1200];

	if (journal_fd < 0)
		return false;
	snprintf(flat, sizeof(flat), "%s", message);
	flatten(flat);
	int n = snprintf(head, sizeof(head),
	                 "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=synfront\n", flat, priority);
	struct iovec parts[2] = { { .iov_base = head, .iov_len = (size_t)n },
		                  { .iov_base = (void *)(uintptr_t)fields, .iov_len = size } };
	struct msghdr datagram = { .msg_name = &journal_address,
		                   .msg_namelen = sizeof(journal_address),
		                   .msg_iov = parts,
		                   .msg_iovlen = 2 };
	return sendmsg(journal_fd, &datagram, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}
