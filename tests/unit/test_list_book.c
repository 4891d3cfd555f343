/* SPDX-License-Identifier: BSD-3-Clause */
/* The book of live lists, and the set that the packet path looks at, against a plain list. */
#include "check.h"
#include "list_book.h"

#define STEPS 20000u
#define MODEL_MAX 4096u
#define MILLION 1000000u

struct model {
	struct list_wish wishes[MODEL_MAX];
	uint32_t n;
};

static const char *const names[] = { "", "web", "mail" };

static struct service services[] = {
	{ .name = "web", .id = 7 },
	{ .name = "mail", .id = 4095 },
};
static const struct policy policy = { .services = services, .n_services = 2 };

static uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(check_random(state) >> 32) % n;
}

/* So few addresses that prefixes nest and are hit. */
static struct ip_addr
addr_random(uint64_t *state)
{
	struct ip_addr addr = { .quads_be = { 0, 0 } };

	if (below(state, 2) == 0)
		return ip_addr_v4(__builtin_bswap32(below(state, 3) << 30 | below(state, 2) << 16 |
		                                    below(state, 3) << 8 | below(state, 4)));
	addr.words_be[0] = __builtin_bswap32(0x20010db8u + below(state, 3) * 0x8001u);
	addr.words_be[1] = __builtin_bswap32(below(state, 3) << 16);
	addr.words_be[3] = __builtin_bswap32(below(state, 5));
	return addr;
}

static struct prefix
prefix_random(uint64_t *state)
{
	static const uint8_t v4[] = { 128, 128, 127, 120, 113, 112, 104, 97, 96 };
	static const uint8_t v6[] = {
		128, 128, 127, 96, 95, 65, 64, 63, 48, 33, 32, 31, 16, 15, 3
	};
	struct ip_addr addr = addr_random(state);
	uint8_t len = ip_addr_is_v4(&addr) ? v4[below(state, sizeof(v4))]
	                                   : v6[below(state, sizeof(v6))];

	return (struct prefix){ ip_addr_mask(&addr, len), len };
}

static bool
is_same(const struct list_wish *a, const struct list_wish *b)
{
	return a->kind == b->kind && a->prefix.len == b->prefix.len && a->service == b->service &&
	       ip_addr_equal(&a->prefix.addr, &b->prefix.addr);
}

static uint32_t
model_at(const struct model *m, const struct list_wish *wish)
{
	uint32_t i = 0;

	while (i < m->n && !is_same(&m->wishes[i], wish))
		i++;
	return i;
}

/* The longest of those that contain it, of this service and of all. */
static uint32_t
model_find(const struct model *m, const struct ip_addr *addr, const char *service)
{
	uint32_t verdict = 0;
	int longest = -1;

	for (uint32_t i = 0; i < m->n; i++) {
		const struct list_wish *w = &m->wishes[i];
		if ((*w->service != '\0' && w->service != service) || w->prefix.len < longest ||
		    ip_addr_is_v4(addr) !=
		            (w->prefix.len >= 96 && ip_addr_is_v4(&w->prefix.addr)) ||
		    !prefix_contains(&w->prefix, addr))
			continue;
		if (w->prefix.len > longest)
			verdict = 0;
		longest = w->prefix.len;
		verdict |= w->kind == LIST_DENY ? LIVE_DENY : LIVE_ALLOW;
	}
	return verdict;
}

static void
compare(const struct list_book *book, const struct live_set *set, const struct model *m,
        uint64_t *state)
{
	uint64_t n_v4 = 0;

	for (uint32_t i = 0; i < m->n; i++)
		n_v4 += m->wishes[i].prefix.len >= 96 && ip_addr_is_v4(&m->wishes[i].prefix.addr);
	CU_ASSERT_EQUAL(book->n, m->n);
	CU_ASSERT_EQUAL(book->n_v4, n_v4);
	CU_ASSERT_EQUAL(book->n_v6, m->n - n_v4);
	for (unsigned int i = 0; i < 50; i++) {
		struct ip_addr addr = addr_random(state);
		for (unsigned int s = 1; s < 3; s++)
			CU_ASSERT_EQUAL(live_set_find(set, &addr, 1u + services[s - 1].id),
			                model_find(m, &addr, names[s]));
	}
}

