/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of `events`, as rows of the table. */
#include "conf.h"
#include "table_rows.h"

static const struct conf_key events_keys[] = {
	{ "file", CONF_TEXT, CONF_LIVE, AT(events_conf, file), .max = 4095, .derived = "none",
	  .help = "A file to which each event is added as a line of JSON; opened anew by a "
	          "reload." },
	{ "socket", CONF_TEXT, CONF_LIVE, AT(events_conf, socket), .max = 107, .derived = "none",
	  .help = "A Unix datagram socket that somebody else reads, each event a datagram of JSON: "
	          "a path, or `@` and a name of the abstract namespace." },
	{ "hook", CONF_ARGUMENTS, CONF_LIVE, COUNTED(events_conf, hook, n_hook), .min = 0,
	  .max = 64, .derived = "none",
	  .help = "A program, by its whole path, and its arguments, run for each event, which it "
	          "reads as JSON from its standard input. No shell, unless you name one. One runs "
	          "at a time, as `user`." },
	{ "hook_timeout", CONF_DURATION, CONF_LIVE, AT(events_conf, hook_timeout_s), .min = 1,
	  .max = 300, .preset = "10s",
	  .help = "After this long the hook gets SIGTERM, and a second later SIGKILL." },
	{ "hook_per_minute", CONF_NUMBER, CONF_LIVE, AT(events_conf, hook_per_minute), .min = 1,
	  .max = 6000, .preset = "60", .unit = "1/min",
	  .help = "How often it runs. Over it events wait; one that is over before its turn comes "
	          "is held back, beginning and end." },
};
const struct conf_mapping conf_events = { "Events", KEYS(events_keys), 0 };
