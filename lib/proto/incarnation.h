/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection after another on the same ports: which ISS of a client may open once one of
 * them is over, while cookies of those before may still be about.
 *
 * A copy of a client's SYN and of its first data can be late. The SYN is answered by cookie
 * like any other, with the cookie that the data acknowledges, and both look as fresh as a new
 * connection's. What tells them apart is that their ISS has opened before. So an entry knows,
 * for as long as a cookie lives:
 *
 *   - the ISS that opened it, and of the two that opened before it on its ports the block of
 *     128 Ki that they lie in (struct conn_side);
 *   - the one ISS whose SYN has come since it was over.
 *
 * An ISS beyond all of these opens: a client's ISS grows (RFC 6528, 3). Another one opens if
 * its SYN has come and it is none of these, and only while all that have opened are known, so
 * that none opens twice: after a third within the time only a newer one does.
 * Inside lib/proto only.
 */
#ifndef SYNFRONT_INCARNATION_H
#define SYNFRONT_INCARNATION_H

#include "conn_table.h"

/* A connection that is over, of this `side`: may the ISS `irs` of its client, which a cookie
 * proves, open on its ports? */
bool incarnation_admits(const struct conn *conn, const struct conn_side *side, uint32_t irs);
/* A SYN with this ISS has come on its ports. */
void incarnation_syn(const struct conn *conn, struct conn_side *side, uint32_t irs);
/* What an entry that takes the place of this one must know. `seq`: of the segment that opens
 * it, its ISS or one more. */
void incarnation_follow(const struct conn *conn, const struct conn_side *side, uint32_t seq,
                        struct conn_side *next);

#endif
