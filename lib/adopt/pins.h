/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What outlives the process: maps and links as files in a folder of the BPF file system, one
 * folder for each instance.
 *
 *   map-NAME   a map; its layout is held against ours by libbpf
 *   if-NAME    the link to the interface of this name
 *   opened     the link to the tracepoint
 *
 * In a BPF file system anybody may be allowed to make folders, and other programs have theirs:
 * only a folder of this user, closed to all others, with nothing in it but such files, is taken
 * over or removed.
 */
#ifndef SYNFRONT_ADOPT_PINS_H
#define SYNFRONT_ADOPT_PINS_H

#include <stdbool.h>
#include <stdint.h>

#define PINS_PLACE_SIZE 136u
#define PINS_PATH_SIZE 256u
#define PINS_WHY_SIZE 96u

/* The folder of an instance in a file system; both names have at most 63 bytes. */
void pins_place(char place[PINS_PLACE_SIZE], const char *fs, const char *instance);

/* The file in it. */
void pins_path(char path[PINS_PATH_SIZE], const char *place, const char *kind, const char *name);

enum pins_found {
	PINS_NONE,
	PINS_OURS,
	PINS_FOREIGN, /* `why` says what was found */
};
enum pins_found pins_look(const char *place, char why[PINS_WHY_SIZE]);

/* 0, or -1 and errno; ENODEV: that is no BPF file system. */
int pins_make(const char *place);

/* Of a folder of ours remove maps alone, all links to interfaces but the n named, or all, with the
 * folder: the last one looks whose it is. */
void pins_remove_maps(const char *place);
void pins_keep_links(const char *place, const char *const *interfaces, uint32_t n);
void pins_remove(const char *place);

#endif
