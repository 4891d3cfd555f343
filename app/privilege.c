/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capabilities belong to a thread. By now there are some that DPDK made and that run no code
 * of ours; neither libcap nor libcap-ng reaches them, and libpsx only those whose making it
 * was linked into. So each thread is sent a signal whose handler asks the kernel on the
 * thread's behalf, which is what glibc does for setuid().
 */
#include "privilege.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

#define GROUPS_MAX 64
#define THREADS_MAX 4096
#define HANDLER_TIMEOUT_MS 10000u
#define CAP(name) (UINT64_C(1) << (name))

/* What a handler reads: complete before the first signal. */
static struct {
	bool has_user;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	int n_groups;
	uint64_t keep;   /* capabilities */
	int error;       /* atomic: errno of what failed in some thread */
	uint32_t n_done; /* atomic */
} wanted;

void
privilege_begin(void)
{
	umask(077);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/*
 * What a driver needs when its port is up. To take the link down and go, a TAP or a socket
 * needs only what it has open. AF_XDP has a program to take off the interface, for which
 * libxdp asks the kernel by number. What verbs do for mlx5, and what a driver
 * does that we do not know, may want more; and of memory that a device reads some may be
 * locked later.
 */
static uint64_t
driver_needs(const struct plane_port *port)
{
	static const char *const modest[] = { "net_tap",  "net_af_packet", "net_virtio_user",
		                              "net_pcap", "net_memif",     "net_ring",
		                              "net_null", "net_vhost" };

	for (size_t i = 0; i < RTE_DIM(modest); i++)
		if (strcmp(port->driver, modest[i]) == 0)
			return 0;
	if (strcmp(port->driver, "net_af_xdp") == 0)
		return CAP(CAP_NET_ADMIN) | CAP(CAP_SYS_ADMIN);
	return CAP(CAP_NET_ADMIN) | CAP(CAP_NET_RAW) | CAP(CAP_IPC_LOCK);
}

static int
resolve(const char *user)
{
	errno = 0;
	const struct passwd *entry = getpwnam(user);

	if (entry == NULL) {
		log_error("user: \"%s\": %s", user, errno != 0 ? strerror(errno) : "no such user");
		return -1;
	}
	wanted.uid = entry->pw_uid;
	wanted.gid = entry->pw_gid;
	wanted.n_groups = GROUPS_MAX;
	if (getgrouplist(user, entry->pw_gid, wanted.groups, &wanted.n_groups) < 0) {
		log_error("user: \"%s\" is in more than %d groups", user, GROUPS_MAX);
		return -1;
	}
	if (geteuid() == wanted.uid)
		return 0;
	if (geteuid() != 0) {
		log_error("user: only root can become \"%s\"", user);
		return -1;
	}
	wanted.has_user = true;
	return 0;
}

/* A thread that was made by one that is the user already is it too, and may not become it
 * again: DPDK makes one for each client of telemetry, at any moment. */
static bool
is_user(void)
{
	uid_t real, effective, saved;

	return syscall(SYS_getresuid, &real, &effective, &saved) == 0 && real == wanted.uid &&
	       effective == wanted.uid && saved == wanted.uid;
}

/* Nothing here but system calls: it interrupts whatever the thread is at. */
static int
become(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if ((wanted.keep >> cap & 1) == 0)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* needs CAP_SETPCAP */
	if (wanted.has_user && !is_user() &&
	    (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
	     syscall(SYS_setgroups, wanted.n_groups, wanted.groups) != 0 ||
	     syscall(SYS_setresgid, wanted.gid, wanted.gid, wanted.gid) != 0 ||
	     syscall(SYS_setresuid, wanted.uid, wanted.uid, wanted.uid) != 0))
		return -1;
	/* No more than there were: under a supervisor there may have been few. */
	if (syscall(SYS_capget, &head, data) != 0)
		return -1;
	for (unsigned int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(wanted.keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return (int)syscall(SYS_capset, &head, data);
}

static void
become_noted(void)
{
	if (become() != 0)
		__atomic_store_n(&wanted.error, errno, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wanted.n_done, 1, __ATOMIC_RELEASE);
}

static void
handle(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)number;
	(void)context;
	if (info->si_code == SI_TKILL && info->si_pid == getpid())
		become_noted();
	errno = saved;
}

/* A real-time signal that nobody uses; drivers take some for their interrupts. 0: none. */
static int
free_signal(void)
{
	struct sigaction used;

	for (int number = SIGRTMAX; number >= SIGRTMIN; number--)
		if (sigaction(number, NULL, &used) == 0 && used.sa_handler == SIG_DFL)
			return number;
	return 0;
}

/* Have one thread run the handler. 0 when it has, or has gone. */
static int
tell(pid_t tid, int number)
{
	uint32_t before = __atomic_load_n(&wanted.n_done, __ATOMIC_RELAXED);

	if (syscall(SYS_tgkill, getpid(), tid, number) != 0)
		return errno == ESRCH ? 0 : -1;
	for (unsigned int ms = 0; ms < HANDLER_TIMEOUT_MS; ms++) {
		if (__atomic_load_n(&wanted.n_done, __ATOMIC_ACQUIRE) != before)
			return 0;
		if (syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH)
			return 0;
		usleep(1000);
	}
	errno = ETIMEDOUT;
	return -1;
}

/* Tell all threads but this that have not been told. How many these were, or -1. A
 * thread may be made by one that has not been told yet, so this is done until nobody is left. */
static int
tell_others(pid_t *told, unsigned int *n_told, int number)
{
	DIR *dir = opendir("/proc/self/task");
	pid_t own = (pid_t)syscall(SYS_gettid);
	int n = 0;

	if (dir == NULL)
		return -1;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		pid_t tid = (pid_t)atoi(e->d_name);
		unsigned int i = 0;
		while (i < *n_told && told[i] != tid)
			i++;
		if (tid <= 0 || tid == own || i < *n_told)
			continue;
		if (*n_told == THREADS_MAX)
			errno = EAGAIN;
		if (*n_told == THREADS_MAX || tell(tid, number) != 0) {
			n = -1;
			break;
		}
		told[(*n_told)++] = tid;
		n++;
	}
	closedir(dir);
	return n;
}

static int
apply_to_all(void)
{
	static pid_t told[THREADS_MAX];
	struct sigaction ours = { .sa_sigaction = handle, .sa_flags = SA_RESTART | SA_SIGINFO };
	struct sigaction before;
	unsigned int n_told = 0;
	int number = free_signal(), n;

	sigfillset(&ours.sa_mask);
	if (sigaction(number, &ours, &before) != 0)
		return -1;
	do {
		n = tell_others(told, &n_told, number);
	} while (n > 0);
	sigaction(number, &before, NULL);
	if (n < 0)
		return -1;
	become_noted();
	errno = __atomic_load_n(&wanted.error, __ATOMIC_RELAXED);
	return errno == 0 ? 0 : -1;
}

/* A reload reads these two again, and root that has no capabilities reads its own files only. */
static void
check_readable(const char *what, const char *path)
{
	if (path != NULL && access(path, R_OK) != 0)
		log_warning("%s: user %u cannot read %s now (%s): a reload will be refused", what,
		            (unsigned int)geteuid(), path, strerror(errno));
}

static void
log_kept(void)
{
	static const struct {
		unsigned int cap;
		const char *name;
	} known[] = { { CAP_NET_ADMIN, " CAP_NET_ADMIN" },
		      { CAP_NET_RAW, " CAP_NET_RAW" },
		      { CAP_IPC_LOCK, " CAP_IPC_LOCK" },
		      { CAP_SYS_ADMIN, " CAP_SYS_ADMIN" } };
	char text[80] = "";

	for (size_t i = 0; i < RTE_DIM(known); i++)
		if ((wanted.keep & CAP(known[i].cap)) != 0)
			strcat(text, known[i].name);
	log_notice("privileges: user %u, capabilities%s", (unsigned int)geteuid(),
	           wanted.keep != 0 ? text : " none");
}

int
privilege_drop(const struct plane *plane, const char *user, const char *path)
{
	if (user != NULL && resolve(user) != 0)
		return -1;
	for (unsigned int i = 0; i < plane->n_ports; i++)
		wanted.keep |= driver_needs(&plane->ports[i]);
	if (apply_to_all() != 0) {
		log_error("privileges cannot be given up: %m");
		return -1;
	}
	check_readable("configuration", path);
	check_readable("secret.file", plane->conf->secret_file);
	log_kept();
	return 0;
}
