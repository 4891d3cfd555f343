/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries in an array, found by an index of their numbers under a keyed hash. */
#include "list_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define ROOM_FIRST 64u
#define NUMBER_NONE UINT32_MAX

struct list_why {
	uint32_t n_users;
	char text[];
};

/* ---- reasons ----------------------------------------------------------- */

static void
why_drop(struct list_why *why)
{
	if (why != NULL && --why->n_users == 0)
		free(why);
}

/* A user more of this text; what came last often has the same. NULL: no memory. */
static struct list_why *
why_take(struct list_book *book, const char *text)
{
	size_t n = strnlen(text, LIST_WHY_SIZE - 1);
	struct list_why *last = book->last_why;

	if (last != NULL && strncmp(last->text, text, n) == 0 && last->text[n] == '\0') {
		last->n_users++;
		return last;
	}
	struct list_why *why = malloc(sizeof(*why) + n + 1);
	if (why == NULL)
		return NULL;
	memcpy(why->text, text, n);
	why->text[n] = '\0';
	why->n_users = 2; /* the book itself is one */
	why_drop(last);
	book->last_why = why;
	return why;
}

const char *
list_entry_why(const struct list_entry *entry)
{
	return entry->why != NULL ? entry->why->text : "";
}

/* ---- the index --------------------------------------------------------- */

static uint32_t
hash(const struct list_book *book, enum list_kind kind, const struct prefix *prefix,
     uint16_t service)
{
	return (uint32_t)addr_hash(&book->key, &prefix->addr,
	                           (uint32_t)service << 16 | (uint32_t)kind << 8 | prefix->len);
}

static uint32_t
hash_of(const struct list_book *book, const struct list_entry *e)
{
	return hash(book, (enum list_kind)e->kind, &e->prefix, e->service);
}

/* Where in the index the entry is, or would be. */
static uint32_t
place(const struct list_book *book, enum list_kind kind, const struct prefix *prefix,
      uint16_t service)
{
	uint32_t i = hash(book, kind, prefix, service) & book->index_mask;

	for (;; i = (i + 1) & book->index_mask) {
		if (book->index[i] == 0)
			return i;
		const struct list_entry *e = &book->entries[book->index[i] - 1];
		if (e->kind == kind && e->service == service && e->prefix.len == prefix->len &&
		    ip_addr_equal(&e->prefix.addr, &prefix->addr))
			return i;
	}
}

/* Empty a place, and move up those behind it that were pushed past it (Knuth 6.4, R). */
static void
unplace(struct list_book *book, uint32_t hole)
{
	uint32_t mask = book->index_mask;

	for (uint32_t i = (hole + 1) & mask; book->index[i] != 0; i = (i + 1) & mask) {
		uint32_t home = hash_of(book, &book->entries[book->index[i] - 1]) & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		book->index[hole] = book->index[i];
		hole = i;
	}
	book->index[hole] = 0;
}

static bool
index_grow(struct list_book *book, uint32_t room)
{
	uint32_t n_slots = 2 * ROOM_FIRST;

	while (n_slots < 2 * room)
		n_slots *= 2;
	if (book->index != NULL && n_slots <= book->index_mask + 1)
		return true;
	uint32_t *index = calloc(n_slots, sizeof(*index));
	if (index == NULL)
		return false;
	free(book->index);
	book->index = index;
	book->index_mask = n_slots - 1;
	for (uint32_t i = 0; i < book->fresh; i++) {
		const struct list_entry *e = &book->entries[i];
		if (e->kind != LIST_NONE)
			book->index[place(book, (enum list_kind)e->kind, &e->prefix, e->service)] =
				i + 1;
	}
	return true;
}

/* ---- services ---------------------------------------------------------- */

/* The number of a name; n_services if it is unknown. */
static uint32_t
service_number(const struct list_book *book, const char *name)
{
	uint32_t i = 0;

	while (i < book->n_services && strcmp(book->services[i].name, name) != 0)
		i++;
	return i;
}

static bool
service_reserve(struct list_book *book)
{
	struct list_service *services;

	services = realloc(book->services, (book->n_services + 1) * sizeof(*services));
	if (services == NULL)
		return false;
	book->services = services;
	return true;
}

const char *
list_entry_service(const struct list_book *book, const struct list_entry *entry)
{
	return book->services[entry->service].name;
}

