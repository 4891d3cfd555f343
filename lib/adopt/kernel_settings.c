/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel_settings.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fresh_file.h"

#define MSS_LEAST 536u
#define MSS6_LEAST 1220u
#define WSCALE_MAX 14u
#define HEADERS4 40u
#define HEADERS6 60u

long
kernel_setting(const char *path, unsigned int n)
{
	char name[128], text[128];

	snprintf(name, sizeof(name), "/proc/sys/net/%s", path);
	FILE *file = fopen(name, "re");
	if (file == NULL)
		return -1;
	char *at = fgets(text, sizeof(text), file);
	fclose(file);
	for (; at != NULL; n--) {
		char *end;
		long value = strtol(at, &end, 10);
		if (end == at)
			break;
		if (n == 0)
			return value;
		at = end;
	}
	return -1;
}

/* 0: it is not there. */
static uint32_t
mtu_of(int fd, const char *interface)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", interface);
	return ioctl(fd, SIOCGIFMTU, &request) == 0 ? (uint32_t)request.ifr_mtu : 0;
}

static uint32_t
least_mtu(const struct agent_conf *conf)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t least = 1500;
	bool is_known = false;

	for (uint32_t i = 0; fd >= 0 && i < conf->n_interfaces; i++) {
		uint32_t mtu = mtu_of(fd, conf->interfaces[i]);
		if (mtu != 0 && (!is_known || mtu < least))
			least = mtu;
		is_known |= mtu != 0;
	}
	if (fd >= 0)
		close(fd);
	return least < 65535 ? least : 65535;
}

/* As Linux chooses it (tcp_select_initial_window()): that the largest buffer can be told. */
static uint32_t
usual_wscale(void)
{
	long space = kernel_setting("ipv4/tcp_rmem", 2), most = kernel_setting("core/rmem_max", 0);
	uint32_t wscale = 0;

	if (most > space)
		space = most;
	for (; space > 65535 && wscale < WSCALE_MAX; space >>= 1)
		wscale++;
	return wscale;
}

void
granted_read(struct granted *granted, const struct agent_conf *conf)
{
	uint32_t mtu = least_mtu(conf);

	*granted = (struct granted){
		.mss = mtu < MSS_LEAST + HEADERS4 ? MSS_LEAST : mtu - HEADERS4,
		.mss6 = mtu < MSS6_LEAST + HEADERS6 ? MSS6_LEAST : mtu - HEADERS6,
		.wscale = usual_wscale(),
		.window_scaling = kernel_setting("ipv4/tcp_window_scaling", 0) != 0,
		.sack = kernel_setting("ipv4/tcp_sack", 0) != 0,
		.timestamps = kernel_setting("ipv4/tcp_timestamps", 0) != 0,
	};
}

bool
granted_equal(const struct granted *a, const struct granted *b)
{
	return a->mss == b->mss && a->mss6 == b->mss6 && a->wscale == b->wscale &&
	       a->window_scaling == b->window_scaling && a->sack == b->sack &&
	       a->timestamps == b->timestamps;
}

static const char *
word(bool value)
{
	return value ? "true" : "false";
}

int
granted_write(const struct granted *granted, const char *path)
{
	struct fresh_file file;

	if (fresh_file_begin(&file, path) != 0)
		return -1;
	fprintf(file.out,
	        "# What this server's kernel grants; written by synfront-adopt.\n"
	        "mss: %u\nmss6: %u\nwscale: %u\nwindow_scaling: %s\nsack: %s\ntimestamps: %s\n",
	        granted->mss, granted->mss6, granted->wscale, word(granted->window_scaling),
	        word(granted->sack), word(granted->timestamps));
	return fresh_file_end(&file, FRESH_FILE_KEPT);
}

/* What a client that has been promised it loses with its first segment. */
static void
check_option(struct findings *f, const struct agent_conf *conf, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "ipv4/%s", name);
	if (kernel_setting(path, 0) != 0)
		return;
	if (conf->promise_file != NULL)
		findings_add(f, FINDING_WARNING,
		             "net.ipv4.%s is 0: who is promised the option is not taken over; "
		             "bring %.128s to the front ends and reload them, or set it to 1",
		             name, conf->promise_file);
	else
		findings_add(f, FINDING_ERROR,
		             "net.ipv4.%s is 0: who is promised the option is not taken over; set "
		             "it to 1, or have a `promise` file written for the front ends",
		             name);
}

void
kernel_settings_check(struct findings *f, const struct agent_conf *conf)
{
	if (kernel_setting("ipv4/tcp_syncookies", 0) == 0)
		findings_add(f, FINDING_ERROR,
		             "net.ipv4.tcp_syncookies is 0: the kernel resets each client that is "
		             "taken over; set it to 1");
	check_option(f, conf, "tcp_sack");
	check_option(f, conf, "tcp_timestamps");
	check_option(f, conf, "tcp_window_scaling");
	if (kernel_setting("ipv4/tcp_rfc1337", 0) == 1)
		findings_add(f, FINDING_WARNING,
		             "net.ipv4.tcp_rfc1337 is 1: a client that comes again from the ports "
		             "of its last connection waits until TIME-WAIT is over; set it to 0");
}
