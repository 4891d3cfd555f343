/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to a running engine over DPDK's telemetry socket (version 2). */
#ifndef SYNFRONT_CTL_SOCKET_H
#define SYNFRONT_CTL_SOCKET_H

#include <jansson.h>

struct ctl_socket {
	int fd;
	size_t answer_size_max;
	char path[108];
	char error[384]; /* of the last failure */
};

/* Connect to the engine of that instance. 0, or -1 and an error. */
int ctl_open(struct ctl_socket *s, const char *instance);
void ctl_close(struct ctl_socket *s);

/* What the engine answers to "COMMAND" or "COMMAND,PARAMETERS": a new reference; NULL and an
 * error if it has nothing to say. */
json_t *ctl_ask(struct ctl_socket *s, const char *command, const char *parameters);

/* The same for lists, which come in pages and by columns: all rows, as objects. */
json_t *ctl_ask_all(struct ctl_socket *s, const char *command);

#endif