static uint16_t
id_in(const struct policy *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->n_services; i++)
		if (strcmp(policy->services[i].name, name) == 0)
			return policy->services[i].id;
	return SERVICE_NONE;
}

bool
list_book_adopt(struct list_book *book, const struct policy *policy, bool kept)
{
	bool has_changed = false;

	for (uint32_t i = 1; i < book->n_services; i++) {
		struct list_service *s = &book->services[i];
		uint16_t id = id_in(policy, s->name);

		if (kept && id != s->id)
			id = SERVICE_NONE;
		has_changed |= id != s->id;
		s->id = id;
	}
	return has_changed;
}

/* ---- the book ---------------------------------------------------------- */

bool
list_book_init(struct list_book *book)
{
	memset(book, 0, sizeof(*book));
	book->first_end_s = UINT64_MAX;
	if (getrandom(&book->key, sizeof(book->key), 0) == (ssize_t)sizeof(book->key) &&
	    service_reserve(book) && index_grow(book, ROOM_FIRST)) {
		book->services[0] = (struct list_service){ .id = SERVICE_NONE };
		book->n_services = 1;
		return true;
	}
	list_book_fini(book);
	return false;
}

void
list_book_fini(struct list_book *book)
{
	for (uint32_t i = 0; i < book->fresh; i++)
		if (book->entries[i].kind != LIST_NONE)
			why_drop(book->entries[i].why);
	why_drop(book->last_why);
	free(book->entries);
	free(book->index);
	free(book->services);
	memset(book, 0, sizeof(*book));
}

enum list_result
list_book_reserve(struct list_book *book, uint32_t n)
{
	uint32_t room = book->room > 0 ? book->room : ROOM_FIRST;

	if (n > LIST_ENTRIES_MAX - book->n || book->n_services > SERVICES_MAX)
		return LIST_FULL;
	while (room < book->n + n)
		room *= 2;
	if (room > book->room) {
		struct list_entry *entries = realloc(book->entries, room * sizeof(*entries));
		if (entries == NULL)
			return LIST_NO_MEMORY;
		book->entries = entries;
		book->room = room;
	}
	return service_reserve(book) && index_grow(book, room) ? LIST_DONE : LIST_NO_MEMORY;
}

static bool
is_v4(const struct prefix *prefix)
{
	return prefix->len >= 96 && ip_addr_is_v4(&prefix->addr);
}

static struct list_entry *
entry_take(struct list_book *book, uint32_t at)
{
	uint32_t number = book->free > 0 ? book->free - 1 : book->fresh++;
	struct list_entry *e = &book->entries[number];

	if (book->free > 0)
		book->free = e->until_s;
	book->index[at] = number + 1;
	book->n++;
	return e;
}

enum list_result
list_book_add(struct list_book *book, const struct list_wish *wish)
{
	enum list_result result = list_book_reserve(book, 1);
	uint32_t service = service_number(book, wish->service);
	struct list_why *why = NULL;

	if (result != LIST_DONE)
		return result;
	if (*wish->why != '\0' && (why = why_take(book, wish->why)) == NULL)
		return LIST_NO_MEMORY;
	if (service == book->n_services) {
		struct list_service *s = &book->services[book->n_services++];
		snprintf(s->name, sizeof(s->name), "%s", wish->service);
		s->id = SERVICE_NONE;
	}
	uint32_t at = place(book, wish->kind, &wish->prefix, (uint16_t)service);
	bool is_new = book->index[at] == 0;
	struct list_entry *e = is_new ? entry_take(book, at) : &book->entries[book->index[at] - 1];
	if (!is_new)
		why_drop(e->why);
	*e = (struct list_entry){
		.prefix = wish->prefix,
		.kind = (uint8_t)wish->kind,
		.service = (uint16_t)service,
		.until_s = wish->until_s,
		.why = why,
	};
	if (is_new && is_v4(&e->prefix))
		book->n_v4++;
	else if (is_new)
		book->n_v6++;
	if (e->until_s != 0 && e->until_s < book->first_end_s)
		book->first_end_s = e->until_s;
	return LIST_DONE;
}

