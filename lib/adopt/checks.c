/* SPDX-License-Identifier: BSD-3-Clause */
#include "checks.h"

#include <bpf/btf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kernel_settings.h"

#define FUNCTION "bpf_sk_assign_tcp_reqsk"

/* Of linux/capability.h, which may be older than these. */
enum {
	BIT_NET_ADMIN = 12,
	BIT_SYS_ADMIN = 21,
	BIT_PERFMON = 38,
	BIT_BPF = 39,
};

static uint64_t
capabilities(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t set = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "CapEff:", 7) == 0)
			set = strtoull(line + 7, NULL, 16);
	if (file != NULL)
		fclose(file);
	return set;
}

static void
check_capabilities(struct findings *f)
{
	static const struct {
		const char *name;
		int bit;
		bool of_admin; /* CAP_SYS_ADMIN has it, too */
	} needed[] = {
		{ "CAP_BPF", BIT_BPF, true },
		{ "CAP_NET_ADMIN", BIT_NET_ADMIN, false },
		{ "CAP_PERFMON", BIT_PERFMON, true },
	};
	uint64_t set = capabilities();

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		bool has = (set >> needed[i].bit & 1) != 0 ||
		           (needed[i].of_admin && (set >> BIT_SYS_ADMIN & 1) != 0);
		if (!has)
			findings_add(f, FINDING_ERROR,
			             "this process lacks %s; start it as root, or as the unit does",
			             needed[i].name);
	}
}

void
checks_kernel(struct findings *f, const char *path)
{
	struct utsname names;
	const char *release = uname(&names) == 0 ? names.release : "?";

	struct btf *btf = btf__parse(path, NULL);
	if (btf == NULL) {
		findings_add(f, FINDING_ERROR,
		             "Linux %.64s tells nothing of its types in %.128s (%s); take a kernel "
		             "with CONFIG_DEBUG_INFO_BTF=y",
		             release, path, strerror(errno));
	} else if (btf__find_by_name_kind(btf, FUNCTION, BTF_KIND_FUNC) < 0) {
		findings_add(f, FINDING_ERROR,
		             "Linux %.64s has no function " FUNCTION "(), without which no server "
		             "can take a client over; take Linux 6.9 or newer, with "
		             "CONFIG_SYN_COOKIES=y",
		             release);
	}
	btf__free(btf);
	check_capabilities(f);
}

static void
check_interfaces(struct findings *f, const struct agent_conf *conf)
{
	for (uint32_t i = 0; i < conf->n_interfaces; i++)
		if (if_nametoindex(conf->interfaces[i]) == 0)
			findings_add(f, FINDING_WARNING,
			             "there is no interface %.64s; it is awaited, and until it is "
			             "there, clients by it are not taken over",
			             conf->interfaces[i]);
}

void
checks_traps(struct findings *f, const struct agent_conf *conf)
{
	check_interfaces(f, conf);
	kernel_settings_check(f, conf);
	checks_listeners(f, conf);
}
