/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that somebody else names, or has written: a FIFO or a device in its place must not make
 * who reads it wait, nor a terminal become its controlling one. */
#ifndef SYNFRONT_CONF_REGULAR_FILE_H
#define SYNFRONT_CONF_REGULAR_FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Open it for reading; *status: what is open, not what has the name by now. -1: errno says why,
 * 0 that it is there and no regular file. */
int regular_file_open(const char *path, struct stat *status);

/* Up to `size` bytes, however the reads come. -1 and errno. */
ssize_t regular_file_read(int fd, void *bytes, size_t size);

#endif
