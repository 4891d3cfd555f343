/* SPDX-License-Identifier: BSD-3-Clause */
/* A file is a YAML mapping of the keys of `promise` but `files`: read by the same table. */
#include "promise_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apply.h"
#include "document.h"

#define FILE_SIZE_MAX 4096u

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The text of a file in `text`; NULL, or why not. It comes from another machine: a FIFO or a device
 * must not make a reload wait. */
static const char *
read_text(const char *path, char text[FILE_SIZE_MAX], size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *problem = NULL;
	struct stat status;
	ssize_t n = 1;

	if (fd < 0)
		return strerror(errno);
	*len = 0;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		problem = "no regular file";
	while (problem == NULL && n > 0 && *len < FILE_SIZE_MAX) {
		n = read(fd, text + *len, FILE_SIZE_MAX - *len);
		if (n < 0)
			problem = strerror(errno);
		else
			*len += (size_t)n;
	}
	close(fd);
	return problem == NULL && *len == FILE_SIZE_MAX ? "4 KiB or more" : problem;
}

/* A reader of a file, and where what it says goes. */
struct building {
	struct conf_reader reader;
	struct service_promise *granted;
};

static int
build(struct conf_reader *r)
{
	struct conf_place root = { .node = yaml_document_get_root_node(r->doc) };

	return conf_apply(r, &root, &conf_granted, ((struct building *)r)->granted);
}

int
conf_promise_files(struct conf_reader *r, const struct conf_place *service,
                   struct service_promise *promise)
{
	char text[FILE_SIZE_MAX];
	size_t len = 0;

	for (uint32_t i = 0; i < promise->n_files; i++) {
		struct service_promise granted = { 0 };
		struct building own = { { NULL, promise->files[i], r->conf, r->arena, r->err },
			                &granted };
		const char *problem = read_text(promise->files[i], text, &len);

		if (problem != NULL) {
			struct conf_place map = { service, "promise", 0,
				                  conf_child(r, service->node, "promise") };
			struct conf_place at = { &map, "files", 0,
				                 conf_child(r, map.node, "files") };
			return conf_fail(r, &at,
			                 "found \"%.100s\": %s; expected a file that says "
			                 "what servers grant",
			                 promise->files[i], problem);
		}
		if (conf_document_read(&own.reader, text, len, build) != 0)
			return -1;
		promise->mss = least(promise->mss, granted.mss);
		promise->mss6 = least(promise->mss6, granted.mss6);
		promise->wscale = least(promise->wscale, granted.wscale);
		promise->window_scaling &= granted.window_scaling;
		promise->sack &= granted.sack;
		promise->timestamps &= granted.timestamps;
	}
	return 0;
}
