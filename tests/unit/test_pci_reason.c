/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of a PCI device that is no port, by a sysfs of the test's own. */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "pci_reason.h"

#define NAME "0000:00:05.0"
#define DEVICE "bus/pci/devices/" NAME

static char root[] = "/tmp/pci_reason_XXXXXX";

static const char *
at(const char *path)
{
	static char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return full;
}

static void
make_dirs(const char *path)
{
	char part[256];

	for (size_t i = 0; i <= strlen(path); i++)
		if (path[i] == '/' || path[i] == '\0') {
			snprintf(part, sizeof(part), "%.*s", (int)i, path);
			mkdir(at(part), 0700);
		}
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(at(path), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
}

static void
bind_to(const char *driver)
{
	char target[64];

	unlink(at(DEVICE "/driver"));
	if (driver == NULL)
		return;
	snprintf(target, sizeof(target), "../../../drivers/%s", driver);
	CU_ASSERT_EQUAL_FATAL(symlink(target, at(DEVICE "/driver")), 0);
}

/* NULL: nothing is said. */
static void
says(bool has_hugepages, const char *part)
{
	char text[512] = "";
	bool is_said = pci_reason(root, NAME, has_hugepages, text, sizeof(text));

	CU_ASSERT_EQUAL(is_said, part != NULL);
	if (part != NULL && strstr(text, part) == NULL)
		CU_FAIL(text);
}

static void
test_no_device(void)
{
	says(true, "no PCI device");
}

static void
test_kernel_driver(void)
{
	make_dirs(DEVICE);
	says(true, "no driver: dpdk-devbind.py --bind=vfio-pci " NAME);
	bind_to("e1000e");
	says(true, "driver e1000e has it");
	bind_to("mlx5_core");
	says(true, NULL);
}

/* Physical addresses: hugepages have some that stay. */
static void
test_uio_without_hugepages(void)
{
	bind_to("uio_pci_generic");
	says(true, NULL);
	says(false, "IOVA as PA");
}

static void
test_vfio_without_iommu(void)
{
	bind_to("vfio-pci");
	says(true, "wants an IOMMU");
	make_dirs(DEVICE "/iommu_group");
	says(true, NULL);
	says(false, NULL);
}

/* f0010 and f0018: without and with bit 3. */
static void
test_vfio_without_interrupt_remapping(void)
{
	make_dirs(DEVICE "/iommu/intel-iommu");
	write_file(DEVICE "/iommu/intel-iommu/ecap", "f0010\n");
	says(true, "allow_unsafe_interrupts=1");
	make_dirs("module/vfio_iommu_type1/parameters");
	write_file("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	says(true, "allow_unsafe_interrupts=1");
	write_file("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	says(true, NULL);
	write_file("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	write_file(DEVICE "/iommu/intel-iommu/ecap", "f0018\n");
	says(true, NULL);
}

static CU_TestInfo tests[] = {
	CHECK_TEST(test_no_device),
	CHECK_TEST(test_kernel_driver),
	CHECK_TEST(test_uio_without_hugepages),
	CHECK_TEST(test_vfio_without_iommu),
	CHECK_TEST(test_vfio_without_interrupt_remapping),
	CU_TEST_INFO_NULL,
};

static void
clean_up(void)
{
	static const char *const files[] = {
		DEVICE "/iommu/intel-iommu/ecap",
		"module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
		DEVICE "/driver",
	};
	static const char *const dirs[] = {
		DEVICE "/iommu/intel-iommu",
		DEVICE "/iommu",
		DEVICE "/iommu_group",
		DEVICE,
		"bus/pci/devices",
		"bus/pci",
		"bus",
		"module/vfio_iommu_type1/parameters",
		"module/vfio_iommu_type1",
		"module",
		"",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(at(files[i]));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		rmdir(at(dirs[i]));
}

int
main(void)
{
	if (mkdtemp(root) == NULL)
		return EXIT_FAILURE;
	int status = check_run("pci_reason", tests);
	clean_up();
	return status;
}