static void
entry_drop(struct list_book *book, uint32_t at)
{
	uint32_t number = book->index[at] - 1;
	struct list_entry *e = &book->entries[number];

	unplace(book, at);
	if (is_v4(&e->prefix))
		book->n_v4--;
	else
		book->n_v6--;
	why_drop(e->why);
	/* A free one has the next free one's number in the place of its end. */
	*e = (struct list_entry){ .kind = LIST_NONE, .until_s = book->free };
	book->free = number + 1;
	book->n--;
}

/* Where the index has it; NUMBER_NONE: it is not there. */
static uint32_t
find(const struct list_book *book, const struct list_wish *wish)
{
	uint32_t service = service_number(book, wish->service);

	if (service == book->n_services)
		return NUMBER_NONE;
	uint32_t at = place(book, wish->kind, &wish->prefix, (uint16_t)service);
	return book->index[at] == 0 ? NUMBER_NONE : at;
}

enum list_result
list_book_del(struct list_book *book, const struct list_wish *wish)
{
	uint32_t at = find(book, wish);

	if (at == NUMBER_NONE)
		return LIST_NOT_THERE;
	entry_drop(book, at);
	return LIST_DONE;
}

const struct list_entry *
list_book_find(const struct list_book *book, const struct list_wish *wish)
{
	uint32_t at = find(book, wish);

	return at == NUMBER_NONE ? NULL : &book->entries[book->index[at] - 1];
}

const struct list_entry *
list_book_at(const struct list_book *book, uint32_t number)
{
	return book->entries[number].kind == LIST_NONE ? NULL : &book->entries[number];
}

static void
drop_number(struct list_book *book, uint32_t number, list_gone gone, void *arg)
{
	struct list_entry copy = book->entries[number];
	uint32_t at = place(book, (enum list_kind)copy.kind, &copy.prefix, copy.service);

	entry_drop(book, at);
	copy.why = NULL;
	gone(arg, &copy);
}

uint32_t
list_book_expire(struct list_book *book, uint32_t now_s, list_gone gone, void *arg)
{
	uint64_t first_end_s = UINT64_MAX;
	uint32_t n = 0;

	if (now_s < book->first_end_s)
		return 0;
	for (uint32_t i = 0; i < book->fresh; i++) {
		const struct list_entry *e = &book->entries[i];
		if (e->kind == LIST_NONE || e->until_s == 0)
			continue;
		if (e->until_s <= now_s) {
			drop_number(book, i, gone, arg);
			n++;
		} else if (e->until_s < first_end_s) {
			first_end_s = e->until_s;
		}
	}
	book->first_end_s = first_end_s;
	return n;
}

uint32_t
list_book_purge(struct list_book *book, const struct list_wish *wish, list_gone gone, void *arg)
{
	uint32_t service = service_number(book, wish->service), n = 0;

	for (uint32_t i = 0; i < book->fresh; i++) {
		const struct list_entry *e = &book->entries[i];
		if (e->kind != wish->kind || e->service != service ||
		    strcmp(list_entry_why(e), wish->why) != 0)
			continue;
		drop_number(book, i, gone, arg);
		n++;
	}
	return n;
}

/* ---- for the packet path ----------------------------------------------- */

bool
list_book_scope(const struct list_book *book, uint16_t service, uint32_t *scope)
{
	*scope = service == 0 ? 0 : 1u + book->services[service].id;
	return service == 0 || book->services[service].id < SERVICES_MAX;
}

static bool
has(const struct list_book *book, enum list_kind kind, const struct list_entry *e)
{
	return book->index[place(book, kind, &e->prefix, e->service)] != 0;
}

uint32_t
list_book_verdict(const struct list_book *book, const struct list_entry *entry)
{
	return (has(book, LIST_DENY, entry) ? LIVE_DENY : 0) |
	       (has(book, LIST_ALLOW, entry) ? LIVE_ALLOW : 0);
}

struct live_set *
list_book_set(const struct list_book *book)
{
	struct live_set *set = live_set_new(book->n_v4, book->n_v6);
	uint32_t scope;

	for (uint32_t i = 0; set != NULL && i < book->fresh; i++) {
		const struct list_entry *e = &book->entries[i];
		if (e->kind != LIST_NONE && list_book_scope(book, e->service, &scope))
			live_set_join(set, &e->prefix, scope,
			              e->kind == LIST_DENY ? LIVE_DENY : LIVE_ALLOW);
	}
	return set;
}
