/* SPDX-License-Identifier: BSD-3-Clause */
/* What synfront-pcap is asked to do, and how it ends. */
#ifndef SYNFRONT_PCAP_OPTIONS_H
#define SYNFRONT_PCAP_OPTIONS_H

#include <stdint.h>

#include "segment.h"

/* Exit codes. */
enum {
	EXIT_OK = 0,
	EXIT_INPUT = 1, /* configuration, capture file, or CPU */
	EXIT_USAGE = 2,
	EXIT_ACCOUNT = 3, /* an equation of the final account does not hold */
	EXIT_CUT = 4,     /* done with all whole records of a capture file that is cut */
};

struct options {
	const char *config;
	const char *read[SIDE_COUNT];
	const char *write[SIDE_COUNT];
	const char *observe; /* a capture of both directions */
	const char *comment; /* a capture of all frames, with what became of each */
	const char *counters;
	const char *rows;
	bool drains;
	uint64_t drain_at_us; /* from the first frame */
	uint64_t seed;
	uint64_t until_us; /* after the last frame */
};

/* 0; -1, with the usage on stderr, if the command line cannot be understood. Ends the program
 * where that is all that it asks for (--help, --version). */
int pcap_options(int argc, char **argv, struct options *options);

#endif