/* As lists.c does: in place. */
static void
put(const struct list_book *book, struct live_set *set, const struct list_entry *e)
{
	uint32_t scope;

	if (list_book_scope(book, e->service, &scope))
		CU_ASSERT_TRUE_FATAL(
			live_set_put(set, &e->prefix, scope, list_book_verdict(book, e)));
}

static void
step(struct list_book *book, struct live_set *set, struct model *m, uint64_t *state)
{
	struct list_wish wish = {
		.kind = 1 + below(state, 2),
		.prefix = prefix_random(state),
		.service = names[below(state, 3)],
		.until_s = below(state, 3),
		.why = below(state, 2) ? "one" : "another",
	};
	uint32_t at = model_at(m, &wish);

	if (below(state, 3) != 0 && m->n < MODEL_MAX) {
		CU_ASSERT_EQUAL_FATAL(list_book_add(book, &wish), LIST_DONE);
		list_book_adopt(book, &policy, false);
		m->wishes[at] = wish;
		m->n += at == m->n;
		const struct list_entry *e = list_book_find(book, &wish);
		CU_ASSERT_PTR_NOT_NULL_FATAL(e);
		CU_ASSERT_EQUAL(e->until_s, wish.until_s);
		CU_ASSERT_STRING_EQUAL(list_entry_why(e), wish.why);
		CU_ASSERT_STRING_EQUAL(list_entry_service(book, e), wish.service);
		put(book, set, e);
		return;
	}
	const struct list_entry *found = list_book_find(book, &wish);
	CU_ASSERT_EQUAL(found != NULL, at < m->n);
	struct list_entry e = found != NULL ? *found : (struct list_entry){ .kind = LIST_NONE };
	CU_ASSERT_EQUAL(list_book_del(book, &wish), at < m->n ? LIST_DONE : LIST_NOT_THERE);
	if (at < m->n) {
		m->wishes[at] = m->wishes[--m->n];
		put(book, set, &e);
	}
}

static void
test_book_and_set_as_a_plain_list(void)
{
	static struct model m;
	uint64_t state = 20261126;
	struct list_book book;
	struct live_set *set = live_set_new(2000, 2000);

	CU_ASSERT_TRUE_FATAL(list_book_init(&book));
	CU_ASSERT_PTR_NOT_NULL_FATAL(set);
	m.n = 0;
	for (unsigned int i = 0; i < STEPS; i++) {
		step(&book, set, &m, &state);
		if (i % 500 != 0)
			continue;
		compare(&book, set, &m, &state);
		struct live_set *anew = list_book_set(&book);
		CU_ASSERT_PTR_NOT_NULL_FATAL(anew);
		compare(&book, anew, &m, &state);
		live_set_free(anew);
	}
	CU_ASSERT(m.n > 100);
	live_set_free(set);
	list_book_fini(&book);
}

struct seen {
	uint32_t n;
	struct prefix last;
};

static void
note(void *arg, const struct list_entry *e)
{
	struct seen *seen = arg;

	seen->n++;
	seen->last = e->prefix;
}

static struct list_wish
deny(uint32_t addr, uint32_t until_s, const char *why)
{
	return (struct list_wish){ .kind = LIST_DENY,
		                   .prefix = { ip_addr_v4(__builtin_bswap32(addr)), 128 },
		                   .service = "",
		                   .until_s = until_s,
		                   .why = why };
}

