/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live lists as their owner keeps them: each entry with its end and its reason. What the
 * packet path looks at, a live_set, is made from this.
 *
 * An entry is named by its list, its prefix and its service (or all of them); it is there once.
 * Services are known by name, so that an entry outlives a reload in which its service is missing,
 * and finds it again when it is back: until then it rests. An entry keeps its number until it is
 * taken away, so that pages of a listing miss nothing.
 *
 * One thread at a time; no part of it is read by the packet path.
 */
#ifndef SYNFRONT_LIST_BOOK_H
#define SYNFRONT_LIST_BOOK_H

#include "live_set.h"
#include "policy.h"

#define LIST_ENTRIES_MAX (4u << 20)
#define LIST_WHY_SIZE 81u /* with the NUL */

enum list_kind {
	LIST_NONE, /* no entry */
	LIST_DENY,
	LIST_ALLOW,
};

enum list_result {
	LIST_DONE,
	LIST_NOT_THERE,
	LIST_FULL,      /* LIST_ENTRIES_MAX, or SERVICES_MAX names of services */
	LIST_NO_MEMORY, /* nothing has changed */
};

struct list_why; /* the text of a reason, shared by those that have it */

struct list_entry {
	struct prefix prefix; /* masked */
	uint8_t kind;         /* enum list_kind */
	uint16_t service;     /* number of its name; 0: all services */
	uint32_t until_s;     /* of the caller's clock; 0: no end */
	struct list_why *why; /* NULL: none was given */
};
_Static_assert(sizeof(struct list_entry) == 40, "a million of them are 40 MB");

/* A service that entries name. */
struct list_service {
	char name[SERVICE_NAME_MAX];
	uint16_t id; /* SERVICE_NONE: the policy has none of the name */
};

struct list_book {
	struct flow_hash_key key;
	struct list_entry *entries;
	uint32_t room, fresh; /* entries ever used */
	uint32_t free;        /* 1 + the number of one that is free again, 0: none */
	uint32_t n;
	uint32_t *index; /* 1 + number, 0: empty; open-addressed */
	uint32_t index_mask;
	uint64_t n_v4, n_v6;
	struct list_service *services; /* [0] stands for all */
	uint32_t n_services;
	struct list_why *last_why; /* of the entry that came last */
	uint64_t first_end_s;      /* no entry ends before; UINT64_MAX: none does */
};

/* What is said of an entry by who adds, takes away or looks for it. */
struct list_wish {
	enum list_kind kind;
	struct prefix prefix; /* masked */
	const char *service;  /* "": all */
	uint32_t until_s;
	const char *why; /* "": none; cut to LIST_WHY_SIZE - 1 bytes */
};

bool list_book_init(struct list_book *book);
void list_book_fini(struct list_book *book);

/* Room for n more entries and one more service: list_book_add() then finds it. */
enum list_result list_book_reserve(struct list_book *book, uint32_t n);
/* An entry that is there gets the new end and reason. */
enum list_result list_book_add(struct list_book *book, const struct list_wish *wish);
enum list_result list_book_del(struct list_book *book, const struct list_wish *wish);
const struct list_entry *list_book_find(const struct list_book *book, const struct list_wish *wish);

/* Take away what has ended by now_s, or what wish->why (kind and service too) brought, and say so
 * of each, when it is gone. How many. */
typedef void (*list_gone)(void *arg, const struct list_entry *entry);
uint32_t list_book_expire(struct list_book *book, uint32_t now_s, list_gone gone, void *arg);
uint32_t list_book_purge(struct list_book *book, const struct list_wish *wish, list_gone gone,
                         void *arg);

/* Numbers from 0 to book->fresh - 1; NULL: there is none of this number (any more). */
const struct list_entry *list_book_at(const struct list_book *book, uint32_t number);
const char *list_entry_why(const struct list_entry *entry);
const char *list_entry_service(const struct list_book *book, const struct list_entry *entry);

/* The ids of the services of a policy. True if any that the book names has changed. `kept`: where
 * the name has another id than before, or none, it has none: for the time between. */
bool list_book_adopt(struct list_book *book, const struct policy *policy, bool kept);

/* The scope of a service's name number for live_set.h; false: it rests. */
bool list_book_scope(const struct list_book *book, uint16_t service, uint32_t *scope);
/* What the lists say together of this entry's prefix and service. */
uint32_t list_book_verdict(const struct list_book *book, const struct list_entry *entry);
/* A set of all that does not rest. NULL: no memory. */
struct live_set *list_book_set(const struct list_book *book);

#endif
