/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling a supervisor how far we are: systemd's sd_notify(3) protocol, a datagram of lines
 * to the socket in $NOTIFY_SOCKET. Without one nothing is sent. */
#ifndef SYNFRONT_NOTIFY_H
#define SYNFRONT_NOTIFY_H

/* "READY=1", "STOPPING=1", "STATUS=...": lines with '\n' between them. */
void notify(const char *state);

#endif
