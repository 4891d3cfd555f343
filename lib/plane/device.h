/* SPDX-License-Identifier: BSD-3-Clause */
/* What the configuration calls a port's device, and what EAL calls it. */
#ifndef SYNFRONT_DEVICE_H
#define SYNFRONT_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

/* Is `device` a PCI address, not a virtual device? */
bool device_is_pci(const char *device);
/* What EAL calls a device of the configuration: without arguments, a PCI device with its domain. */
void device_name(const char *device, char *name, size_t size);

#endif
