/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line that EAL gets: from the configuration, then what the user adds. */
#include "eal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <numa.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "budget.h"
#include "claim.h"
#include "device.h"
#include "log.h"
#include "pci_reason.h"

#define ARGS_MAX 128
#define MB (UINT64_C(1) << 20)

struct eal_args {
	char *argv[ARGS_MAX];
	int argc;
	bool is_full;
};

__attribute__((format(printf, 2, 3))) static void
add(struct eal_args *args, const char *format, ...)
{
	va_list list;
	char *text;

	va_start(list, format);
	int n = vasprintf(&text, format, list);
	va_end(list);
	/* One place stays for the NULL at the end. */
	if (n < 0 || args->argc == ARGS_MAX - 1) {
		if (n >= 0)
			free(text);
		args->is_full = true;
		return;
	}
	args->argv[args->argc++] = text;
}

/* Free hugepages of all sizes, in bytes. */
static uint64_t
hugepages_free(void)
{
	static const char root[] = "/sys/kernel/mm/hugepages";
	DIR *dir = opendir(root);
	uint64_t size = 0;

	if (dir == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		unsigned long long kb, n = 0;
		char path[512];
		if (sscanf(e->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, e->d_name);
		FILE *f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fscanf(f, "%llu", &n) == 1)
			size += n * kb * 1024;
		fclose(f);
	}
	closedir(dir);
	return size;
}

/* `wanted_mb`: of the pages that are taken. */
static int
add_memory(struct eal_args *args, const struct conf *conf, uint64_t *wanted_mb)
{
	uint64_t mb = (budget_memory(conf, true) + MB - 1) / MB;
	uint64_t there_mb = hugepages_free() / MB;
	bool huge = conf->eal.hugepages != CONF_HUGEPAGES_OFF && there_mb >= mb;

	if (!huge && conf->eal.hugepages == CONF_HUGEPAGES_ON) {
		log_error("eal.hugepages: %" PRIu64 " MB are wanted, %" PRIu64
		          " MB of hugepages are free",
		          mb, there_mb);
		return -1;
	}
	if (!huge)
		mb = (budget_memory(conf, false) + MB - 1) / MB;
	*wanted_mb = mb;
	if (huge) {
		/* No files stay behind, whatever happens; a vhost peer gets its memory as few
		 * segments. */
		add(args, "--in-memory");
		add(args, "--single-file-segments");
		if (numa_available() < 0 || numa_num_configured_nodes() <= 1)
			add(args, "--socket-limit=%" PRIu64, mb + mb / 4);
		log_info("memory: up to %" PRIu64 " MB of hugepages", mb);
		return 0;
	}
	if (conf->eal.hugepages == CONF_HUGEPAGES_AUTO)
		log_notice("memory: %" PRIu64 " MB of ordinary pages, since only %" PRIu64
		           " MB of hugepages are free; hugepages are faster",
		           mb, there_mb);
	add(args, "--no-huge");
	add(args, "--no-shconf");
	add(args, "-m");
	add(args, "%" PRIu64, mb);
	return 0;
}

/*
 * Worker i is lcore i + 1 and control is lcore 0, whatever CPUs they run on, so
 * that several may share one. Unless the configuration names CPUs, workers take those that
 * this process may use, from the last one down, and control all.
 */
static int
add_lcores(struct eal_args *args, const struct conf *conf)
{
	const struct workers_conf *workers = &conf->workers;
	uint32_t cpus[CPU_SETSIZE], n_cpus = 0;
	char text[4096];
	size_t n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0) {
		log_error("workers: no list of usable CPUs: %m");
		return -1;
	}
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[n_cpus++] = cpu;

	n += (size_t)snprintf(text + n, sizeof(text) - n, "0@(");
	if (workers->control_lcore != CONF_LCORE_ANY)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u", workers->control_lcore);
	else
		for (uint32_t i = 0; i < n_cpus && n < sizeof(text); i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", i != 0 ? "," : "",
			                      cpus[i]);
	if (n < sizeof(text))
		n += (size_t)snprintf(text + n, sizeof(text) - n, ")");
	for (uint32_t i = 0; i < workers->count && n < sizeof(text); i++) {
		uint32_t cpu = workers->n_lcores != 0 ? workers->lcores[i]
		                                      : cpus[n_cpus - 1 - i % n_cpus];
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",%u@%u", i + 1, cpu);
	}
	if (n >= sizeof(text)) {
		log_error("workers: too many CPUs to name");
		return -1;
	}
	if (workers->count > n_cpus && workers->n_lcores == 0)
		log_warning("workers.count: %u, more than CPUs (%u)", workers->count, n_cpus);
	add(args, "--lcores=%s", text);
	return 0;
}

