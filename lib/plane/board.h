/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What others ask of the control thread, and what it has done and seen. A lock of its own,
 * which nobody holds for long: neither waits for the other, whatever a worker does.
 *
 * Who asks for a reload gets a ticket, and wakes control by SIGHUP. A reload serves all tickets
 * given before it begins; the one that serves a ticket first is its answer.
 */
#ifndef SYNFRONT_BOARD_H
#define SYNFRONT_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "health.h"

#define BOARD_TEXT_SIZE 512 /* as struct conf_error */

struct board_reload {
	uint64_t number; /* of reloads, from 1; 0: there has been none */
	uint64_t serves; /* tickets up to this */
	uint64_t wall_s; /* when it was over */
	bool is_refused;
	char text[BOARD_TEXT_SIZE]; /* why; or what is in force now */
};

/* A ticket, from 1. */
uint64_t board_ask_reload(void);

/* Control: the tickets that a reload which begins now serves. */
uint64_t board_begin_reload(void);
/* ... and what became of it; number and wall_s are filled in. */
void board_end_reload(uint64_t serves, bool is_refused, const char *text);
/* From now on each ticket is refused with this text. */
void board_refuse_reloads(const char *text);

/* The answer to a ticket. False: it is not there yet, or no longer kept. */
bool board_find_reload(uint64_t ticket, struct board_reload *found);
/* The last one, and how many have been refused, done or not. */
void board_last_reload(struct board_reload *last, uint64_t *n_refused);

/* Control, a few times a second: how the engine is. */
void board_set_health(const struct health *health);
/* As it was last seen. If that was long ago, control itself stands still, and that is added. */
void board_health(struct health *health);

#endif
