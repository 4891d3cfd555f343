/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What outlives the process: maps and links as files in a folder of the BPF file system, one
 * folder for each instance.
 *
 *   map-NAME   a map; its layout is held against ours by libbpf
 *   if-NAME    the link to the interface of this name
 *   opened     the link to the tracepoint
 */
#ifndef SYNFRONT_ADOPT_PINS_H
#define SYNFRONT_ADOPT_PINS_H

#include <stdbool.h>
#include <stdint.h>

#define PINS_PLACE_SIZE 136u
#define PINS_PATH_SIZE 256u

/* The folder of an instance in a file system; both names have at most 63 bytes. */
void pins_place(char place[PINS_PLACE_SIZE], const char *fs, const char *instance);

/* The file in it. */
void pins_path(char path[PINS_PATH_SIZE], const char *place, const char *kind, const char *name);

bool pins_exist(const char *place);

/* 0, or -1 and errno; ENODEV: that is no BPF file system. */
int pins_make(const char *place);

/* Remove maps alone, all links to interfaces but the n named, or all. */
void pins_remove_maps(const char *place);
void pins_keep_links(const char *place, const char *const *interfaces, uint32_t n);
void pins_remove(const char *place);

#endif
