/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture of what workers receive and send, with what became of each frame.
 *
 *   worker: decides, noting; copies what the filter wants ---> ring of its own
 *                                                                |
 *   telemetry's thread: asked again and again by synfrontctl <---+  pcapng, with comments
 *
 * There is one capture at a time. Nobody holds a file or a socket of its reader's: whoever has
 * begun it asks for what there is, and who does not ask for CAPTURE_LEASE_MS has gone. Then the
 * workers copy nothing any more, the capture has ended, and another may begin.
 *
 * Off, it costs a load and a branch a burst. On and of one client or net, a look at each frame's
 * client: what that costs, tests/bench/guard counts in instructions, and `bench_core --capture` in
 * ticks. Each frame is noted and looked at closely only in a burst where that client is, and in all
 * bursts where the filter names no client.
 *
 * Ownership: the telemetry thread under its lock owns the capture and reads the rings; a worker
 * reads the filter and fills its own ring.
 */
#ifndef SYNFRONT_CAPTURE_H
#define SYNFRONT_CAPTURE_H

#include "capture_ring.h"
#include "plane_state.h"

#define CAPTURE_LEASE_MS 5000u
#define CAPTURE_NAME_MAX 128u

struct capture {
	struct capture_filter filter;
	uint64_t lease_ms; /* relaxed, of the workers' clock: none copies anything from then on */

	/* The reader's. */
	uint64_t id;
	bool has_head, has_end;
	bool is_ended; /* no worker has it any more */
	unsigned int n_rings;
	uint8_t *memory;            /* of all rings */
	struct capture_ring *rings; /* [n_rings], by worker */
};

/* Telemetry's thread. */
/* Begin one. NULL, and why in `error`. What it finds that has lost its reader it ends. */
struct capture *capture_begin(struct plane *plane, const struct capture_filter *filter,
                              char error[CAPTURE_NAME_MAX]);
/* The one that is there, with that number; NULL: none. Its reader is alive. */
struct capture *capture_find(struct plane *plane, uint64_t id);
/* No worker copies anything any more. What is in the rings stays. */
void capture_end(struct plane *plane, struct capture *capture);
/* The next blocks of the file, whole ones, as many as fit: how many bytes. 0: nothing is there
 * now, and, if the capture has ended, there will be nothing any more. */
size_t capture_read(const struct plane *plane, const struct policy *policy, struct capture *capture,
                    uint8_t *out, size_t room);
/* Frames that were copied, and that were wanted and lost. */
void capture_sums(const struct capture *capture, uint64_t *n_taken, uint64_t *n_lost);
/* Give back the memory of one that has ended, or of whichever is there at the end of a run. */
void capture_free(struct plane *plane);
void capture_fini(struct plane *plane);

/* A worker: decide on its burst, which is located, and carry that out, with a copy of what is
 * wanted; and carry out what a tick wants sent. */
void capture_burst(struct worker *worker, struct capture *capture, struct rte_mbuf **mbufs,
                   unsigned int n);
void capture_tick(struct worker *worker, struct capture *capture);

#endif
