/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that others may read at any moment, or find after a crash: it is written under a name
 * beside its own (with ".new" behind it), and takes its place by rename(2) once it is whole. So
 * there is the old one or the fresh one, and never a part.
 */
#ifndef SYNFRONT_FRESH_FILE_H
#define SYNFRONT_FRESH_FILE_H

#include <limits.h>
#include <stdio.h>

/* Of whoever writes it, from the beginning to the end; `path` must live as long. */
struct fresh_file {
	FILE *out;
	const char *path;
	char name[PATH_MAX];
};

enum fresh_file_need {
	FRESH_FILE_WHOLE, /* for who reads it while the machine runs */
	FRESH_FILE_KEPT,  /* on disk, and its folder, too, when it has ended */
};

/* Begin; 0, or -1 and errno. */
int fresh_file_begin(struct fresh_file *file, const char *path);

/* What was written takes the file's place. 0, or -1 and errno: whatever failed since the beginning,
 * the old file is still there and the fresh one is not. (FRESH_FILE_KEPT: where only the folder
 * could not be written, the fresh one has taken its place.) */
int fresh_file_end(struct fresh_file *file, enum fresh_file_need need);

#endif
