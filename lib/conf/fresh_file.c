/* SPDX-License-Identifier: BSD-3-Clause */
#include "fresh_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <unistd.h>

int
fresh_file_begin(struct fresh_file *file, const char *path)
{
	int n = snprintf(file->name, sizeof(file->name), "%s.new", path);

	file->path = path;
	if (n >= (int)sizeof(file->name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* One that is left of a run that ended, or that somebody has put there to have what it points
	 * to overwritten. */
	if (unlink(file->name) != 0 && errno != ENOENT)
		return -1;
	int fd = open(file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	file->out = fdopen(fd, "w");
	if (file->out != NULL)
		return 0;
	close(fd);
	return -1;
}

/* A stream that has failed before fails here, though errno is of now. */
static int
finish(FILE *out, enum fresh_file_need need)
{
	int rc = fflush(out), why = errno;

	if (rc == 0 && ferror(out)) {
		rc = -1;
		why = EIO;
	}
	if (rc == 0 && need == FRESH_FILE_KEPT) {
		rc = fsync(fileno(out));
		why = errno;
	}
	if (fclose(out) != 0 && rc == 0)
		return -1;
	errno = why;
	return rc;
}

/* The file's name is on disk when its folder is. Its path is not needed any more. */
static int
sync_folder(char *path)
{
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int rc = fsync(fd), why = errno;
	close(fd);
	errno = why;
	return rc;
}

int
fresh_file_end(struct fresh_file *file, enum fresh_file_need need)
{
	if (finish(file->out, need) == 0 && rename(file->name, file->path) == 0)
		return need == FRESH_FILE_KEPT ? sync_folder(file->name) : 0;
	int why = errno;
	unlink(file->name);
	errno = why;
	return -1;
}
