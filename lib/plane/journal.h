/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * systemd's journal, in its own protocol: a datagram of fields to its socket, "NAME=VALUE\n"
 * each (systemd.io/JOURNAL_NATIVE_PROTOCOL). Only where standard error is the journal's already,
 * so that a message with fields takes the place of a line without, and nothing stands there twice.
 */
#ifndef SYNFRONT_JOURNAL_H
#define SYNFRONT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Whether $JOURNAL_STREAM, "DEVICE:INODE", says that standard error is the journal's. */
bool journal_has_stderr(void);

/* From now on to the socket at `path`, if journal_has_stderr(). */
void journal_open(const char *path);

/*
 * A message with priority of syslog(3), and further fields: `size` bytes of complete lines
 * "NAME=VALUE\n", whose values have no control characters. False if the journal has not taken it,
 * or there is none: then it is for the caller to write elsewhere.
 */
bool journal_send(int priority, const char *message, const char *fields, size_t size);

#endif