static void
test_what_has_ended_goes(void)
{
	struct list_book book;
	struct seen seen = { 0 };

	CU_ASSERT_TRUE_FATAL(list_book_init(&book));
	for (uint32_t i = 0; i < 100; i++) {
		struct list_wish wish = deny(i, i, "x"); /* the first one has no end */
		CU_ASSERT_EQUAL(list_book_add(&book, &wish), LIST_DONE);
	}
	CU_ASSERT_EQUAL(book.first_end_s, 1);
	CU_ASSERT_EQUAL(list_book_expire(&book, 0, note, &seen), 0);
	CU_ASSERT_EQUAL(list_book_expire(&book, 1, note, &seen), 1);
	CU_ASSERT_EQUAL(seen.last.addr.words_be[3], __builtin_bswap32(1));
	/* Another end for one that is there. */
	struct list_wish later = deny(50, 500, "y");
	CU_ASSERT_EQUAL(list_book_add(&book, &later), LIST_DONE);
	CU_ASSERT_EQUAL(list_book_expire(&book, 99, note, &seen), 97);
	CU_ASSERT_EQUAL(book.n, 2);
	CU_ASSERT_EQUAL(book.first_end_s, 500);
	CU_ASSERT_EQUAL(list_book_expire(&book, UINT32_MAX, note, &seen), 1);
	CU_ASSERT_EQUAL(book.first_end_s, UINT64_MAX);
	CU_ASSERT_EQUAL(book.n, 1);
	list_book_fini(&book);
}

static void
test_purge_takes_what_has_the_reason(void)
{
	struct list_book book;
	struct seen seen = { 0 };

	CU_ASSERT_TRUE_FATAL(list_book_init(&book));
	for (uint32_t i = 0; i < 100; i++) {
		struct list_wish wish = deny(i, 0, i % 3 == 0 ? "three" : i % 3 == 1 ? "" : "th");
		CU_ASSERT_EQUAL(list_book_add(&book, &wish), LIST_DONE);
	}
	struct list_wish three = deny(0, 0, "three");
	CU_ASSERT_EQUAL(list_book_purge(&book, &three, note, &seen), 34);
	CU_ASSERT_EQUAL(book.n, 66);
	CU_ASSERT_EQUAL(list_book_purge(&book, &three, note, &seen), 0);
	three.kind = LIST_ALLOW;
	three.why = "th";
	CU_ASSERT_EQUAL(list_book_purge(&book, &three, note, &seen), 0);
	list_book_fini(&book);
}

/* A reload takes a service away, gives its id to another, and brings it back. */
static void
test_an_entry_rests_while_its_service_is_gone(void)
{
	struct service other = { .name = "other", .id = 7 };
	struct policy without = { .services = &other, .n_services = 1 };
	struct list_wish wish = deny(9, 0, "");
	struct list_book book;
	uint32_t scope;

	CU_ASSERT_TRUE_FATAL(list_book_init(&book));
	wish.service = "web";
	CU_ASSERT_EQUAL(list_book_add(&book, &wish), LIST_DONE);
	const struct list_entry *e = list_book_find(&book, &wish);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_FALSE(list_book_scope(&book, e->service, &scope));
	CU_ASSERT_TRUE(list_book_adopt(&book, &policy, false));
	CU_ASSERT_FALSE(list_book_adopt(&book, &policy, true));
	CU_ASSERT_TRUE(list_book_scope(&book, e->service, &scope));
	CU_ASSERT_EQUAL(scope, 1 + 7);
	CU_ASSERT_TRUE(list_book_adopt(&book, &without, true));
	CU_ASSERT_FALSE(list_book_scope(&book, e->service, &scope));
	struct live_set *set = list_book_set(&book);
	CU_ASSERT_PTR_NOT_NULL_FATAL(set);
	CU_ASSERT_EQUAL(live_set_find(set, &wish.prefix.addr, 1 + 7), 0);
	CU_ASSERT_FALSE(live_set_concerns(set, 1 + 7));
	live_set_free(set);
	CU_ASSERT_FALSE(list_book_adopt(&book, &without, false));
	/* Back under another id: not until the policy is published. */
	services[0].id = 9;
	CU_ASSERT_FALSE(list_book_adopt(&book, &policy, true));
	CU_ASSERT_TRUE(list_book_adopt(&book, &policy, false));
	services[0].id = 7;
	CU_ASSERT_TRUE(list_book_scope(&book, e->service, &scope));
	CU_ASSERT_EQUAL(scope, 1 + 9);
	list_book_fini(&book);
}

