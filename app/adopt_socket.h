/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket of a running agent: who connects says one word, is told, and is hung up on. */
#ifndef SYNFRONT_ADOPT_SOCKET_H
#define SYNFRONT_ADOPT_SOCKET_H

#include <stdio.h>

#define ADOPT_WORD_SIZE 16u

/* A listening socket, or -1 and errno; EADDRINUSE: an agent of this name runs. For root and
 * this process' user alone. */
int adopt_socket_open(const char *instance);
void adopt_socket_close(int fd, const char *instance);

/* Take one who has connected: the stream to answer on, and what was asked; or NULL. */
FILE *adopt_socket_accept(int fd, char word[ADOPT_WORD_SIZE]);

/* Ask the agent of this name, and copy what it says. 0, or -1 and errno: it does not answer. */
int adopt_socket_ask(const char *instance, const char *word, FILE *out);

#endif
