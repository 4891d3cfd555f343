/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many prefixes for a live list at once: begun (a ticket), brought in parts, and in force all
 * together, in the place of all that came with the same list, service and reason. One load at a
 * time; who brings nothing for ten seconds gives way to the next.
 *
 * A load on its way has a lock of its own, which is taken before that of the lists: nobody who adds
 * or takes away one prefix waits for the parts of many.
 */
#ifndef SYNFRONT_LISTS_LOAD_H
#define SYNFRONT_LISTS_LOAD_H

#include "lists.h"

#define LISTS_MANY_MAX 128u /* prefixes in one call of lists_load_more() */

/* As of lists_add(): 0, or -1 and nothing has changed. Either way `text` says it. */
int lists_load_begin(const struct list_wish *wish, uint64_t *ticket, char text[LISTS_TEXT_SIZE]);
int lists_load_more(uint64_t ticket, const struct prefix *prefixes, uint32_t n,
                    char text[LISTS_TEXT_SIZE]);
int lists_load_commit(uint64_t ticket, char text[LISTS_TEXT_SIZE]);

/* After lists_detach(): what is on its way is given up, and none begins any more. */
void lists_load_end(void);

#endif