/* It refuses when it is full, and look-ups end all the same. */
static void
test_a_set_that_is_full(void)
{
	struct live_set *set = live_set_new(1, 1);
	uint32_t n4 = 0, n6 = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(set);
	CU_ASSERT_FALSE(live_set_is_crowded(set));
	for (uint32_t i = 0; i < 1000; i++) {
		struct prefix v4 = { ip_addr_v4(i), 128 },
			      v6 = { .addr.quads_be = { 5, i }, .len = 128 };
		n4 += live_set_put(set, &v4, 0, LIVE_DENY);
		n6 += live_set_put(set, &v6, 0, LIVE_DENY);
	}
	CU_ASSERT(n4 >= 32 && n4 < 64);
	CU_ASSERT_EQUAL(n6, n4);
	CU_ASSERT_TRUE(live_set_is_crowded(set));
	struct ip_addr first4 = ip_addr_v4(0), first6 = { .quads_be = { 5, 0 } };
	struct ip_addr last4 = ip_addr_v4(999), last6 = { .quads_be = { 5, 999 } };
	CU_ASSERT_EQUAL(live_set_find(set, &first4, 1), LIVE_DENY);
	CU_ASSERT_EQUAL(live_set_find(set, &first6, 1), LIVE_DENY);
	CU_ASSERT_EQUAL(live_set_find(set, &last4, 1), 0);
	CU_ASSERT_EQUAL(live_set_find(set, &last6, 1), 0);
	/* What is there can still be changed, and what is not there can be taken away. */
	struct prefix v4 = { first4, 128 }, none = { last4, 128 };
	CU_ASSERT_TRUE(live_set_put(set, &v4, 0, LIVE_ALLOW));
	CU_ASSERT_TRUE(live_set_put(set, &none, 0, 0));
	CU_ASSERT_EQUAL(live_set_find(set, &first4, 1), LIVE_ALLOW);
	live_set_free(set);
}

static void
test_a_million(void)
{
	uint64_t state = 7;
	struct list_book book;

	CU_ASSERT_TRUE_FATAL(list_book_init(&book));
	CU_ASSERT_EQUAL_FATAL(list_book_reserve(&book, MILLION), LIST_DONE);
	for (uint32_t i = 0; i < MILLION; i++) {
		/* Each once: a multiplication by an odd number turns none into another. */
		struct list_wish wish = deny(i * 2654435761u, 0, "million");
		CU_ASSERT_EQUAL_FATAL(list_book_add(&book, &wish), LIST_DONE);
	}
	CU_ASSERT_EQUAL(book.n, MILLION);
	struct live_set *set = list_book_set(&book);
	CU_ASSERT_PTR_NOT_NULL_FATAL(set);
	/* In words of 8 bytes, a third of them taken at most. */
	CU_ASSERT(set->v4_mask < 4u << 20);
	CU_ASSERT_FALSE(live_set_is_crowded(set));
	for (uint32_t i = 0; i < MILLION; i++) {
		struct ip_addr addr = ip_addr_v4(__builtin_bswap32(i * 2654435761u));
		CU_ASSERT_EQUAL_FATAL(live_set_find(set, &addr, 1), LIVE_DENY);
	}
	for (uint32_t i = 0; i < MILLION; i++) {
		uint32_t k = MILLION + below(&state, UINT32_MAX - MILLION);
		struct ip_addr addr = ip_addr_v4(__builtin_bswap32(k * 2654435761u));
		CU_ASSERT_EQUAL_FATAL(live_set_find(set, &addr, 1), 0);
	}
	live_set_free(set);
	CU_ASSERT_EQUAL(list_book_reserve(&book, LIST_ENTRIES_MAX - MILLION), LIST_DONE);
	CU_ASSERT_EQUAL(list_book_reserve(&book, LIST_ENTRIES_MAX - MILLION + 1), LIST_FULL);
	list_book_fini(&book);
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_book_and_set_as_a_plain_list),
		CHECK_TEST(test_what_has_ended_goes),
		CHECK_TEST(test_purge_takes_what_has_the_reason),
		CHECK_TEST(test_an_entry_rests_while_its_service_is_gone),
		CHECK_TEST(test_a_set_that_is_full),
		CHECK_TEST(test_a_million),
		CU_TEST_INFO_NULL,
	};

	return check_run("list book", tests);
}
