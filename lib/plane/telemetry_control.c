/* SPDX-License-Identifier: BSD-3-Clause */
/* Strings of DPDK's telemetry end after 127 bytes, so longer texts come in pieces. */
#include "telemetry_control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "dpdk_versions.h"
#include "event_ring.h"
#include "telemetry_list.h"

#define PIECE_SIZE 120u
/* An answer of DPDK's has 16 KiB, and a byte may be written as six. */
#define CONFIG_PIECES_MAX 64u
#define CONFIG_PAGE 32u

#define WHEN_SIZE 32

/* A byte of a text may be written as six. */
#define EVENTS_PAGE 12u

static void
add_pieces(struct rte_tel_data *array, const char *text)
{
	char piece[PIECE_SIZE + 1];
	size_t n = strlen(text);

	for (size_t at = 0; at < n; at += PIECE_SIZE) {
		snprintf(piece, sizeof(piece), "%.*s", (int)PIECE_SIZE, text + at);
		rte_tel_data_add_array_string(array, piece);
	}
}

void
telemetry_add_text(struct rte_tel_data *d, const char *name, const char *text)
{
	struct rte_tel_data *array = rte_tel_data_alloc();

	if (array == NULL)
		return;
	rte_tel_data_start_array(array, RTE_TEL_STRING_VAL);
	add_pieces(array, text);
	if (rte_tel_data_add_dict_container(d, name, array, 0) != 0)
		rte_tel_data_free(array);
}

