/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program in the kernel, from outside: it is loaded, attached to interfaces, told what to
 * do, and read. Who calls owns it, from one thread.
 *
 * Links and maps live as long as this process, or, pinned (pins.h), until somebody unpins
 * them: then the next process takes them over, with the cookies that are spent, and replaces
 * the program in each link at once, so that no segment passes unseen.
 */
#ifndef SYNFRONT_ADOPT_PROGRAM_H
#define SYNFRONT_ADOPT_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "adopt.h"
#include "agent_conf.h"
#include "pins.h"

struct adopt;
struct bpf_link;

struct program_link {
	unsigned int ifindex; /* 0: not attached */
	int fd;
};

struct program {
	const struct agent_conf *conf;
	struct adopt *skeleton;
	struct program_link links[AGENT_INTERFACES_MAX]; /* of conf->interfaces */
	struct bpf_link *opened;                         /* of the tracepoint */
	char place[PINS_PLACE_SIZE];
	bool is_pinned;
	bool has_taken_over; /* maps that a process before had pinned */
};

/*
 * Load it into the kernel, with the services of the configuration (which must live as long),
 * and take over the maps that an instance of the same name has left pinned. `pins`: pin maps
 * and links. 0, or -1 and *err. Nothing is attached yet, so that the caller can fill in clock
 * and keys first.
 */
int program_load(struct program *p, const struct agent_conf *conf, bool pins,
                 struct conf_error *err);

/*
 * Attach to those interfaces to which it is not attached, and note which have gone. The number
 * of those that have it, or -1 and *err if the kernel refused one that is there.
 */
int program_attach(struct program *p, struct conf_error *err);

/* Detach and unload; what is pinned stays if `lingers`. */
void program_fini(struct program *p, bool lingers);

/* Remove what an instance of this name has left pinned. 1, 0 if there was nothing, or -1 and *err
 * if what is there is somebody else's. */
int program_unpin(const struct agent_conf *conf, struct conf_error *err);

/* Sum over all CPUs. */
void program_counters(const struct program *p, struct adopt_counters *sum);

#endif
