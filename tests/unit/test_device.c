/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device of the configuration says. */
#include "check.h"
#include "device.h"

static const char *
named(const char *device)
{
	static char name[32];

	device_name(device, name, sizeof(name));
	return name;
}

static void
test_name_is_without_arguments(void)
{
	CU_ASSERT_STRING_EQUAL(named("net_tap0,iface=sf-outside"), "net_tap0");
	CU_ASSERT_STRING_EQUAL(named("net_tap0"), "net_tap0");
	CU_ASSERT_STRING_EQUAL(named("3b:00.1,class=net"), "0000:3b:00.1");
	CU_ASSERT_STRING_EQUAL(named("0001:3b:00.1"), "0001:3b:00.1");
}

static void
test_pci_address(void)
{
	CU_ASSERT(device_is_pci("0000:3b:00.0"));
	CU_ASSERT(device_is_pci("3b:00.0,class=net"));
	CU_ASSERT(!device_is_pci("3b:00.0-"));
	CU_ASSERT(!device_is_pci("net_tap0,iface=3b:00.0"));
}

/* The value of an argument; NULL: there is none, and what was there is gone. */
static const char *
argument(const char *device, const char *key)
{
	static char value[16];

	strcpy(value, "of before");
	if (device_argument(device, key, value, sizeof(value)))
		return value;
	CU_ASSERT_STRING_EQUAL(value, "");
	return NULL;
}

static void
test_argument_stands_anywhere(void)
{
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=eth0", "iface"), "eth0");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=eth0,remote=eth1,mac=fixed", "iface"),
	                       "eth0");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=eth0,remote=eth1,mac=fixed", "remote"),
	                       "eth1");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=eth0,remote=eth1,mac=fixed", "mac"),
	                       "fixed");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=a=b", "iface"), "a=b");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=eth0,iface=eth1", "iface"), "eth0");
}

static void
test_argument_of_another_name(void)
{
	CU_ASSERT_PTR_NULL(argument("net_tap0", "iface"));
	CU_ASSERT_PTR_NULL(argument("net_tap0,", "iface"));
	CU_ASSERT_PTR_NULL(argument("net_tap0,iface", "iface"));
	CU_ASSERT_PTR_NULL(argument("net_tap0,iface,remote=eth1", "iface"));
	/* The name of the device is no argument. */
	CU_ASSERT_PTR_NULL(argument("iface=eth0,remote=eth1", "iface"));
	/* One key ends with another, or begins with it; a value looks like one. */
	CU_ASSERT_PTR_NULL(argument("net_tap0,myiface=eth0", "iface"));
	CU_ASSERT_PTR_NULL(argument("net_tap0,iface2=eth0", "iface"));
	CU_ASSERT_PTR_NULL(argument("net_tap0,remote=iface=eth0", "iface"));
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,myiface=eth0,iface=eth1", "iface"), "eth1");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface2=eth0,iface=eth1", "iface"), "eth1");
}

static void
test_empty_argument(void)
{
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=", "iface"), "");
	CU_ASSERT_STRING_EQUAL(argument("net_tap0,iface=,remote=eth1", "iface"), "");
	CU_ASSERT(device_argument("net_tap0,iface=", "iface", (char[4]){ "" }, 4));
}

/* No more is written than there is room for, and what is written ends. */
static void
test_argument_is_cut(void)
{
	char value[8];

	memset(value, '#', sizeof(value));
	CU_ASSERT(device_argument("net_tap0,iface=eth012345,mac=fixed", "iface", value, 5));
	CU_ASSERT_STRING_EQUAL(value, "eth0");
	CU_ASSERT_EQUAL(value[5], '#');
	CU_ASSERT(device_argument("net_tap0,iface=eth0,mac=fixed", "iface", value, 5));
	CU_ASSERT_STRING_EQUAL(value, "eth0");
	CU_ASSERT(device_argument("net_tap0,iface=eth0", "iface", value, 1));
	CU_ASSERT_STRING_EQUAL(value, "");
	CU_ASSERT(!device_argument("net_tap0", "iface", value, 1));
}

int
main(void)
{
	CU_TestInfo tests[] = {
		CHECK_TEST(test_name_is_without_arguments),
		CHECK_TEST(test_pci_address),
		CHECK_TEST(test_argument_stands_anywhere),
		CHECK_TEST(test_argument_of_another_name),
		CHECK_TEST(test_empty_argument),
		CHECK_TEST(test_argument_is_cut),
		CU_TEST_INFO_NULL,
	};

	return check_run("device", tests);
}
