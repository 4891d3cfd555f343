/* SPDX-License-Identifier: BSD-3-Clause */
#include "lists.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "plane.h"
#include "prefix_text.h"

#define LOAD_PATIENCE_S 10u
#define LOAD_ROOM_FIRST 4096u
/* Up to here another set is made with each change: it takes less than a millisecond, and has no
 * slots and lengths of what is gone. */
#define SMALL 2048u

/* A load on its way. */
struct staged {
	uint64_t ticket; /* 0: there is none */
	uint32_t heard_s;
	struct list_wish wish;
	char service[SERVICE_NAME_MAX], why[LIST_WHY_SIZE];
	struct prefix *prefixes;
	uint32_t n, room;
};

static struct {
	pthread_mutex_t lock;
	struct list_book book;
	struct live_set *live;
	bool is_stale;       /* the set says something else than the book: memory was short */
	bool is_open;        /* commands are answered */
	struct plane *plane; /* NULL: no worker looks at the set */
	const struct policy *policy;
	uint64_t version, last_ticket;
	struct staged staged;
	uint32_t n_kind[LIST_ALLOW + 1];
} here = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const kinds[] = { "", "deny", "allow" };

/* From 1 on, so that 0 is never. */
static uint32_t
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint32_t)t.tv_sec + 1;
}

static uint32_t
end_of(uint32_t for_s)
{
	uint32_t now = now_s();

	if (for_s == 0)
		return 0;
	return for_s > UINT32_MAX - now ? UINT32_MAX : now + for_s;
}

/* ---- what workers see; all of it under the lock ------------------------ */

static bool
make_anew(void)
{
	struct live_set *old = here.live, *fresh = NULL;

	if (here.book.n > 0) {
		fresh = list_book_set(&here.book);
		if (fresh == NULL) {
			here.is_stale = true;
			return false;
		}
	}
	here.is_stale = false;
	here.live = fresh;
	if (here.plane != NULL)
		plane_publish_lists(here.plane, fresh);
	live_set_free(old);
	return true;
}

/* After changes in place. */
static void
show(void)
{
	if (here.plane != NULL)
		plane_publish_lists(here.plane, here.live);
}

/* The verdict on an entry's prefix, in place. False: there is no room for it. */
static bool
put(const struct list_entry *e)
{
	uint32_t scope;

	if (!list_book_scope(&here.book, e->service, &scope))
		return true;
	return live_set_put(here.live, &e->prefix, scope, list_book_verdict(&here.book, e));
}

/* One entry has come or gone. */
static bool
changed(const struct list_entry *e)
{
	here.version++;
	if (here.live == NULL || here.is_stale || here.book.n <= SMALL || !put(e))
		return make_anew();
	show();
	return true;
}

/* Of many that go: the set is looked at later. */
static void
gone(void *arg, const struct list_entry *e)
{
	(void)arg;
	here.n_kind[e->kind]--;
}

/* The same in place. */
static void
gone_in_place(void *arg, const struct list_entry *e)
{
	gone(arg, e);
	if (here.live != NULL)
		(void)put(e);
}

/* ---- begin and end ----------------------------------------------------- */

bool
lists_begin(const struct policy *policy)
{
	here.policy = policy;
	here.live = NULL;
	here.plane = NULL;
	here.version = 0;
	memset(here.n_kind, 0, sizeof(here.n_kind));
	return list_book_init(&here.book);
}

void
lists_attach(struct plane *plane)
{
	pthread_mutex_lock(&here.lock);
	here.plane = plane;
	list_book_adopt(&here.book, here.policy, false);
	make_anew();
	here.is_open = true;
	pthread_mutex_unlock(&here.lock);
}

static void
unstage(void)
{
	free(here.staged.prefixes);
	here.staged = (struct staged){ .ticket = 0 };
}

void
lists_detach(void)
{
	pthread_mutex_lock(&here.lock);
	here.is_open = false;
	here.plane = NULL;
	unstage();
	pthread_mutex_unlock(&here.lock);
}

void
lists_end(void)
{
	live_set_free(here.live);
	here.live = NULL;
	list_book_fini(&here.book);
}

/* ---- asking ------------------------------------------------------------ */

static const char *
service_text(const struct list_wish *wish)
{
	return *wish->service != '\0' ? wish->service : "all services";
}

/* Is there such a service? Else -1, and which there are. */
static int
check(const struct list_wish *wish, char text[LISTS_TEXT_SIZE])
{
	if (!here.is_open) {
		snprintf(text, LISTS_TEXT_SIZE, "the engine is starting or ending");
		return -1;
	}
	if (*wish->service == '\0')
		return 0;
	for (uint32_t i = 0; i < here.policy->n_services; i++)
		if (strcmp(here.policy->services[i].name, wish->service) == 0)
			return 0;
	size_t at = (size_t)snprintf(text, LISTS_TEXT_SIZE, "there is no service \"%s\"; there is",
	                             wish->service);
	for (uint32_t i = 0; i < here.policy->n_services && at + 40 < LISTS_TEXT_SIZE; i++)
		at += (size_t)snprintf(text + at, LISTS_TEXT_SIZE - at, "%s %s", i > 0 ? "," : "",
		                       here.policy->services[i].name);
	return -1;
}

