# SPDX-License-Identifier: BSD-3-Clause
"""How faults are brought about from outside the engine: by what starts it, by signals and
ptrace, by who sits at the other end of a port or of a socket."""

import contextlib
import ctypes
import os
import signal
import socket
import time

from engines import BUILD, TAPS, Synfront, join_taps
from lab import FAVOURED, address, libc, wait_for

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


def is_sanitized():
    """Whether the engine is built with ASAN, which wants memory, and to be loaded first."""
    with open(os.path.join(BUILD, "app/synfront"), "rb") as file:
        return b"__asan_init" in file.read()


class Wrapped(Synfront):
    """An engine that other programs start, each of which becomes the next."""

    def __init__(self, text, instance, *wrapper, taps=TAPS):
        super().__init__(text, instance, taps)
        self.wrapper = wrapper

    def launch(self):
        self.process = self.lab.spawn("box", self.instance, *self.wrapper,
                                      os.path.join(BUILD, "app/synfront"), "--config", self.path,
                                      nice=FAVOURED)
        join_taps(self.lab, self.process, self.taps)
        wait_for("telemetry of " + self.instance, self.answers)


class Vhost:
    """The engine's outside port is virtio, with a queue for each worker; a testpmd joins it
    to the bridge, and whoever stops that one fills the transmit rings. `server`: the engine
    listens, and takes another peer when one has gone."""

    def __init__(self, bench, name, *changes, server=False):
        self.path = os.path.join(bench.lab.work, name + ".sock")
        self.name = name
        self.server = server
        self.queues = bench.options.workers
        # A transmit ring keeps what has been sent until it needs the place.
        self.slack = 256 * self.queues
        self.lab = bench.lab
        self.lab.remove()
        device = "net_virtio_user0,path=%s,queue_size=256,queues=%d" % (self.path, self.queues)
        text = bench.config(replace=(
            ("device: net_tap0,iface=sf-outside", "device: %s%s\n    rx_descriptors: 256"
             "\n    tx_descriptors: 256" % (device, ",server=1" if server else "")),
            ("  count: ", "  idle: auto\n  count: "),
            ("hugepages: off", "hugepages: off\n  args: [--single-file-segments]")) + changes)
        try:
            self.begin()
            if not server:
                wait_for("the vhost socket", lambda: os.path.exists(self.path))
            bench.engine(Synfront(text, name, taps=TAPS[1:]))
        except BaseException:
            self.__exit__()
            raise

    def begin(self):
        """Start the peer."""
        self.peer = self.lab.spawn(
            "box", self.name + "-peer", "dpdk-testpmd", "--no-pci", "--no-huge", "-m", "128",
            "-l", "0,1", "--file-prefix", "%s-%s-peer" % (self.lab.id, self.name), "--vdev",
            "net_tap0,iface=" + TAPS[0][0], "--vdev", "net_vhost0,iface=%s,queues=%d,client=%d"
            % (self.path, self.queues, self.server), "--", "--forward-mode=io", "--auto-start",
            "--rxq=%d" % self.queues, "--txq=%d" % self.queues, "--total-num-mbufs=%d"
            % (6144 + 2048 * self.queues), "--rxd=512", "--txd=512", "--stats-period=3600")
        join_taps(self.lab, self.peer, TAPS[:1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.remove()
        self.lab.end(self.peer)


@contextlib.contextmanager
def stopped(process):
    """A process stands still for the length of a block."""
    process.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        process.kill(signal.SIGCONT)


def push(bench, packets):
    """Datagrams from the server's side to the client's, as fast as it goes."""
    with bench.lab.socket("server", socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(packets):
            sender.sendto(b"x" * 200, (address(1), 9))
            if number % 32 == 0:
                time.sleep(0.001)


@contextlib.contextmanager
def thread_stopped(pid, name):
    """One thread of a process does not run, by ptrace; the others do."""
    tid = next(tid for tid, comm in threads_of(pid) if comm == name)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    ptrace = lambda request: libc.ptrace(request, tid, None, None)
    if ptrace(PTRACE_SEIZE) or ptrace(PTRACE_INTERRUPT):
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH)


def threads_of(pid):
    """Number and name of each. (Those of telemetry's clients come and go.)"""
    for tid in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                open("/proc/%d/task/%s/comm" % (pid, tid)) as file:
            yield int(tid), file.read().strip()


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

/* Wall time is what the kernel says and a number of seconds in a file. */
int
clock_gettime(clockid_t clock, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	static volatile long *seconds;

	if (real == NULL) {
		seconds = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED,
		               open(getenv("SHIM_FILE"), O_RDONLY), 0);
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	}
	int rc = real(clock, t);
	if (clock == CLOCK_REALTIME)
		t->tv_sec += *seconds;
	return rc;
}
"""


class Wall:
    """A wall clock that can be set, for one process."""

    def __init__(self, lab):
        self.path = os.path.join(lab.work, "seconds")
        self.library = os.path.join(lab.work, "shim.so")
        source = os.path.join(lab.work, "shim.c")
        with open(source, "w") as file:
            file.write(SHIM)
        lab.run("box", "gcc", "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl")
        self.file = open(self.path, "wb", buffering=0)
        self.set(0)

    def set(self, seconds):
        self.file.seek(0)
        self.file.write(seconds.to_bytes(8, "little", signed=True))

    def wrapper(self):
        return "env", "LD_PRELOAD=" + self.library, "SHIM_FILE=" + self.path


def hang(path, how):
    """A telemetry client that is no use to anybody."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(path)
    if how == "half a request":
        client.send(b"/synfro")
    elif how == "never reads":
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(b"/synfront/stats")
    return client
