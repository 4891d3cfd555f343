/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where events are written, none of which can make the writer wait: a file of lines, and a Unix
 * datagram socket. What cannot be written is lost, and counted; that is logged when it begins, and
 * when it is over.
 */
#ifndef SYNFRONT_EVENT_SINK_H
#define SYNFRONT_EVENT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SINK_PROBLEM_SIZE 256

struct sink_trouble {
	uint64_t n_lost; /* since it began; 0: there is none */
	int why;         /* errno */
};

struct event_file {
	int fd;       /* -1: none */
	bool is_torn; /* the last line stands there in part */
	struct sink_trouble trouble;
};

/*
 * Open a file for lines to be added: a descriptor, or -1 and in `problem` why. If it is made, it
 * belongs to `uid` and `gid` (-1: whoever makes it). It is no symbolic link, and no device or
 * pipe, whose reader could keep us waiting.
 */
int event_file_open(const char *path, uid_t uid, gid_t gid, char problem[SINK_PROBLEM_SIZE]);
/* From now on to this descriptor, which may be -1; the one before is closed. */
void event_file_take(struct event_file *file, int fd);
/* One line with its end. */
void event_file_write(struct event_file *file, const char *line, size_t size);

struct event_socket {
	int fd; /* -1: none */
	char name[108];
	struct sink_trouble trouble;
};

/* From now on to that socket, whether it is there yet or not: "/PATH" or "@NAME"; NULL: to none. */
void event_socket_take(struct event_socket *socket, const char *name);
/* One datagram. */
void event_socket_send(struct event_socket *socket, const char *text, size_t size);

#endif
