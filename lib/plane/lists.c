/* SPDX-License-Identifier: BSD-3-Clause */
#include "lists.h"

#include <inttypes.h>
#include <pthread.h>

#include "clock.h"
#include "prefix_text.h"
#include "quiescent.h"

/* Up to here another set is made with each change: it takes less than a millisecond, and has no
 * slots and lengths of what is gone. */
#define SMALL 2048u

static struct {
	pthread_mutex_t lock;
	struct list_book book;
	struct live_set *live;
	bool is_stale;       /* the set says something else than the book: memory was short */
	bool is_open;        /* commands are answered */
	struct plane *plane; /* NULL: no worker looks at the set */
	const struct policy *policy;
	uint64_t version;
	uint32_t n_kind[LIST_ALLOW + 1];
} here = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const kinds[] = { "", "deny", "allow" };

/* From 1 on, so that 0 is never. */
static uint32_t
now_s(void)
{
	return (uint32_t)(clock_ms(CLOCK_BOOTTIME) / 1000) + 1;
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

/* The set, another one or changed in place; the number says that there is something new, and is
 * written last. */
static void
show(void)
{
	struct plane *plane = here.plane;

	if (plane == NULL)
		return;
	uint32_t changes = __atomic_load_n(&plane->live_changes, __ATOMIC_RELAXED);
	__atomic_store_n(&plane->live, here.live, __ATOMIC_RELAXED);
	__atomic_store_n(&plane->live_changes, changes + 1, __ATOMIC_RELEASE);
	quiescent_wait(plane);
}

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
	show();
	live_set_free(old);
	return true;
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

void
lists_detach(void)
{
	pthread_mutex_lock(&here.lock);
	here.is_open = false;
	here.plane = NULL;
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

static int
check_open(char text[LISTS_TEXT_SIZE])
{
	if (here.is_open)
		return 0;
	snprintf(text, LISTS_TEXT_SIZE, "the engine is starting or ending");
	return -1;
}

/* Is there such a service? Else -1, and which there are. */
static int
check(const struct list_wish *wish, char text[LISTS_TEXT_SIZE])
{
	if (check_open(text) != 0)
		return -1;
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

int
lists_refuse(enum list_result result, char text[LISTS_TEXT_SIZE])
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
		return lists_refuse(result, text);
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

int
lists_check(const struct list_wish *wish, char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&here.lock);
	int rc = check(wish, text);
	pthread_mutex_unlock(&here.lock);
	return rc;
}

/* Room is there before anything goes. */
static int
replace(const struct list_wish *asked, const struct prefix *prefixes, uint32_t n,
        char text[LISTS_TEXT_SIZE])
{
	enum list_result result = list_book_reserve(&here.book, n);
	struct list_wish wish = *asked;

	wish.until_s = end_of(asked->until_s);
	/* The first one makes what the others need beside room: a name, a reason. */
	if (n > 0 && result == LIST_DONE) {
		wish.prefix = prefixes[0];
		result = add(&wish);
	}
	if (result != LIST_DONE)
		return lists_refuse(result, text);
	list_book_purge(&here.book, &wish, gone, NULL);
	for (uint32_t i = 0; i < n; i++) {
		wish.prefix = prefixes[i];
		(void)add(&wish);
	}
	list_book_adopt(&here.book, here.policy, false);
	here.version++;
	if (!make_anew())
		return stale(text);
	snprintf(text, LISTS_TEXT_SIZE, "%s %u prefixes as \"%s\": %s; in all lists together %u",
	         kinds[wish.kind], n, wish.why, service_text(&wish), here.book.n);
	return 0;
}

int
lists_replace(const struct list_wish *wish, const struct prefix *prefixes, uint32_t n,
              char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&here.lock);
	int rc = check_open(text) == 0 ? replace(wish, prefixes, n, text) : -1;
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
