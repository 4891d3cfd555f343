/* SPDX-License-Identifier: BSD-3-Clause */
/* What the page of synfront-adopt's keys says besides the keys. */
#include "agent_conf.h"

static const struct conf_note notes[] = {
	{ "Counts", "take `k`, `M`, `G` as powers of 1024: `64k` is 65536." },
	{ "Lists", "of one member may be written without brackets: `interfaces: eth0`." },
};

const struct conf_subject agent_conf_subject = {
	.root = &agent_conf_root,
	.source = "lib/adopt/agent_conf.c",
	.heading = "Configuration reference of synfront-adopt",
	.name = "synfront-adopt.yaml",
	.purpose = "configuration of synfront-adopt",
	.about = "One YAML document, read at the start, whole or not at all: an error names file, "
		 "line, column and key. An unknown or repeated key is an error. To change "
		 "something, restart it; with `--linger` no client notices.",
	.notes = notes,
	.n_notes = sizeof(notes) / sizeof(notes[0]),
	.see_also = ".Xr synfront.yaml 5 ,\n.Xr synfront 8 ,\n.Xr synfront-adopt 8\n",
};
