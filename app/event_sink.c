/* SPDX-License-Identifier: BSD-3-Clause */
#include "event_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* `why`: errno of one event, 0: it was taken. */
static void
note(struct sink_trouble *trouble, const char *what, int why)
{
	if (why != 0) {
		if (trouble->n_lost++ == 0)
			log_warning("%s: %s: events are lost", what, strerror(why));
		trouble->why = why;
	} else if (trouble->n_lost != 0) {
		log_warning("%s takes events again; %" PRIu64 " were lost", what, trouble->n_lost);
		*trouble = (struct sink_trouble){ .n_lost = 0 };
	}
}

int
event_file_open(const char *path, uid_t uid, gid_t gid, char problem[SINK_PROBLEM_SIZE])
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	struct stat status;

	/* One that is there keeps its owner: who may write its folder could have put another's
	 * file in its place. */
	int fd = open(path, flags | O_CREAT | O_EXCL, 0640);
	bool is_made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags);
	if (fd < 0) {
		snprintf(problem, SINK_PROBLEM_SIZE, "%s", strerror(errno));
		return -1;
	}
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink > 1) {
		snprintf(problem, SINK_PROBLEM_SIZE, "no regular file, or one with several names");
	} else if (is_made && uid != (uid_t)-1 && fchown(fd, uid, gid) != 0) {
		snprintf(problem, SINK_PROBLEM_SIZE, "its owner cannot be user %u: %s",
		         (unsigned int)uid, strerror(errno));
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

void
event_file_take(struct event_file *file, int fd)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	file->is_torn = false;
}

/* Part of a line may fit a disk that is nearly full. The next one begins anew. */
void
event_file_write(struct event_file *file, const char *line, size_t size)
{
	int why = 0;

	if (file->fd < 0)
		return;
	if (file->is_torn && write(file->fd, "\n", 1) == 1)
		file->is_torn = false;
	ssize_t n = file->is_torn ? -1 : write(file->fd, line, size);
	if (n < 0) {
		why = errno;
	} else if ((size_t)n < size) {
		file->is_torn = n > 0;
		why = ENOSPC;
	}
	note(&file->trouble, "events.file", why);
}

void
event_socket_take(struct event_socket *s, const char *name)
{
	if (name != NULL && s->fd >= 0 && strcmp(name, s->name) == 0)
		return;
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct event_socket){ .fd = -1 };
	if (name == NULL)
		return;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		log_warning("events.socket: %s", strerror(errno));
}

void
event_socket_send(struct event_socket *s, const char *text, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(s->name);

	if (s->fd < 0)
		return;
	memcpy(address.sun_path, s->name, n);
	if (s->name[0] == '@') /* in the abstract namespace, whose names begin with a zero */
		address.sun_path[0] = '\0';
	/* A path ends with a zero, and a name does not. */
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
	                               (s->name[0] == '/'));
	if (length > sizeof(address))
		length = sizeof(address);
	bool is_sent = sendto(s->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL,
	                      (struct sockaddr *)&address, length) >= 0;
	note(&s->trouble, "events.socket", is_sent ? 0 : errno);
}
