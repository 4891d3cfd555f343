/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_reason.h"

#include <limits.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "log.h"

#define BIND "dpdk-devbind.py --bind=vfio-pci"
/* Intel VT-d, extended capability register (11.4.3): interrupt remapping. */
#define ECAP_INTERRUPT_REMAPPING (1ull << 3)

struct place {
	char path[PATH_MAX];
};

static struct place
place_of(const char *root, const char *name, const char *rest)
{
	struct place place;

	snprintf(place.path, sizeof(place.path), "%s/bus/pci/devices/%s/%s", root, name, rest);
	return place;
}

static bool
is_there(const struct place *place)
{
	return access(place->path, F_OK) == 0;
}

/* The kernel's driver that has the device; empty: none. */
static void
read_driver(const char *root, const char *name, char *driver, size_t size)
{
	struct place link = place_of(root, name, "driver");
	char target[PATH_MAX];
	ssize_t n = readlink(link.path, target, sizeof(target) - 1);

	driver[0] = '\0';
	if (n < 0)
		return;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	const char *name_only = slash != NULL ? slash + 1 : target;
	size_t len = strnlen(name_only, size - 1);
	memcpy(driver, name_only, len);
	driver[len] = '\0';
}

static bool
read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return false;
	bool has = fgets(line, size, file) != NULL;
	fclose(file);
	return has;
}

/* Is the device behind an IOMMU that is known not to remap interrupts, and VFIO not told to go
 * without? */
static bool
wants_remapping(const char *root, const char *name)
{
	struct place ecap = place_of(root, name, "iommu/intel-iommu/ecap");
	char line[64], path[PATH_MAX];

	if (!read_line(ecap.path, line, sizeof(line)) ||
	    (strtoull(line, NULL, 16) & ECAP_INTERRUPT_REMAPPING))
		return false;
	snprintf(path, sizeof(path),
	         "%s/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", root);
	return !read_line(path, line, sizeof(line)) || line[0] != 'Y';
}

static bool
vfio_reason(const char *root, const char *name, char *text, size_t size)
{
	struct place group = place_of(root, name, "iommu_group");

	if (!is_there(&group)) {
		snprintf(text, size,
		         "vfio-pci wants an IOMMU, and the kernel has none for it: boot with "
		         "intel_iommu=on or amd_iommu=on, give a guest a virtual one, or bind it "
		         "to uio_pci_generic and give hugepages");
		return true;
	}
	if (wants_remapping(root, name)) {
		snprintf(text, size,
		         "its IOMMU remaps no interrupts, and vfio-pci refuses it: turn that on "
		         "(QEMU: intel-iommu,intremap=on), or trust the device: modprobe "
		         "vfio_iommu_type1 allow_unsafe_interrupts=1");
		return true;
	}
	return false;
}

bool
pci_reason(const char *root, const char *name, bool has_hugepages, char *text, size_t size)
{
	struct place device = place_of(root, name, "");
	char driver[64];

	if (!is_there(&device)) {
		snprintf(text, size, "there is no PCI device of this address");
		return true;
	}
	read_driver(root, name, driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci") == 0)
		return vfio_reason(root, name, text, size);
	if (strcmp(driver, "uio_pci_generic") == 0 || strcmp(driver, "igb_uio") == 0) {
		if (has_hugepages)
			return false;
		snprintf(text, size,
		         "%s has no IOMMU and wants physical addresses (IOVA as PA), and ordinary "
		         "pages have none that stay: give it the hugepages that --check says, or "
		         "bind it to vfio-pci",
		         driver);
		return true;
	}
	/* Drivers of DPDK that share the device with the kernel's. */
	if (strncmp(driver, "mlx", 3) == 0 || strcmp(driver, "mana") == 0)
		return false;
	if (driver[0] == '\0')
		snprintf(text, size, "it has no driver: " BIND " %s", name);
	else
		snprintf(text, size, "the kernel's driver %s has it: " BIND " %s", driver, name);
	return true;
}

bool
pci_reason_log(const char *side, const char *device)
{
	char name[64], text[512];

	if (!device_is_pci(device))
		return false;
	device_name(device, name, sizeof(name));
	if (!pci_reason("/sys", name, rte_eal_has_hugepages() != 0, text, sizeof(text)))
		return false;
	log_error("%s.device: %s: %s", side, name, text);
	return true;
}
