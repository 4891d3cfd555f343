/* SPDX-License-Identifier: BSD-3-Clause */
/* A file is a YAML mapping of the keys of `promise` but `files`: read by the same table. */
#include "promise_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apply.h"
#include "document.h"
#include "regular_file.h"

#define FILE_SIZE_MAX 4096u

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The text of a file in `text`; NULL, or why not. It comes from another machine. */
static const char *
read_text(const char *path, char text[FILE_SIZE_MAX], size_t *len)
{
	struct stat status;
	int fd = regular_file_open(path, &status);

	if (fd < 0)
		return errno != 0 ? strerror(errno) : "no regular file";
	ssize_t n = regular_file_read(fd, text, FILE_SIZE_MAX);
	const char *problem = n < 0 ? strerror(errno) : NULL;
	close(fd);
	*len = n < 0 ? 0 : (size_t)n;
	return *len == FILE_SIZE_MAX ? "4 KiB or more" : problem;
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
