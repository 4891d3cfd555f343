/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints a page of all keys: the build makes synfront.yaml(5) by it, and people REFERENCE.md. */
#include <string.h>

#include "conf.h"

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "manual") == 0) {
		conf_manual(stdout, argv[2], argv[3]);
	} else if (argc == 2 && strcmp(argv[1], "reference") == 0) {
		conf_reference(stdout);
	} else {
		fputs("usage: print-page manual VERSION DATE | print-page reference\n", stderr);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
