/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the page of synfront-adopt's keys, as print-page does the engine's. */
#include <string.h>

#include "agent_conf.h"

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "manual") == 0) {
		conf_page_mdoc(stdout, &agent_conf_subject, argv[2], argv[3]);
	} else if (argc == 2 && strcmp(argv[1], "reference") == 0) {
		conf_page_markdown(stdout, &agent_conf_subject);
	} else {
		fputs("usage: print-agent-page manual VERSION DATE | print-agent-page reference\n",
		      stderr);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
