/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's end of the telemetry socket: one question, one answer of JSON. */
#include "ctl_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime_path.h"

#define ANSWER_SIZE_DEFAULT 16384u
#define ANSWER_SIZE_MAX (1u << 20)
#define TIMEOUT_S 5u

static json_t *
receive(struct ctl_socket *s)
{
	char *text = malloc(s->answer_size_max + 1);
	json_error_t error;
	json_t *json = NULL;

	if (text == NULL) {
		snprintf(s->error, sizeof(s->error), "not enough memory");
		return NULL;
	}
	ssize_t n = recv(s->fd, text, s->answer_size_max, 0);
	if (n < 0 && errno == EAGAIN) {
		snprintf(s->error, sizeof(s->error), "no answer from %s within %u s", s->path,
		         TIMEOUT_S);
	} else if (n <= 0) {
		snprintf(s->error, sizeof(s->error), "no answer from %s: %s", s->path,
		         n < 0 ? strerror(errno)
		               : "it has closed the connection (DPDK serves 10 clients at a time)");
	} else {
		json = json_loadb(text, (size_t)n, 0, &error);
		if (json == NULL)
			snprintf(s->error, sizeof(s->error), "%s answers no JSON: %s", s->path,
			         error.text);
	}
	free(text);
	return json;
}

/* Connect to this address. 0, or the errno of why not. */
static int
try_address(struct ctl_socket *s, const struct sockaddr_un *address)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_S };

	memcpy(s->path, address->sun_path, sizeof(s->path));
	s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return errno;
	/* An engine that stands still takes no connection either. */
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(s->fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return 0;
	int why = errno;
	ctl_close(s);
	return why;
}

/* Why there is no connection, in the words of who can do something about it. */
static void
explain(struct ctl_socket *s, int why)
{
	const char *path = s->path;

	switch (why) {
	case ENOENT:
		snprintf(s->error, sizeof(s->error),
		         "synfront is not running, or as another instance, or without telemetry: "
		         "there is no %s",
		         path);
		break;
	case ECONNREFUSED:
		snprintf(s->error, sizeof(s->error),
		         "synfront is not running any more: it has left %s behind, and nobody "
		         "listens there",
		         path);
		break;
	case EACCES:
	case EPERM:
		snprintf(s->error, sizeof(s->error),
		         "permission denied on %s: run as root or the engine's user", path);
		break;
	case EAGAIN:
		snprintf(s->error, sizeof(s->error), "no answer from %s within %u s", path,
		         TIMEOUT_S);
		break;
	default:
		snprintf(s->error, sizeof(s->error), "%s: %s", path, strerror(why));
	}
}

/* The engine of this user, or else root's. 0, or -1 and an error. */
static int
find_engine(struct ctl_socket *s, const char *instance)
{
	struct sockaddr_un own, of_root;

	if (runtime_telemetry(&own, instance) != 0) {
		snprintf(s->error, sizeof(s->error), "the path of instance %.64s is too long",
		         instance);
		return -1;
	}
	int why = try_address(s, &own);
	if (why == 0)
		return 0;
	explain(s, why);
	if ((why != ENOENT && why != ECONNREFUSED) ||
	    runtime_telemetry_of_root(&of_root, instance) != 0)
		return -1;
	int why_root = try_address(s, &of_root);
	if (why_root == 0)
		return 0;
	if (why == ENOENT)
		explain(s, why_root);
	return -1;
}

int
ctl_open(struct ctl_socket *s, const char *instance)
{
	*s = (struct ctl_socket){ .fd = -1, .answer_size_max = ANSWER_SIZE_DEFAULT };
	if (find_engine(s, instance) != 0)
		return -1;
	json_t *hello = receive(s);
	if (hello == NULL) {
		ctl_close(s);
		return -1;
	}
	json_int_t size = json_integer_value(json_object_get(hello, "max_output_len"));
	if (size > 0 && size <= ANSWER_SIZE_MAX)
		s->answer_size_max = (size_t)size;
	json_decref(hello);
	return 0;
}

void
ctl_close(struct ctl_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

json_t *
ctl_ask(struct ctl_socket *s, const char *command, const char *parameters)
{
	char text[1024]; /* DPDK reads no more */
	int n = snprintf(text, sizeof(text), "%s%s%s", command, *parameters != '\0' ? "," : "",
	                 parameters);

	if (n < 0 || (size_t)n >= sizeof(text) || send(s->fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		snprintf(s->error, sizeof(s->error), "%s: cannot be asked: %s", s->path,
		         strerror(errno));
		return NULL;
	}
	json_t *whole = receive(s);
	if (whole == NULL)
		return NULL;
	/* {"/synfront/stats": ...}; null where a handler refuses. */
	json_t *answer = json_incref(json_object_get(whole, command));
	json_decref(whole);
	if (answer == NULL || json_is_null(answer)) {
		json_decref(answer);
		snprintf(s->error, sizeof(s->error), "the engine does not answer \"%.100s\"", text);
		return NULL;
	}
	return answer;
}

/* { "a": [1, 2], "b": [3, 4] } as { "a": 1, "b": 3 }, { "a": 2, "b": 4 }. */
static int
append_rows(json_t *rows, const json_t *page)
{
	size_t before = json_array_size(rows), i;
	const char *key;
	json_t *column, *cell;

	json_object_foreach((json_t *)page, key, column)
	{
		json_array_foreach(column, i, cell)
		{
			if (before + i == json_array_size(rows) &&
			    json_array_append_new(rows, json_object()) != 0)
				return -1;
			if (json_object_set(json_array_get(rows, before + i), key, cell) != 0)
				return -1;
		}
	}
	return 0;
}

/* What the engine says that it cannot know is null. */
static int
set_unknown(json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const char *names = json_string_value(json_object_get(row, "unknown"));
		char name[32];
		int n;

		while (names != NULL && sscanf(names, " %31s%n", name, &n) == 1) {
			if (json_object_set_new(row, name, json_null()) != 0)
				return -1;
			names += n;
		}
		json_object_del(row, "unknown");
	}
	return 0;
}

json_t *
ctl_ask_all(struct ctl_socket *s, const char *command)
{
	json_t *rows = json_array();
	json_int_t next = 0;

	do {
		char start[24];
		snprintf(start, sizeof(start), "%" JSON_INTEGER_FORMAT, next);
		json_t *page = ctl_ask(s, command, start);
		if (page == NULL || append_rows(rows, page) != 0) {
			if (page != NULL)
				snprintf(s->error, sizeof(s->error), "not enough memory");
			json_decref(page);
			json_decref(rows);
			return NULL;
		}
		next = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
	} while (next != 0);
	if (set_unknown(rows) != 0) {
		snprintf(s->error, sizeof(s->error), "not enough memory");
		json_decref(rows);
		return NULL;
	}
	return rows;
}
