/* SPDX-License-Identifier: BSD-3-Clause */
/* What `synfrontctl capture` is told. */
#ifndef SYNFRONT_CTL_CAPTURE_H
#define SYNFRONT_CTL_CAPTURE_H

#include <stdint.h>

struct ctl_capture_options {
	char wanted[896];  /* as the engine is told */
	const char *file;  /* "-": standard output */
	uint64_t n_frames; /* 0: no bound */
	double seconds;    /* ... */
};

#endif
