/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's core, driven by values: segments and clock steps in, segments out
 * (world.out). What leaves is checked byte by byte on its way.
 *
 * inside.c, inside_check.c and inside_level.c are the only files here that look into a core.
 */
#ifndef SYNFRONT_EXPLORE_ENGINE_H
#define SYNFRONT_EXPLORE_ENGINE_H

#include "hash.h"
#include "world.h"

void engine_init(struct world *w, unsigned int worker);
void engine_fini(struct world *w, unsigned int worker);
/* Begin anew, as the process does that is started again. */
void engine_restart(struct world *w, unsigned int worker);
void engine_reload(struct world *w, unsigned int worker);
/* One frame. What leaves is in w->out. */
void engine_receive(struct world *w, unsigned int worker, const struct seg *seg);
/* Would this worker answer it itself, whoever owns its flow? (core_whose()) */
bool engine_answers(struct world *w, unsigned int worker, const struct seg *seg);
/* Its timers, at this time. What leaves is in w->out. */
void engine_tick(struct world *w, unsigned int worker, uint32_t elapsed_ms);

/* The part of the memory that changes: its size, and moving it. */
size_t inside_size(const struct core *core);
void inside_save(const struct engine *e, void *image);
void inside_load(struct engine *e, const void *image);
/* Has anything else been written? `pristine` is the memory as it was. */
bool inside_is_clean(const struct engine *e, const struct core_params *params);
/* Hash of all that can make a difference to what it does from `now` on. */
struct hash inside_hash(struct engine *e, size_t size, const struct instant *now);

/* The core that decides for what is observed; NULL: there is none. */
struct core *inside_shadow(const struct core *core);

/* What a core has for a flow. */
struct inside_entry {
	enum {
		ENTRY_NONE,
		ENTRY_HALF_OPEN,
		ENTRY_CONNECTION
	} kind;
	enum conn_state state;
	uint32_t irs;
	bool client_gone; /* it has reset, and the server has not been told yet */
};
struct inside_entry inside_find(struct core *core, unsigned int flow);
/* RULE_tables, RULE_cookie and RULE_absent, of a server that can do these options. */
void inside_check_tables(struct world *w, unsigned int worker, uint8_t server_options);
/* Is every option of the server settled? */
bool inside_is_taught(const struct core *core);
/* No source holds anything, no server has a connection under way. */
bool inside_is_idle(const struct core *core);
/* Rows of the decision table: note the one that a parsed segment takes, and how many there
 * are of those that segments can take. */
void inside_note_row(struct core *core, const struct segment *seg, unsigned int flow);
unsigned int inside_rows(unsigned int *n_all, bool names_missing);

#endif
