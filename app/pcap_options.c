/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcap_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void
usage(FILE *out)
{
	fputs("usage: synfront-pcap --config FILE [--outside IN.pcap] [--inside IN.pcap]\n"
	      "                     [--write-outside OUT.pcap] [--write-inside OUT.pcap]\n"
	      "                     [--comment FILE] [--counters FILE] [--rows FILE] [--seed N]\n"
	      "                     [--until SECONDS] [--drain-at SECONDS]\n"
	      "       synfront-pcap --config FILE --observe BOTH.pcap [OPTIONS]\n"
	      "\n"
	      "Runs the engine over captured frames, in the order of their timestamps.\n"
	      "  --config FILE        the configuration, see synfront.yaml(5)\n"
	      "  --outside, --inside  frames that come in by either port\n"
	      "  --write-outside, --write-inside\n"
	      "                       frames that leave by it\n"
	      "  --observe BOTH.pcap  what would have been done with these frames, of either\n"
	      "                       direction: all cross, and a table says so at the end\n"
	      "  --comment FILE       all of these frames, and those that leave, as pcapng, each\n"
	      "                       with what became of it and why; - is standard output\n"
	      "  --counters FILE      counters as JSON at the end; - is standard output\n"
	      "  --rows FILE          which rows of the decision table were taken, one a line\n"
	      "  --seed N             of all random keys (default 0), and of the secret\n"
	      "                       where the configuration names no secret file\n"
	      "  --until SECONDS      let time go on after the last frame (default 0)\n"
	      "  --drain-at SECONDS   drain from then on, counted from the first frame\n"
	      "  --version, --help\n"
	      "\n"
	      "Frames that a snap length has cut are counted and passed over.\n"
	      "\n"
	      "exit status: 0 done, 1 unusable configuration, capture file or CPU, 2 usage,\n"
	      "3 the counters do not add up, 4 done, but a capture file ends inside a record:\n"
	      "all before it was run, and all is written\n",
	      out);
}

static bool
parse_seconds(const char *text, uint64_t *us)
{
	char *end;

	errno = 0;
	double seconds = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e9))
		return false;
	*us = (uint64_t)(seconds * 1e6 + 0.5);
	return true;
}

enum {
	ARG_CONFIG = 1,
	ARG_OUTSIDE,
	ARG_INSIDE,
	ARG_WRITE_OUTSIDE,
	ARG_WRITE_INSIDE,
	ARG_COMMENT,
	ARG_COUNTERS,
	ARG_ROWS,
	ARG_SEED,
	ARG_UNTIL,
	ARG_DRAIN,
	ARG_OBSERVE,
	ARG_VERSION,
};
static const struct option known_options[] = {
	{ "config", required_argument, NULL, ARG_CONFIG },
	{ "outside", required_argument, NULL, ARG_OUTSIDE },
	{ "inside", required_argument, NULL, ARG_INSIDE },
	{ "write-outside", required_argument, NULL, ARG_WRITE_OUTSIDE },
	{ "write-inside", required_argument, NULL, ARG_WRITE_INSIDE },
	{ "comment", required_argument, NULL, ARG_COMMENT },
	{ "counters", required_argument, NULL, ARG_COUNTERS },
	{ "rows", required_argument, NULL, ARG_ROWS },
	{ "seed", required_argument, NULL, ARG_SEED },
	{ "until", required_argument, NULL, ARG_UNTIL },
	{ "observe", required_argument, NULL, ARG_OBSERVE },
	{ "drain-at", required_argument, NULL, ARG_DRAIN },
	{ "version", no_argument, NULL, ARG_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
read_options(int argc, char **argv, struct options *o)
{
	char *end;
	int which;

	while ((which = getopt_long(argc, argv, "h", known_options, NULL)) != -1) {
		switch (which) {
		case ARG_CONFIG:
			o->config = optarg;
			break;
		case ARG_OUTSIDE:
			o->read[SIDE_OUTSIDE] = optarg;
			break;
		case ARG_INSIDE:
			o->read[SIDE_INSIDE] = optarg;
			break;
		case ARG_WRITE_OUTSIDE:
			o->write[SIDE_OUTSIDE] = optarg;
			break;
		case ARG_WRITE_INSIDE:
			o->write[SIDE_INSIDE] = optarg;
			break;
		case ARG_COMMENT:
			o->comment = optarg;
			break;
		case ARG_COUNTERS:
			o->counters = optarg;
			break;
		case ARG_ROWS:
			o->rows = optarg;
			break;
		case ARG_OBSERVE:
			o->observe = optarg;
			break;
		case ARG_DRAIN:
			if (!parse_seconds(optarg, &o->drain_at_us))
				return -1;
			o->drains = true;
			break;
		case ARG_SEED:
			o->seed = strtoull(optarg, &end, 0);
			if (*optarg == '\0' || *end != '\0')
				return -1;
			break;
		case ARG_UNTIL:
			if (!parse_seconds(optarg, &o->until_us))
				return -1;
			break;
		case ARG_VERSION:
			puts("synfront-pcap " SYNFRONT_VERSION);
			exit(EXIT_OK);
		case 'h':
			usage(stdout);
			exit(EXIT_OK);
		default:
			return -1;
		}
	}
	/* One capture with both directions, or one for each. */
	if (o->observe != NULL && (o->read[SIDE_OUTSIDE] != NULL || o->read[SIDE_INSIDE] != NULL))
		return -1;
	return optind == argc && o->config != NULL ? 0 : -1;
}

int
pcap_options(int argc, char **argv, struct options *options)
{
	if (read_options(argc, argv, options) == 0)
		return 0;
	usage(stderr);
	return -1;
}
