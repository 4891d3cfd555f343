/* SPDX-License-Identifier: BSD-3-Clause */
/* The book and the set of live lists while memory, or randomness, gives out: at any step they say
 * so, and what is there stays. The linker brings the library's allocations here (--wrap). */
#include "check.h"
#include "list_book.h"
#include "scarce_memory.h"

/* Enough entries for the tables to grow, of services and reasons that differ; then the set. How
 * many entries were taken in before memory gave out. */
static uint32_t
fill(struct list_book *book, bool *is_whole)
{
	char service[SERVICE_NAME_MAX], why[LIST_WHY_SIZE];
	uint32_t n = 0;

	for (; n < 300; n++) {
		snprintf(service, sizeof(service), "s%u", n / 100);
		snprintf(why, sizeof(why), "reason %u", n / 50);
		struct list_wish wish = {
			.kind = LIST_DENY,
			.prefix = { ip_addr_v4(n), 128 },
			.service = service,
			.why = why,
		};
		if (list_book_add(book, &wish) != LIST_DONE)
			break;
	}
	struct live_set *set = list_book_set(book);
	*is_whole = n == 300 && set != NULL;
	live_set_free(set);
	return n;
}

/* False: the book could not even be made. */
static bool
run(unsigned int fail, bool *is_whole)
{
	struct list_book book;

	memory.n = 0;
	memory.fail = fail;
	memory.live = 0;
	*is_whole = false;
	memory.counts = true;
	bool is_made = list_book_init(&book);
	if (is_made) {
		uint32_t n = fill(&book, is_whole);
		CU_ASSERT_EQUAL(book.n, n);
		for (uint32_t i = 0; i < book.fresh; i++)
			CU_ASSERT_PTR_NOT_NULL(list_book_at(&book, i));
		list_book_fini(&book);
	}
	memory.counts = false;
	CU_ASSERT_EQUAL(memory.live, 0);
	return is_made;
}

static void
test_every_allocation_may_fail(void)
{
	bool is_whole = false;
	unsigned int fail = 1;

	for (; fail < 10000 && !is_whole; fail++)
		run(fail, &is_whole);
	CU_ASSERT_TRUE(is_whole);
	CU_ASSERT(fail > 10);
}

static void
test_no_randomness(void)
{
	struct list_book book;

	memory.no_random = true;
	CU_ASSERT_FALSE(list_book_init(&book));
	CU_ASSERT_PTR_NULL(live_set_new(1, 1));
	memory.no_random = false;
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_every_allocation_may_fail),
		CHECK_TEST(test_no_randomness),
		CU_TEST_INFO_NULL,
	};

	return check_run("list memory", tests);
}