static int
fail(enum list_result result, char text[LISTS_TEXT_SIZE])
{
	if (result == LIST_FULL)
		snprintf(text, LISTS_TEXT_SIZE,
		         "the lists are full: they have room for %u prefixes in all",
		         LIST_ENTRIES_MAX);
	else
		snprintf(text, LISTS_TEXT_SIZE, "not enough memory: nothing has changed");
	return -1;
}

/* It stands in the book. Not in force: as soon as there is memory; the keeper tries again. */
static int
stale(char text[LISTS_TEXT_SIZE])
{
	snprintf(text, LISTS_TEXT_SIZE,
	         "not in force yet: not enough memory; it is tried again each second");
	return -1;
}

static enum list_result
add(const struct list_wish *wish)
{
	bool is_new = list_book_find(&here.book, wish) == NULL;
	enum list_result result = list_book_add(&here.book, wish);

	if (result == LIST_DONE && is_new)
		here.n_kind[wish->kind]++;
	return result;
}

static int
add_one(const struct list_wish *asked, char text[LISTS_TEXT_SIZE])
{
	struct list_wish wish = *asked;
	char prefix[CONF_PREFIX_SIZE];

	wish.until_s = end_of(asked->until_s);
	enum list_result result = add(&wish);
	if (result != LIST_DONE)
		return fail(result, text);
	list_book_adopt(&here.book, here.policy, false);
	if (!changed(list_book_find(&here.book, &wish)))
		return stale(text);
	conf_format_prefix(&wish.prefix, prefix);
	int n = snprintf(text, LISTS_TEXT_SIZE, "%s %s: %s", kinds[wish.kind], prefix,
	                 service_text(&wish));
	if (asked->until_s != 0)
		snprintf(text + n, LISTS_TEXT_SIZE - (size_t)n, ", for %u s", asked->until_s);
	return 0;
}

int
lists_add(const struct list_wish *wish, char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&here.lock);
	int rc = check(wish, text) == 0 ? add_one(wish, text) : -1;
	pthread_mutex_unlock(&here.lock);
	return rc;
}

static int
del_one(const struct list_wish *wish, char text[LISTS_TEXT_SIZE])
{
	const struct list_entry *found = list_book_find(&here.book, wish);
	char prefix[CONF_PREFIX_SIZE];

	conf_format_prefix(&wish->prefix, prefix);
	if (found == NULL) {
		snprintf(text, LISTS_TEXT_SIZE,
		         "%s is not in the %s list of %s: only what was added there can be deleted",
		         prefix, kinds[wish->kind], service_text(wish));
		return -1;
	}
	struct list_entry e = *found;
	list_book_del(&here.book, wish);
	gone(NULL, &e);
	if (!changed(&e))
		return stale(text);
	snprintf(text, LISTS_TEXT_SIZE, "%s %s: %s, no more", kinds[wish->kind], prefix,
	         service_text(wish));
	return 0;
}

/* Of services that are gone, too. */
int
lists_del(const struct list_wish *wish, char text[LISTS_TEXT_SIZE])
{
	struct list_wish any = *wish;

	any.service = "";
	pthread_mutex_lock(&here.lock);
	int rc = check(&any, text) == 0 ? del_one(wish, text) : -1;
	pthread_mutex_unlock(&here.lock);
	return rc;
}

/* ---- many at once ------------------------------------------------------ */

static int
load_begin(const struct list_wish *wish, uint64_t *ticket, char text[LISTS_TEXT_SIZE])
{
	struct staged *s = &here.staged;

	if (check(wish, text) != 0)
		return -1;
	if (s->ticket != 0 && now_s() - s->heard_s < LOAD_PATIENCE_S) {
		snprintf(text, LISTS_TEXT_SIZE, "another load is on its way: try again");
		return -1;
	}
	unstage();
	s->wish = *wish;
	snprintf(s->service, sizeof(s->service), "%s", wish->service);
	snprintf(s->why, sizeof(s->why), "%s", wish->why);
	s->wish.service = s->service;
	s->wish.why = s->why;
	s->heard_s = now_s();
	*ticket = s->ticket = ++here.last_ticket;
	text[0] = '\0';
	return 0;
}

int
lists_load_begin(const struct list_wish *wish, uint64_t *ticket, char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&here.lock);
	int rc = load_begin(wish, ticket, text);
	pthread_mutex_unlock(&here.lock);
	return rc;
}

