/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of this network namespace, and what the kernel grants to clients by them. */
#ifndef SYNFRONT_ADOPT_KERNEL_SETTINGS_H
#define SYNFRONT_ADOPT_KERNEL_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent_conf.h"
#include "findings.h"

/* The n-th number (from 0) of a file below /proc/sys/net, e.g. "ipv4/tcp_sack"; -1: none. */
long kernel_setting(const char *path, unsigned int n);

/* What a front end may promise in this kernel's name, as a file of its `promise.files`. */
struct granted {
	uint32_t mss, mss6;
	uint32_t wscale;
	bool window_scaling, sack, timestamps;
};

/* From the settings, and the least MTU of the interfaces that are there. */
void granted_read(struct granted *granted, const struct agent_conf *conf);
bool granted_equal(const struct granted *a, const struct granted *b);

/* In place of what the file had, at once: no reader finds half of it. 0, or -1 and errno. */
int granted_write(const struct granted *granted, const char *path);

/* Settings with which the kernel refuses clients. */
void kernel_settings_check(struct findings *f, const struct agent_conf *conf);

#endif
