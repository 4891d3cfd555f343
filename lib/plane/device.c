/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <stdio.h>
#include <string.h>

bool
device_is_pci(const char *device)
{
	unsigned int domain, bus, slot, function;
	int end = 0;

	if (sscanf(device, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &end) == 4 && end > 0)
		return device[end] == '\0' || device[end] == ',';
	end = 0;
	return sscanf(device, "%x:%x.%x%n", &bus, &slot, &function, &end) == 3 && end > 0 &&
	       (device[end] == '\0' || device[end] == ',');
}

void
device_name(const char *device, char *name, size_t size)
{
	bool has_domain = strchr(device, ':') != strrchr(device, ':');

	snprintf(name, size, "%s%.*s", device_is_pci(device) && !has_domain ? "0000:" : "",
	         (int)strcspn(device, ","), device);
}

bool
device_argument(const char *device, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	for (const char *at = strchr(device, ','); at != NULL; at = strchr(at, ',')) {
		at++;
		if (strncmp(at, key, len) != 0 || at[len] != '=')
			continue;
		at += len + 1;
		snprintf(value, size, "%.*s", (int)strcspn(at, ","), at);
		return true;
	}
	value[0] = '\0';
	return false;
}