static void
when_text(uint64_t wall_s, char text[WHEN_SIZE])
{
	time_t t = (time_t)wall_s;
	struct tm utc;

	if (wall_s == 0 || gmtime_r(&t, &utc) == NULL ||
	    strftime(text, WHEN_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		snprintf(text, WHEN_SIZE, "never");
}

static const char *
result_text(const struct board_reload *r)
{
	if (r->number == 0)
		return "none";
	return r->is_refused ? "refused" : "in force";
}

static void
add_reload(struct rte_tel_data *d, const struct board_reload *r)
{
	char when[WHEN_SIZE];

	when_text(r->wall_s, when);
	rte_tel_data_add_dict_string(d, "result", result_text(r));
	rte_tel_data_add_dict_string(d, "when", when);
	telemetry_add_text(d, "text", r->text);
}

int
telemetry_reload(const char *command, const char *params, struct rte_tel_data *d)
{
	struct board_reload r;
	uint64_t n_refused;
	char *end;

	(void)command;
	rte_tel_data_start_dict(d);
	if (params == NULL || *params == '\0') {
		board_last_reload(&r, &n_refused);
		rte_tel_data_add_dict_uint(d, "reloads", r.number);
		rte_tel_data_add_dict_uint(d, "refused", n_refused);
		add_reload(d, &r);
		return 0;
	}
	if (strcmp(params, "now") == 0) {
		rte_tel_data_add_dict_uint(d, "ticket", board_ask_reload());
		return kill(getpid(), SIGHUP);
	}
	uint64_t ticket = strtoull(params, &end, 10);
	if (*end != '\0' || ticket == 0)
		return -1;
	rte_tel_data_add_dict_uint(d, "ticket", ticket);
	if (board_find_reload(ticket, &r))
		add_reload(d, &r);
	else
		rte_tel_data_add_dict_string(d, "result", "pending");
	return 0;
}

int
telemetry_health(const char *command, const char *params, struct rte_tel_data *d)
{
	struct rte_tel_data *reasons = rte_tel_data_alloc();
	struct health health;

	(void)command;
	(void)params;
	if (reasons == NULL)
		return -1;
	board_health(&health);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "state", health_text(health.state));
	rte_tel_data_start_array(reasons, RTE_TEL_STRING_VAL);
	for (unsigned int i = 0; i < health.n; i++)
		rte_tel_data_add_array_string(reasons, health.reasons[i]);
	if (rte_tel_data_add_dict_container(d, "reasons", reasons, 0) == 0)
		return 0;
	rte_tel_data_free(reasons);
	return -1;
}

int
telemetry_events(const char *command, const char *params, struct rte_tel_data *d)
{
	struct event_record records[EVENTS_PAGE];
	struct list list = { .n = 0 };
	char when[WHEN_SIZE];

	(void)command;
	uint64_t start = params != NULL ? strtoull(params, NULL, 10) : 0;
	uint32_t n = event_ring_read(start, records, EVENTS_PAGE);
	for (uint32_t i = 0; i < n; i++) {
		list.at = 0;
		when_text(records[i].wall_ms / 1000, when);
		list_u64(&list, "number", records[i].number);
		list_text(&list, "time", when);
		list_text(&list, "event", records[i].event);
		list_text(&list, "state", records[i].state);
		list_text(&list, "subject", records[i].subject);
		list_text(&list, "text", records[i].text);
	}
	return list_answer(d, &list, n == EVENTS_PAGE ? records[n - 1].number + 1 : 0);
}

/* Lines as "PATH VALUE"; what begins with a blank goes on with the one before. */
struct page {
	struct rte_tel_data *lines;
	unsigned int n_pieces, n;
};

static unsigned int
pieces_of(size_t size)
{
	return (unsigned int)((size + PIECE_SIZE - 2) / (PIECE_SIZE - 1));
}

static void
add_line(void *arg, const struct conf_flat *flat)
{
	struct page *page = arg;
	char text[8192], piece[PIECE_SIZE + 1];
	int n = snprintf(text, sizeof(text), "%s %s", flat->path, flat->value);
	unsigned int n_pieces = pieces_of((size_t)n);

	/* A value that does not fit any more begins the next page; the first always fits. */
	if (page->n_pieces == UINT32_MAX || page->n_pieces + n_pieces > CONFIG_PIECES_MAX) {
		page->n_pieces = UINT32_MAX;
		return;
	}
	page->n_pieces += n_pieces;
	page->n++;
	for (unsigned int i = 0; i < n_pieces; i++) {
		snprintf(piece, sizeof(piece), "%s%.*s", i > 0 ? " " : "", (int)PIECE_SIZE - 1,
		         text + i * (PIECE_SIZE - 1));
		rte_tel_data_add_array_string(page->lines, piece);
	}
}

int
telemetry_config(const struct conf *conf, const char *params, struct rte_tel_data *d)
{
	uint64_t start = params != NULL ? strtoull(params, NULL, 10) : 0;
	struct page page = { .lines = rte_tel_data_alloc() };

	if (page.lines == NULL)
		return -1;
	rte_tel_data_start_array(page.lines, RTE_TEL_STRING_VAL);
	uint64_t next = conf_flatten(conf, start, CONFIG_PAGE, add_line, &page);
	if (page.n_pieces == UINT32_MAX)
		next = start + page.n;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_uint(d, "next", next);
	rte_tel_data_add_dict_uint(d, "generation", conf->policy.generation);
	if (rte_tel_data_add_dict_container(d, "lines", page.lines, 0) == 0)
		return 0;
	rte_tel_data_free(page.lines);
	return -1;
}

void
telemetry_add_reloads(struct rte_tel_data *d)
{
	struct board_reload r;
	uint64_t n_refused;
	char when[WHEN_SIZE];

	board_last_reload(&r, &n_refused);
	when_text(r.wall_s, when);
	rte_tel_data_add_dict_uint(d, "reloads", r.number);
	rte_tel_data_add_dict_uint(d, "reloads_refused", n_refused);
	rte_tel_data_add_dict_string(d, "last_reload", when);
	rte_tel_data_add_dict_string(d, "last_reload_result", result_text(&r));
}

void
telemetry_control_offer(telemetry_offer offer)
{
	offer("/synfront/reload", telemetry_reload,
	      "Read the configuration again. Parameter: now, a ticket, or none");
	offer("/synfront/health", telemetry_health, "How the engine is, and why. No parameters");
	offer("/synfront/events", telemetry_events, "The last events. Parameter: first one");
}