static void
add_devices(struct eal_args *args, const struct conf *conf)
{
	const char *devices[] = { conf->outside.device,
		                  conf->has_inside ? conf->inside.device : NULL };
	bool has_pci = false;

	for (unsigned int i = 0; i < RTE_DIM(devices); i++) {
		if (devices[i] == NULL)
			continue;
		bool is_pci = device_is_pci(devices[i]);
		has_pci |= is_pci;
		if (is_pci) {
			add(args, "-a");
			add(args, "%s", devices[i]);
		} else {
			add(args, "--vdev=%s", devices[i]);
		}
	}
	/* Else EAL would take every NIC that it can. */
	if (!has_pci)
		add(args, "--no-pci");
}

/* Say which devices belong to no driver; false if all do. */
static bool
name_unknown(const struct conf *conf)
{
	const struct {
		const char *name, *device;
	} ports[] = {
		{ "outside", conf->outside.device },
		{ "inside", conf->has_inside ? conf->inside.device : NULL },
	};
	bool is_any = false;

	for (unsigned int i = 0; i < RTE_DIM(ports); i++) {
		struct rte_devargs parsed = { 0 };
		if (ports[i].device == NULL || device_is_pci(ports[i].device))
			continue;
		if (rte_devargs_parse(&parsed, ports[i].device) == 0) {
			free(parsed.data);
			continue;
		}
		is_any = true;
		log_error("%s.device: %s: DPDK has no driver of this name; expected a PCI address, "
		          "or one such as net_tap0 or net_virtio_user0 with its arguments",
		          ports[i].name, ports[i].device);
	}
	return is_any;
}

int
eal_start(const struct conf *conf, char *const *more, unsigned int n_more)
{
	uint64_t wanted_mb;
	/* EAL keeps some of the texts and moves the pointers that it is given about. */
	static struct eal_args args;
	static char *given[ARGS_MAX];
	FILE *stream = log_stream();

	if (conf->telemetry && claim_instance(conf->instance) != 0)
		return -1;
	if (claim_port("outside", conf->outside.device) != 0 ||
	    (conf->has_inside && claim_port("inside", conf->inside.device) != 0))
		return -1;
	add(&args, "synfront");
	add(&args, "--file-prefix=%s", conf->instance);
	if (add_lcores(&args, conf) != 0 || add_memory(&args, conf, &wanted_mb) != 0)
		return -1;
	add_devices(&args, conf);
	if (!conf->telemetry)
		add(&args, "--no-telemetry");
	for (uint32_t i = 0; i < conf->eal.n_args; i++)
		add(&args, "%s", conf->eal.args[i]);
	for (unsigned int i = 0; i < n_more; i++)
		add(&args, "%s", more[i]);
	if (args.is_full) {
		log_error("eal.args: more than %d arguments", ARGS_MAX - 1);
		return -1;
	}
	for (int i = 0; i < args.argc; i++)
		log_debug("eal: %s", args.argv[i]);
	if (stream != NULL)
		rte_openlog_stream(stream);
	memcpy(given, args.argv, sizeof(given));
	if (rte_eal_init(args.argc, given) >= 0)
		return 0;
	int why = rte_errno;
	if (why == ENOMEM)
		log_error("memory: %" PRIu64 " MB are wanted, and this process cannot have them "
		          "(--check says what for)",
		          wanted_mb);
	else if (why != ENODEV || !name_unknown(conf))
		log_error("EAL does not start: %s (log level info shows its own messages)",
		          rte_strerror(why));
	pci_reason_log("outside", conf->outside.device);
	if (conf->has_inside)
		pci_reason_log("inside", conf->inside.device);
	return -1;
}

/*
 * net_tap has the kernel send a real-time signal for each frame, to whichever thread the kernel
 * picks, and reads nothing until that thread has run: a frame waits for the CPU of a thread
 * that has nothing to do with it. As long as no signal has arrived the driver reads
 * each time it is asked, which is what a worker wants. So none may arrive: they are blocked
 * while ports come up (threads made meanwhile inherit that) and ignored from then on.
 * Privileges are dropped by signals from the other end of the range (app/privilege.c).
 */
#define DRIVER_SIGNALS 16

static void
mask_driver_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (int i = 1; i < DRIVER_SIGNALS; i++)
		sigaddset(&signals, SIGRTMIN + i);
	pthread_sigmask(how, &signals, NULL);
}

void
eal_block_signals(void)
{
	signal(SIGIO, SIG_IGN);
	mask_driver_signals(SIG_BLOCK);
}

void
eal_ignore_signals(void)
{
	struct sigaction action;

	for (int i = 1; i < DRIVER_SIGNALS; i++)
		if (sigaction(SIGRTMIN + i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			signal(SIGRTMIN + i, SIG_IGN);
	/* What the leader of the threads blocks is queued, ignored or not, and when the queue is
	 * full the kernel sends SIGIO instead (fcntl(2), F_SETSIG). */
	mask_driver_signals(SIG_UNBLOCK);
}
