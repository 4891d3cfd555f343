/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live lists of the engine: who may change them, and how workers get to see it.
 *
 *   telemetry ----> book (list_book.h) ----> set (live_set.h) ----> workers
 *   keeper    ----^   |                        one change in place; many, or a set that has
 *                     v                        grown full: another set, and the old one is
 *                   file (keeper)              freed when no worker looks at it any more
 *
 * A lock of its own around the book. Whoever changes something holds it until each worker has
 * passed a quiescent state: when a call returns, what it did holds for every frame to come.
 * Nothing here waits for the control thread, nor it for anything here but in a reload.
 */
#ifndef SYNFRONT_LISTS_H
#define SYNFRONT_LISTS_H

#include <stdio.h>

#include "list_book.h"
#include "plane_state.h"

#define LISTS_TEXT_SIZE 320
#define LISTS_MANY_MAX 128u /* prefixes in one call of lists_load_more() */

/* Before the plane starts: no lists yet. False: no memory. */
bool lists_begin(const struct policy *policy);
/* Let workers see them, from now on. */
void lists_attach(struct plane *plane);
/* The commands answer no more, and no worker is waited for; then what is kept is given back. */
void lists_detach(void);
void lists_end(void);

/* Who asks. until_s of a wish is seconds from now, 0: no end. 0, or -1: refused, nothing has
 * changed. Either way `text` says it. */
int lists_add(const struct list_wish *wish, char text[LISTS_TEXT_SIZE]);
int lists_del(const struct list_wish *wish, char text[LISTS_TEXT_SIZE]);

/* Many at once: begun (a ticket), brought in parts, and in force all together, in the place of
 * all that came with the same list, service and reason. One at a time; who brings nothing for
 * ten seconds gives way to the next. */
int lists_load_begin(const struct list_wish *wish, uint64_t *ticket, char text[LISTS_TEXT_SIZE]);
int lists_load_more(uint64_t ticket, const struct prefix *prefixes, uint32_t n,
                    char text[LISTS_TEXT_SIZE]);
int lists_load_commit(uint64_t ticket, char text[LISTS_TEXT_SIZE]);

/* What there is, from number `start` on, as long as each() says so and at most `max` are looked
 * at. Where to go on, 0: at the end. The lock is held meanwhile. */
struct list_view {
	enum list_kind kind;
	const struct prefix *prefix;
	const char *service, *why;
	bool rests; /* the policy has no service of that name */
	bool ends;
	uint32_t left_s;
};
uint32_t lists_each(uint32_t start, uint32_t max, bool (*each)(void *arg, const struct list_view *),
                    void *arg);

/* Counts of entries, and a number that grows with each change that a file should know of. */
struct lists_state {
	uint32_t n_deny, n_allow;
	uint64_t version;
};
struct lists_state lists_state(void);

/* The keeper, some times a second: what has ended goes, a crowded set is made anew. */
void lists_step(void);

/* Around a reload, which may give ids of services that are gone to others: before the policy is
 * published, and after. */
void lists_before_policy(const struct policy *fresh);
void lists_after_policy(const struct policy *fresh);

/* From a file, before the plane starts: as lists_add(), without an answer. */
enum list_result lists_restore(const struct list_wish *wish);

#endif
