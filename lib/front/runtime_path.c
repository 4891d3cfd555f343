/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths that EAL makes from an instance's name. */
#include "runtime_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOT_BASE "/var/run"

/* As EAL chooses it. */
static const char *
base(void)
{
	const char *dir = getenv("RUNTIME_DIRECTORY");

	if (dir != NULL)
		return dir;
	if (getuid() == 0)
		return ROOT_BASE;
	dir = getenv("XDG_RUNTIME_DIR");
	return dir != NULL ? dir : "/tmp";
}

static int
fill(struct sockaddr_un *address, const char *dir, const char *instance)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(address->sun_path, sizeof(address->sun_path),
	                 "%s/dpdk/%s/dpdk_telemetry.v2", dir, instance);

	return n > 0 && (size_t)n < sizeof(address->sun_path) ? 0 : -1;
}

int
runtime_telemetry(struct sockaddr_un *address, const char *instance)
{
	return fill(address, base(), instance);
}

int
runtime_telemetry_of_root(struct sockaddr_un *address, const char *instance)
{
	if (getuid() == 0 || getenv("RUNTIME_DIRECTORY") != NULL)
		return -1;
	return fill(address, ROOT_BASE, instance);
}
