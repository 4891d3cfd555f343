/* SPDX-License-Identifier: BSD-3-Clause */
/* Following the numbers of a connection that is carried, spliced or TRACKED.
 * Inside lib/proto only. */
#ifndef SYNFRONT_FOLLOW_H
#define SYNFRONT_FOLLOW_H

#include "core_state.h"

/* Note what a segment says of both ends. */
void splice_follow(struct conn *conn, const struct segment *seg);
/* Is this RST's SEQ exactly RCV.NXT of its receiver? *in_window: at least within
 * the widest window that the receiver can have offered (RFC 5961, 3.2). */
bool splice_rst_exact(const struct conn *conn, const struct segment *seg, bool *in_window);
/* After a client's RST that counted as exact: is this what a server says that has not taken it
 * (RFC 5961, 3.2)? An ACK of no more than it had acknowledged before, and less than what the
 * client seemed to have sent. */
bool splice_rst_denied(const struct conn *conn, const struct segment *seg);

#endif
