/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a PCI device is no port: what the kernel's sysfs tells of its driver, its IOMMU and
 * what these want, in words for whoever set it up. DPDK says it at log level info at most,
 * or not at all.
 */
#ifndef SYNFRONT_PCI_REASON_H
#define SYNFRONT_PCI_REASON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Write what is wrong with the device of that name (with its domain: 0000:00:05.0) into `text`;
 * false if nothing is seen to be. `root` is where sysfs is mounted. `has_hugepages`: of
 * this process.
 */
bool pci_reason(const char *root, const char *name, bool has_hugepages, char *text, size_t size);

/* Log it for the port of a side ("outside") and its device as configured. False if there is
 * none, or the device is no PCI device. */
bool pci_reason_log(const char *side, const char *device);

#endif
