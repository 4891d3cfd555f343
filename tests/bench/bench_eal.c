/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_eal.h"

#include <stdio.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_eal.h>

int
bench_eal_start(const char *lcores, unsigned int megabytes)
{
	/* EAL moves the pointers and keeps the texts. */
	static char texts[][64] = {
		"bench",
		"--no-pci",
		"--no-huge",
		"--no-shconf",
		"--no-telemetry",
		"--log-level=error",
		"--lcores",
		"",
		"-m",
		"",
		"",
	};
	enum {
		LCORES = 7,
		MEMORY = 9,
		PREFIX = 10,
	};
	char *args[RTE_DIM(texts)];

	snprintf(texts[LCORES], sizeof(texts[0]), "%s", lcores);
	snprintf(texts[MEMORY], sizeof(texts[0]), "%u", megabytes);
	snprintf(texts[PREFIX], sizeof(texts[0]), "--file-prefix=bench%d", (int)getpid());
	for (unsigned int i = 0; i < RTE_DIM(texts); i++)
		args[i] = texts[i];
	return rte_eal_init((int)RTE_DIM(texts), args) < 0 ? -1 : 0;
}

void
bench_eal_stop(void)
{
	rte_eal_cleanup();
	rmdir(rte_eal_get_runtime_dir());
}
