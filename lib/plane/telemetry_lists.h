/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What telemetry answers of the live lists. Parameters are words, with a blank between:
 *
 *   NUMBER                                            a page of the list, from there on
 *   add PREFIX [service=NAME] [for=SECONDS] [why=TEXT]
 *   del PREFIX [service=NAME]
 *   load begin [service=NAME] [for=SECONDS] [why=TEXT]   the answer has a ticket
 *   load TICKET PREFIX...
 *   load TICKET commit
 *
 * `why` is the last word and goes to the end. An answer to other than a number has `refused`, 0 or
 * 1, and the text that says it.
 */
#ifndef SYNFRONT_TELEMETRY_LISTS_H
#define SYNFRONT_TELEMETRY_LISTS_H

#include "telemetry_control.h"

/* offer() the commands /synfront/deny and /synfront/allow. */
void telemetry_lists_offer(telemetry_offer offer);

#endif
