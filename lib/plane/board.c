/* SPDX-License-Identifier: BSD-3-Clause */
#include "board.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"

/* Answers that are kept: who asked looks several times a second. */
#define KEPT 8u
/* Control looks four times a second, unless a worker does not take a reload. */
#define CONTROL_STILL_MS 5000u

static struct {
	pthread_mutex_t lock;
	uint64_t asked;
	struct board_reload reloads[KEPT]; /* by number modulo KEPT */
	uint64_t n_reloads, n_refused;
	bool is_ending;
	struct health health;
	uint64_t looked_ms; /* 0: not yet */
} board = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Under the lock. */
static void
add_reload(uint64_t serves, bool is_refused, const char *text)
{
	struct board_reload *r = &board.reloads[++board.n_reloads % KEPT];
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	r->number = board.n_reloads;
	r->serves = serves;
	r->wall_s = (uint64_t)wall.tv_sec;
	r->is_refused = is_refused;
	snprintf(r->text, sizeof(r->text), "%s", text);
	board.n_refused += is_refused;
}

uint64_t
board_ask_reload(void)
{
	pthread_mutex_lock(&board.lock);
	uint64_t ticket = ++board.asked;
	if (board.is_ending) {
		/* The text is that of the last one, which refused those before. */
		char text[BOARD_TEXT_SIZE];
		snprintf(text, sizeof(text), "%s", board.reloads[board.n_reloads % KEPT].text);
		add_reload(ticket, true, text);
	}
	pthread_mutex_unlock(&board.lock);
	return ticket;
}

uint64_t
board_begin_reload(void)
{
	pthread_mutex_lock(&board.lock);
	uint64_t serves = board.asked;
	pthread_mutex_unlock(&board.lock);
	return serves;
}

void
board_end_reload(uint64_t serves, bool is_refused, const char *text)
{
	pthread_mutex_lock(&board.lock);
	add_reload(serves, is_refused, text);
	pthread_mutex_unlock(&board.lock);
}

void
board_refuse_reloads(const char *text)
{
	pthread_mutex_lock(&board.lock);
	board.is_ending = true;
	add_reload(board.asked, true, text);
	pthread_mutex_unlock(&board.lock);
}

bool
board_find_reload(uint64_t ticket, struct board_reload *found)
{
	bool is_there = false;

	pthread_mutex_lock(&board.lock);
	uint64_t n = board.n_reloads, first = n > KEPT ? n - KEPT + 1 : 1;
	for (uint64_t number = first; number <= n && !is_there; number++) {
		*found = board.reloads[number % KEPT];
		is_there = found->serves >= ticket;
	}
	pthread_mutex_unlock(&board.lock);
	return is_there;
}

void
board_last_reload(struct board_reload *last, uint64_t *n_refused)
{
	pthread_mutex_lock(&board.lock);
	*last = board.reloads[board.n_reloads % KEPT];
	*n_refused = board.n_refused;
	pthread_mutex_unlock(&board.lock);
}

void
board_set_health(const struct health *health)
{
	pthread_mutex_lock(&board.lock);
	board.health = *health;
	board.looked_ms = clock_ms(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&board.lock);
}

void
board_health(struct health *health)
{
	pthread_mutex_lock(&board.lock);
	*health = board.health;
	uint64_t looked_ms = board.looked_ms, now_ms = clock_ms(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&board.lock);
	if (looked_ms != 0 && now_ms > looked_ms + CONTROL_STILL_MS)
		health_add(health, HEALTH_FAILED, "the control thread has stood still for %.0f s",
		           (double)(now_ms - looked_ms) / 1000);
}
