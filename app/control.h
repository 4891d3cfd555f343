/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread: signals, secrets, reloads, the end of a run. */
#ifndef SYNFRONT_CONTROL_H
#define SYNFRONT_CONTROL_H

#include <signal.h>

#include "events.h"
#include "flood.h"
#include "outage.h"
#include "plane.h"
#include "pressure.h"
#include "supervisor.h"
#include "watch.h"

struct control {
	struct plane *plane;
	const char *path;   /* of the configuration */
	struct conf *first; /* ports and sizes come from it for good */
	struct conf *live;  /* services and limits come from it; may be the same */
	struct conf_ids ids;
	int log_level;   /* of the command line; -1: as configured */
	bool is_refused; /* the last reload */
	bool is_ending;  /* told to, or a port is lost */
	struct watch watch;
	struct events events;
	struct flood flood;
	struct pressure pressure;
	struct outage outage;
	struct supervisor supervisor;
};

/* Block the signals that control waits for; before any thread begins. */
void control_block_signals(sigset_t *signals);

enum control_end {
	CONTROL_TOLD,      /* by a signal */
	CONTROL_PORT_LOST, /* and nothing but another process can have it back */
};

/* Runs until the plane has been told to end, or has lost a port, and is drained and reset;
 * the caller stops it. Why it ended. */
enum control_end control_run(struct control *control, const sigset_t *signals);

/* Log what happened since the start. False if it does not add up. After plane_stop(). */
bool control_final_account(const struct control *control);

#endif
