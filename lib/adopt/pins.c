/* SPDX-License-Identifier: BSD-3-Clause */
#include "pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* A name that an agent gives. */
static bool
is_any(const char *file, const void *what)
{
	(void)what;
	return strncmp(file, "map-", 4) == 0 || strncmp(file, "if-", 3) == 0 ||
	       strcmp(file, "opened") == 0;
}

/* The first thing in the folder that no agent has put there; false: there is none. */
static bool
has_foreign(const char *place, char name[PINS_WHY_SIZE])
{
	DIR *dir = opendir(place);
	const struct dirent *entry;
	struct stat st;
	bool found = dir == NULL;

	while (!found && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		found = !is_any(entry->d_name, NULL) ||
		        fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		        !S_ISREG(st.st_mode);
		if (found)
			snprintf(name, PINS_WHY_SIZE, "found \"%.64s\" in it", entry->d_name);
	}
	if (dir == NULL)
		snprintf(name, PINS_WHY_SIZE, "%s", strerror(errno));
	else
		closedir(dir);
	return found;
}

enum pins_found
pins_look(const char *place, char why[PINS_WHY_SIZE])
{
	struct stat st;

	/* No link is followed: the folder above may be open to everybody. */
	if (lstat(place, &st) != 0) {
		if (errno == ENOENT)
			return PINS_NONE;
		snprintf(why, PINS_WHY_SIZE, "%s", strerror(errno));
		return PINS_FOREIGN;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(why, PINS_WHY_SIZE, "found no folder");
		return PINS_FOREIGN;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 0777) != 0700) {
		snprintf(why, PINS_WHY_SIZE, "found a folder of user %u, mode %04o",
		         (unsigned int)st.st_uid, (unsigned int)(st.st_mode & 0777));
		return PINS_FOREIGN;
	}
	return has_foreign(place, why) ? PINS_FOREIGN : PINS_OURS;
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
			/* After a removal readdir() may leave out what follows. What cannot be
			 * removed would be found again for ever. */
			if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
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

void
pins_remove(const char *place)
{
	char why[PINS_WHY_SIZE];

	if (pins_look(place, why) != PINS_OURS)
		return;
	remove_where(place, is_any, NULL);
	rmdir(place);
}
