/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry_lists.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dpdk_versions.h"
#include "list_line.h"
#include "lists.h"
#include "log.h"
#include "prefix_text.h"
#include "telemetry_list.h"

/* DPDK cuts an answer at 16 KiB, and an array at 512 values; what is looked at for one answer
 * bounds how long the lock is held. */
#define PAGE_SIZE_MAX 15000u
#define PAGE_ROWS_MAX 500u
#define ROW_SIZE 45u /* of numbers, quotes and commas */
#define LOOKED_AT_MAX 16384u
#define WORDS_SIZE 1024u

struct page {
	enum list_kind kind;
	struct list list;
	unsigned int n;
	size_t size; /* as JSON, where a byte of a reason may be written as two */
};

static bool
add_row(void *arg, const struct list_view *view)
{
	struct page *page = arg;
	char prefix[CONF_PREFIX_SIZE];

	if (view->kind != page->kind)
		return true;
	conf_format_prefix(view->prefix, prefix);
	page->size += ROW_SIZE + strlen(prefix) + strlen(view->service) + 2 * strlen(view->why);
	if (page->size > PAGE_SIZE_MAX || page->n == PAGE_ROWS_MAX)
		return false;
	page->n++;
	page->list.at = 0;
	list_text(&page->list, "prefix", prefix);
	list_text(&page->list, "service", *view->service != '\0' ? view->service : "(all)");
	list_u64(&page->list, "expires_s", view->left_s);
	list_u64(&page->list, "in_force", !view->rests);
	list_text(&page->list, "why", view->why);
	/* Arrays of DPDK's have one type, and no null. */
	list_text(&page->list, "unknown", view->ends ? "" : "expires_s");
	return true;
}

static int
list_page(enum list_kind kind, uint64_t start, struct rte_tel_data *d)
{
	struct page page = { .kind = kind };
	uint32_t next = 0;

	if (start < UINT32_MAX)
		next = lists_each((uint32_t)start, LOOKED_AT_MAX, add_row, &page);
	return list_answer(d, &page.list, next);
}

/* What stands behind the action: words, and a reason that goes to the end. -1 and what is wrong. */
static int
read_words(char *at, struct list_wish *wish, char problem[LISTS_TEXT_SIZE])
{
	char *end;

	while (*(at += strspn(at, " ")) != '\0') {
		char *word = at;
		if (strncmp(at, "why=", 4) == 0) {
			wish->why = at + 4;
			break;
		}
		at += strcspn(at, " ");
		if (*at != '\0')
			*at++ = '\0';
		if (strncmp(word, "service=", 8) == 0) {
			wish->service = word + 8;
		} else if (strncmp(word, "for=", 4) == 0) {
			wish->until_s = (uint32_t)strtoul(word + 4, &end, 10);
			if (*end == '\0' && wish->until_s != 0)
				continue;
			snprintf(problem, LISTS_TEXT_SIZE, "for=: expected seconds from 1");
			return -1;
		} else {
			snprintf(problem, LISTS_TEXT_SIZE,
			         "found \"%.60s\"; expected service=, for= or why=", word);
			return -1;
		}
	}
	const char *fault = list_why_fault(wish->why);
	if (fault == NULL && *wish->service != '\0')
		fault = list_service_fault(wish->service);
	if (fault != NULL)
		snprintf(problem, LISTS_TEXT_SIZE, "%s", fault);
	return fault == NULL ? 0 : -1;
}

/* The word at *at, ended; *at goes behind it. */
static char *
take_word(char **at)
{
	char *word = *at + strspn(*at, " ");

	*at = word + strcspn(word, " ");
	if (**at != '\0')
		*(*at)++ = '\0';
	return word;
}

static int
change(enum list_kind kind, char *at, bool is_add, char text[LISTS_TEXT_SIZE])
{
	struct list_wish wish = { .kind = kind, .service = "", .why = "" };
	char *word = take_word(&at);

	if (!list_prefix(word, &wish.prefix, text) || read_words(at, &wish, text) != 0)
		return -1;
	return is_add ? lists_add(&wish, text) : lists_del(&wish, text);
}

static int
load_more(char *at, char *ticket_word, char text[LISTS_TEXT_SIZE])
{
	struct prefix prefixes[LISTS_MANY_MAX];
	uint64_t ticket = strtoull(ticket_word, NULL, 10);
	uint32_t n = 0;

	for (char *word = take_word(&at); *word != '\0'; word = take_word(&at)) {
		if (strcmp(word, "commit") == 0)
			return lists_load_commit(ticket, text);
		if (n == LISTS_MANY_MAX) {
			snprintf(text, LISTS_TEXT_SIZE, "more than %u at once", LISTS_MANY_MAX);
			return -1;
		}
		if (!list_prefix(word, &prefixes[n++], text))
			return -1;
	}
	return lists_load_more(ticket, prefixes, n, text);
}

static int
load(enum list_kind kind, char *at, uint64_t *ticket, char text[LISTS_TEXT_SIZE])
{
	struct list_wish wish = { .kind = kind, .service = "", .why = "" };
	char *word = take_word(&at);

	if (strcmp(word, "begin") != 0)
		return load_more(at, word, text);
	if (read_words(at, &wish, text) != 0)
		return -1;
	return lists_load_begin(&wish, ticket, text);
}

_Static_assert((int)LIST_PROBLEM_SIZE <= (int)LISTS_TEXT_SIZE, "a problem is a text");

static int
answer(enum list_kind kind, const char *params, struct rte_tel_data *d)
{
	char words[WORDS_SIZE], text[LISTS_TEXT_SIZE] = "";
	uint64_t ticket = 0;
	int rc = -1;

	if (params == NULL || *params == '\0' || strspn(params, "0123456789") == strlen(params))
		return list_page(kind, params != NULL ? strtoull(params, NULL, 10) : 0, d);
	snprintf(words, sizeof(words), "%s", params);
	char *at = words, *action = take_word(&at);
	bool is_load = strcmp(action, "load") == 0;

	if (strcmp(action, "add") == 0 || strcmp(action, "del") == 0)
		rc = change(kind, at, *action == 'a', text);
	else if (is_load)
		rc = load(kind, at, &ticket, text);
	else
		snprintf(text, sizeof(text), "found \"%.60s\"; expected add, del or load", action);
	/* Of a load its end; all else by whoever bans, hundreds a second perhaps. */
	if (rc == 0 && *text != '\0')
		log_message(is_load ? CONF_LOG_NOTICE : CONF_LOG_INFO, "lists: %s", text);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "refused", rc != 0);
	if (ticket != 0)
		rte_tel_data_add_dict_uint(d, "ticket", ticket);
	telemetry_add_text(d, "text", text);
	return 0;
}

static int
deny(const char *command, const char *params, struct rte_tel_data *d)
{
	(void)command;
	return answer(LIST_DENY, params, d);
}

static int
allow(const char *command, const char *params, struct rte_tel_data *d)
{
	(void)command;
	return answer(LIST_ALLOW, params, d);
}

void
telemetry_lists_offer(telemetry_offer offer)
{
	offer("/synfront/deny", deny, "The live deny list. Parameter: first one, or a change");
	offer("/synfront/allow", allow, "The live allow list. Parameter: first one, or a change");
}
