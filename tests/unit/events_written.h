/* SPDX-License-Identifier: BSD-3-Clause */
/* Events that are told to a file of the test's, and nobody else. */
#ifndef SYNFRONT_EVENTS_WRITTEN_H
#define SYNFRONT_EVENTS_WRITTEN_H

#include "check.h"
#include "events.h"
#include "written.h"

static inline void
events_begin(struct events *events, const char *path)
{
	struct conf conf = { .source = "t", .instance = "test" };
	struct conf_error err;

	conf.events = (struct events_conf){ .file = path, .hook_per_minute = 1 };
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(events_init(events, &conf, NULL, &err), 0);
}

#endif
