/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The live lists over time: read from their file at the start, written to it after changes, and
 * what has ended taken away. A thread of control's, beside its loop: what is written has to reach
 * the disk, which takes as long as it takes, and secrets and a supervisor do not wait.
 *
 * The file is written anew as FILE.new, synced, and renamed: at any moment FILE is one whole state.
 * It follows a change within a second or so; a long one is not written more often than that it
 * takes a twentieth of the time.
 */
#ifndef SYNFRONT_LISTS_KEEPER_H
#define SYNFRONT_LISTS_KEEPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct lists_keeper {
	const char *path; /* NULL: in memory alone */
	pthread_t thread;
	bool is_running;
	bool is_ending;   /* atomic */
	uint64_t version; /* that is in the file */
	uint64_t next_ms; /* not written before */
	bool has_failed;  /* the last time, and it has been said */
};

/* After lists_begin(). A file that is not there yet is an empty one. 0, or -1: logged, with line
 * and column. */
int lists_keeper_read(struct lists_keeper *keeper, const char *path);
/* After lists_attach(); until stop, which writes once more if that is due, before lists_detach(). */
void lists_keeper_start(struct lists_keeper *keeper);
void lists_keeper_stop(struct lists_keeper *keeper);

#endif
