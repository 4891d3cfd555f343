/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a running engine is to be found. */
#ifndef SYNFRONT_RUNTIME_PATH_H
#define SYNFRONT_RUNTIME_PATH_H

#include <sys/un.h>

/* The address of an instance's telemetry socket, which is EAL's choice: it goes by the
 * environment and the user. -1 if its path does not fit. */
int runtime_telemetry(struct sockaddr_un *address, const char *instance);

/* The same where root starts the engine and another user asks for it. -1 if that is no other
 * place, or its path does not fit. */
int runtime_telemetry_of_root(struct sockaddr_un *address, const char *instance);

#endif
