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
/* The value of argument `key` ("iface") of a virtual device, the first one of that name, as far as it
 * fits into `size` bytes, 1 or more; false, and an empty one, if there is no such argument. */
bool device_argument(const char *device, const char *key, char *value, size_t size);

#endif
