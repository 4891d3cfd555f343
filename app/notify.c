/* SPDX-License-Identifier: BSD-3-Clause */
/* One datagram for each state. */
#include "notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* What goes wrong is said once, since signs of life go out each second. */
static void
say(const char *path, int why)
{
	static int said;

	if (why != 0 && why != said)
		log_warning("NOTIFY_SOCKET: %.128s: %s", path, strerror(why));
	said = why;
}

void
notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = path != NULL ? strlen(path) : 0;

	if (n == 0)
		return;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(address.sun_path)) {
		say(path, EINVAL);
		return;
	}
	memcpy(address.sun_path, path, n);
	if (path[0] == '@') /* in the abstract namespace, whose names begin with a zero */
		address.sun_path[0] = '\0';
	/* A supervisor that hangs must not hang us for long. */
	struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_sent = fd >= 0 &&
	               setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	               sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) >= 0;
	say(path, is_sent ? 0 : errno);
	if (fd >= 0)
		close(fd);
}
