/* SPDX-License-Identifier: BSD-3-Clause */
#include "pins.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPF_FILE_SYSTEM_MAGIC 0xcafe4a11

void
pins_place(char place[PINS_PLACE_SIZE], const char *fs, const char *instance)
{
	snprintf(place, PINS_PLACE_SIZE, "%.63s/%.63s", fs, instance);
}

/* A name of the file system must have no dots, and an interface may (a VLAN's often has). */
void
pins_path(char path[PINS_PATH_SIZE], const char *place, const char *kind, const char *name)
{
	int at = snprintf(path, PINS_PATH_SIZE, "%.130s/%.16s", place, kind);

	if (name != NULL)
		snprintf(path + at, PINS_PATH_SIZE - (size_t)at, "-%.64s", name);
	for (char *c = path + at; *c != '\0'; c++)
		if (*c == '.')
			*c = '~';
}

bool
pins_exist(const char *place)
{
	return access(place, F_OK) == 0;
}

int
pins_make(const char *place)
{
	struct statfs fs;

	if (mkdir(place, 0700) != 0 || statfs(place, &fs) != 0)
		return -1;
	if ((unsigned long)fs.f_type == BPF_FILE_SYSTEM_MAGIC)
		return 0;
	rmdir(place);
	errno = ENODEV;
	return -1;
}

static void
remove_where(const char *place, bool (*is_meant)(const char *file, const void *what),
             const void *what)
{
	DIR *dir = opendir(place);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.' && is_meant(entry->d_name, what)) {
			unlinkat(dirfd(dir), entry->d_name, 0);
			rewinddir(dir);
		}
	}
	closedir(dir);
}

static bool
is_map(const char *file, const void *what)
{
	(void)what;
	return strncmp(file, "map-", 4) == 0;
}

void
pins_remove_maps(const char *place)
{
	remove_where(place, is_map, NULL);
}

struct names {
	const char *const *interfaces;
	uint32_t n;
};

static bool
is_other_link(const char *file, const void *what)
{
	const struct names *names = what;
	char path[PINS_PATH_SIZE];

	if (strncmp(file, "if-", 3) != 0)
		return false;
	for (uint32_t i = 0; i < names->n; i++) {
		pins_path(path, "", "if", names->interfaces[i]);
		if (strcmp(path + 1, file) == 0)
			return false;
	}
	return true;
}

void
pins_keep_links(const char *place, const char *const *interfaces, uint32_t n)
{
	struct names names = { interfaces, n };

	remove_where(place, is_other_link, &names);
}

static bool
is_any(const char *file, const void *what)
{
	(void)file;
	(void)what;
	return true;
}

void
pins_remove(const char *place)
{
	remove_where(place, is_any, NULL);
	rmdir(place);
}
