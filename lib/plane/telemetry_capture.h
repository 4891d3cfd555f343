/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /synfront/capture. Its reader begins a capture, asks for more until it has enough, and ends it:
 *
 *   start[,service=NAME][,client=PREFIX][,outcome=NAME]...   -> id, or error
 *   read,ID    -> state, taken, lost, data: a pcapng file in pieces of Base64 (RFC 4648)
 *   stop,ID    -> the same; then read until the state is "over", when all is forgotten
 *   keep,ID    -> state, id, taken, lost: the reader lives, and cannot take more now
 *   nothing    -> state, id, taken, lost
 *
 * A reader that does not ask for CAPTURE_LEASE_MS has gone. What is asked of a capture that is
 * not there any more has "error" for an answer.
 */
#ifndef SYNFRONT_TELEMETRY_CAPTURE_H
#define SYNFRONT_TELEMETRY_CAPTURE_H

#include <rte_telemetry.h>

#include "plane.h"

/* Under the lock that keeps the policy. */
int telemetry_capture(struct plane *plane, const struct policy *policy, const char *params,
                      struct rte_tel_data *d);

#endif
