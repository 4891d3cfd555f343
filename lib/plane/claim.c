/* SPDX-License-Identifier: BSD-3-Clause */
/* Claims are sockets that stay open: the kernel gives them up with the process. */
#include "claim.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "log.h"
#include "runtime_path.h"

#define CLAIM_FORMAT "synfront/port/%s"

/* Who listens at an address; pid 0 when nobody does. */
static struct ucred
listener(int kind, const struct sockaddr_un *address, socklen_t len)
{
	int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { .pid = 0 };
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return peer;
	if (connect(fd, (const struct sockaddr *)address, len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		peer.pid = 0;
	close(fd);
	return peer;
}

int
claim_instance(const char *instance)
{
	struct sockaddr_un address;

	if (runtime_telemetry(&address, instance) != 0)
		return 0; /* EAL says what it thinks of such a path. */
	struct ucred peer = listener(SOCK_SEQPACKET, &address, sizeof(address));
	if (peer.pid == 0)
		return 0;
	log_error("instance: \"%s\" is running already, as process %d: end that one, or give this "
	          "one another name",
	          instance, (int)peer.pid);
	return -1;
}

/* Does its driver let several processes have an interface? */
static bool
is_shared(const char *device)
{
	static const char *const drivers[] = { "net_tap", "net_af_packet", "eth_af_packet" };

	for (unsigned int i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strncmp(device, drivers[i], strlen(drivers[i])) == 0)
			return true;
	return false;
}

/* Another process has the name. If it is nobody who may run an engine, it is in
 * nobody's way. */
static int
claimed(const char *name, const char *device, const struct sockaddr_un *address, socklen_t len)
{
	struct ucred peer = listener(SOCK_STREAM, address, len);

	if (peer.pid == getpid()) {
		log_error("%s.device: %s: both ports have this interface", name, device);
		return -1;
	}
	if (peer.pid != 0 && peer.uid != 0 && peer.uid != geteuid()) {
		log_warning("%s.device: %s: process %d of user %u pretends to have it", name,
		            device, (int)peer.pid, (unsigned int)peer.uid);
		return 0;
	}
	if (peer.pid != 0)
		log_error("%s.device: %s: another synfront has this interface, process %d", name,
		          device, (int)peer.pid);
	else
		log_error("%s.device: %s: another synfront has this interface", name, device);
	return -1;
}

int
claim_port(const char *name, const char *device)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char interface[sizeof(address.sun_path)];

	if (!is_shared(device) || !device_argument(device, "iface", interface, sizeof(interface)))
		return 0;
	int n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, CLAIM_FORMAT,
	                 interface);
	if (n < 0 || (size_t)n >= sizeof(address.sun_path) - 1)
		return 0; /* No interface has such a name; the driver will say so. */
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return 0; /* It stays open as long as we live. */
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (why == EADDRINUSE)
		return claimed(name, device, &address, len);
	log_warning("%s.device: %s: cannot be claimed: %s", name, device, strerror(why));
	return 0;
}
