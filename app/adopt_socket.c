/* SPDX-License-Identifier: BSD-3-Clause */
#include "adopt_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FOLDER "/run/synfront-adopt"
#define PATIENCE_S 5

static struct sockaddr_un
address_of(const char *instance)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), FOLDER "/%.63s.sock", instance);
	return address;
}

static void
set_patience(int fd)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int
connect_to(const char *instance)
{
	struct sockaddr_un address = address_of(instance);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int why = errno;
		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

int
adopt_socket_open(const char *instance)
{
	struct sockaddr_un address = address_of(instance);

	if (mkdir(FOLDER, 0755) != 0 && errno != EEXIST)
		return -1;
	int other = connect_to(instance);
	if (other >= 0) {
		close(other);
		errno = EADDRINUSE;
		return -1;
	}
	/* One that was killed has left it. */
	unlink(address.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask = umask(0177);
	bool is_open = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	               listen(fd, 8) == 0;
	int why = errno;
	umask(mask);
	if (is_open)
		return fd;
	if (fd >= 0)
		close(fd);
	errno = why;
	return -1;
}

void
adopt_socket_close(int fd, const char *instance)
{
	struct sockaddr_un address = address_of(instance);

	if (fd < 0)
		return;
	unlink(address.sun_path);
	close(fd);
}

FILE *
adopt_socket_accept(int fd, char word[ADOPT_WORD_SIZE])
{
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	ssize_t got;

	if (peer < 0)
		return NULL;
	set_patience(peer);
	got = recv(peer, word, ADOPT_WORD_SIZE - 1, 0);
	FILE *out = got > 0 ? fdopen(peer, "w") : NULL;
	if (out == NULL) {
		close(peer);
		return NULL;
	}
	word[got] = '\0';
	return out;
}

int
adopt_socket_ask(const char *instance, const char *word, FILE *out)
{
	int fd = connect_to(instance);
	char buffer[4096];
	ssize_t got = -1;

	if (fd < 0)
		return -1;
	if (send(fd, word, strlen(word), MSG_NOSIGNAL) == (ssize_t)strlen(word))
		while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
			fwrite(buffer, 1, (size_t)got, out);
	close(fd);
	return got == 0 ? 0 : -1;
}