static int
load_more(uint64_t ticket, const struct prefix *prefixes, uint32_t n, char text[LISTS_TEXT_SIZE])
{
	struct staged *s = &here.staged;

	if (ticket == 0 || s->ticket != ticket) {
		snprintf(text, LISTS_TEXT_SIZE, "this load has taken too long, and been given up");
		return -1;
	}
	if (n > LIST_ENTRIES_MAX - s->n)
		return fail(LIST_FULL, text);
	if (s->n + n > s->room) {
		uint32_t room = s->room > 0 ? 2 * s->room : LOAD_ROOM_FIRST;
		struct prefix *more = realloc(s->prefixes, room * sizeof(*more));
		if (more == NULL)
			return fail(LIST_NO_MEMORY, text);
		s->prefixes = more;
		s->room = room;
	}
	if (n > 0)
		memcpy(s->prefixes + s->n, prefixes, n * sizeof(*prefixes));
	s->n += n;
	s->heard_s = now_s();
	text[0] = '\0';
	return 0;
}

int
lists_load_more(uint64_t ticket, const struct prefix *prefixes, uint32_t n,
                char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&here.lock);
	int rc = load_more(ticket, prefixes, n, text);
	pthread_mutex_unlock(&here.lock);
	return rc;
}

/* Room is there before anything goes. */
static int
load_commit(char text[LISTS_TEXT_SIZE])
{
	struct staged *s = &here.staged;
	enum list_result result = list_book_reserve(&here.book, s->n);

	s->wish.until_s = end_of(s->wish.until_s);
	/* The first one makes what the others need beside room: a name, a reason. */
	for (uint32_t i = 0; i < s->n && i < 1 && result == LIST_DONE; i++) {
		s->wish.prefix = s->prefixes[i];
		result = add(&s->wish);
	}
	if (result != LIST_DONE)
		return fail(result, text);
	list_book_purge(&here.book, &s->wish, gone, NULL);
	for (uint32_t i = 0; i < s->n; i++) {
		s->wish.prefix = s->prefixes[i];
		(void)add(&s->wish);
	}
	list_book_adopt(&here.book, here.policy, false);
	here.version++;
	if (!make_anew())
		return stale(text);
	snprintf(text, LISTS_TEXT_SIZE, "%s %u prefixes as \"%s\": %s; in all lists together %u",
	         kinds[s->wish.kind], s->n, s->why, service_text(&s->wish), here.book.n);
	return 0;
}

int
lists_load_commit(uint64_t ticket, char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&here.lock);
	int rc = load_more(ticket, NULL, 0, text);
	if (rc == 0) {
		rc = load_commit(text);
		unstage();
	}
	pthread_mutex_unlock(&here.lock);
	return rc;
}

/* ---- looking ----------------------------------------------------------- */

uint32_t
lists_each(uint32_t start, uint32_t max, bool (*each)(void *arg, const struct list_view *),
           void *arg)
{
	pthread_mutex_lock(&here.lock);
	uint32_t now = now_s(), i = start, end = here.book.fresh, scope;

	if (start < end && end - start > max)
		end = start + max;
	for (; i < end; i++) {
		const struct list_entry *e = list_book_at(&here.book, i);
		if (e == NULL)
			continue;
		struct list_view view = {
			.kind = (enum list_kind)e->kind,
			.prefix = &e->prefix,
			.service = list_entry_service(&here.book, e),
			.why = list_entry_why(e),
			.rests = !list_book_scope(&here.book, e->service, &scope),
			.ends = e->until_s != 0,
			.left_s = e->until_s > now ? e->until_s - now : 0,
		};
		if (!each(arg, &view))
			break;
	}
	uint32_t next = i < here.book.fresh ? i : 0;
	pthread_mutex_unlock(&here.lock);
	return next;
}

struct lists_state
lists_state(void)
{
	pthread_mutex_lock(&here.lock);
	struct lists_state state = { here.n_kind[LIST_DENY], here.n_kind[LIST_ALLOW],
		                     here.version };
	pthread_mutex_unlock(&here.lock);
	return state;
}

enum list_result
lists_restore(const struct list_wish *asked)
{
	struct list_wish wish = *asked;

	wish.until_s = end_of(asked->until_s);
	return add(&wish);
}

/* ---- time and reloads -------------------------------------------------- */

void
lists_step(void)
{
	pthread_mutex_lock(&here.lock);
	bool was_stale = here.is_stale;

	if (list_book_expire(&here.book, now_s(), was_stale ? gone : gone_in_place, NULL) > 0) {
		here.version++;
		if (here.book.n <= SMALL)
			make_anew();
		else
			show();
	}
	if (here.is_stale || (here.live != NULL && live_set_is_crowded(here.live)))
		make_anew();
	pthread_mutex_unlock(&here.lock);
}

void
lists_before_policy(const struct policy *fresh)
{
	pthread_mutex_lock(&here.lock);
	if (list_book_adopt(&here.book, fresh, true))
		make_anew();
	here.policy = fresh;
	pthread_mutex_unlock(&here.lock);
}

void
lists_after_policy(const struct policy *fresh)
{
	pthread_mutex_lock(&here.lock);
	if (list_book_adopt(&here.book, fresh, false))
		make_anew();
	pthread_mutex_unlock(&here.lock);
}
