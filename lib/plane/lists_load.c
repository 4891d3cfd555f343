/* SPDX-License-Identifier: BSD-3-Clause */
#include "lists_load.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"

#define PATIENCE_MS 10000u
#define ROOM_FIRST 4096u

/* The load on its way. */
static struct {
	pthread_mutex_t lock;
	uint64_t last_ticket;
	uint64_t ticket; /* 0: there is none */
	uint64_t heard_ms;
	struct list_wish wish;
	char service[SERVICE_NAME_MAX], why[LIST_WHY_SIZE];
	struct prefix *prefixes;
	uint32_t n, room;
} staged = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
unstage(void)
{
	free(staged.prefixes);
	staged.prefixes = NULL;
	staged.ticket = 0;
	staged.n = staged.room = 0;
}

static int
begin(const struct list_wish *wish, uint64_t *ticket, char text[LISTS_TEXT_SIZE])
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	if (lists_check(wish, text) != 0)
		return -1;
	if (staged.ticket != 0 && now_ms - staged.heard_ms < PATIENCE_MS) {
		snprintf(text, LISTS_TEXT_SIZE, "another load is on its way: try again");
		return -1;
	}
	unstage();
	staged.wish = *wish;
	snprintf(staged.service, sizeof(staged.service), "%s", wish->service);
	snprintf(staged.why, sizeof(staged.why), "%s", wish->why);
	staged.wish.service = staged.service;
	staged.wish.why = staged.why;
	staged.heard_ms = now_ms;
	*ticket = staged.ticket = ++staged.last_ticket;
	text[0] = '\0';
	return 0;
}

int
lists_load_begin(const struct list_wish *wish, uint64_t *ticket, char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&staged.lock);
	int rc = begin(wish, ticket, text);
	pthread_mutex_unlock(&staged.lock);
	return rc;
}

static bool
make_room(uint32_t n)
{
	if (staged.n + n <= staged.room)
		return true;
	uint32_t room = staged.room > 0 ? 2 * staged.room : ROOM_FIRST;
	struct prefix *more = realloc(staged.prefixes, room * sizeof(*more));
	if (more == NULL)
		return false;
	staged.prefixes = more;
	staged.room = room;
	return true;
}

static int
more(uint64_t ticket, const struct prefix *prefixes, uint32_t n, char text[LISTS_TEXT_SIZE])
{
	if (ticket == 0 || staged.ticket != ticket) {
		snprintf(text, LISTS_TEXT_SIZE, "this load has taken too long, and been given up");
		return -1;
	}
	if (n > LIST_ENTRIES_MAX - staged.n)
		return lists_refuse(LIST_FULL, text);
	if (!make_room(n))
		return lists_refuse(LIST_NO_MEMORY, text);
	if (n > 0)
		memcpy(staged.prefixes + staged.n, prefixes, n * sizeof(*prefixes));
	staged.n += n;
	staged.heard_ms = clock_ms(CLOCK_BOOTTIME);
	text[0] = '\0';
	return 0;
}

int
lists_load_more(uint64_t ticket, const struct prefix *prefixes, uint32_t n,
                char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&staged.lock);
	int rc = more(ticket, prefixes, n, text);
	pthread_mutex_unlock(&staged.lock);
	return rc;
}

int
lists_load_commit(uint64_t ticket, char text[LISTS_TEXT_SIZE])
{
	pthread_mutex_lock(&staged.lock);
	int rc = more(ticket, NULL, 0, text);
	if (rc == 0) {
		rc = lists_replace(&staged.wish, staged.prefixes, staged.n, text);
		unstage();
	}
	pthread_mutex_unlock(&staged.lock);
	return rc;
}

void
lists_load_end(void)
{
	pthread_mutex_lock(&staged.lock);
	unstage();
	pthread_mutex_unlock(&staged.lock);
}
