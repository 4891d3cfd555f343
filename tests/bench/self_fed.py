# SPDX-License-Identifier: BSD-3-Clause
"""An engine that feeds itself: SYNs of a capture, again and again, in its own memory.

net_pcap with infinite_rx gives the worker a copy of the next frame as often as it asks, and takes
what it sends for nothing. So nobody else is needed for a flood: of two CPUs one is the worker's, and
the other is free for its control and for who asks it.
"""

import os
import subprocess
import time

from stage import BUILD, CPUS, ENGINE_CPU, GENERATOR_CPU, synfront
from syns import write_pcap

CTL = os.path.join(BUILD, "app/synfrontctl")
SERVICES_MOST = 64
# The ring of the driver keeps all of them, beside what is on its way.
SYNS = 4096
SOURCES = "11.0.0.0/8"

TEXT = """
ports:
  outside: { device: "net_pcap0,rx_pcap=@WORK@/syns.pcap,infinite_rx=1" }
workers: { lcores: [@CPU@], control_lcore: %d, buffers: %d, idle: poll }
memory: { connections: 64k, half_open: 1k, sources: 4k }
services:
%s
@NO_LIMITS@
instance: @TAG@
eal:
  hugepages: off
"""
SERVICE = "  - {name: service-%d, addresses: 198.18.%d.0/24, ports: all, mode: respond, cookies: always}"


class SelfFed:
    """The engine, and what it has done so far."""

    def __init__(self, stage, services=SERVICES_MOST):
        write_pcap(os.path.join(stage.work, "syns.pcap"), SYNS, sources=(SOURCES,),
                   to=["198.18.%d.1" % i for i in range(services)])
        self.engine = synfront(stage, None, "self-fed", TEXT % (
            GENERATOR_CPU, 4 * SYNS,
            "\n".join(SERVICE % (i, i) for i in range(services))))
        # Who asks stays out of the worker's way.
        os.sched_setaffinity(0, {GENERATOR_CPU})
        self.pid = self.engine.process.popen.pid
        self.worker = next(number for number, comm in self.threads() if "worker" in comm)

    def end(self):
        os.sched_setaffinity(0, CPUS)
        self.engine.end()

    def threads(self):
        """(number, name) of all there are now."""
        for thread in os.listdir("/proc/%d/task" % self.pid):
            try:
                with open("/proc/%d/task/%s/comm" % (self.pid, thread)) as file:
                    yield int(thread), file.read()
            except OSError:  # each question to telemetry has a thread that is soon gone
                continue

    def place_control(self, cpu):
        """All threads but the worker to a CPU; those of questions inherit it."""
        for number, _ in self.threads():
            if number != self.worker:
                try:
                    os.sched_setaffinity(number, {cpu})
                except ProcessLookupError:
                    continue

    def worker_so_far(self):
        """Frames that the worker has received, and the CPU time that it had, in seconds: of one
        moment."""
        row = self.engine.ask("/synfront/workers")
        return row["received"][0], row["cpu_ns"][0] / 1e9

    def control_cpu(self):
        """CPU time so far of all threads but the worker's, ended ones too, in seconds: of the
        process's clock (CPUCLOCK_SCHED of the kernel's posix-timers.h) what is not the worker's."""
        return time.clock_gettime(~self.pid << 3 | 2) - self.worker_so_far()[1]

    def ctl(self, *argv, cpu=GENERATOR_CPU):
        """synfrontctl on a CPU: (seconds, CPU seconds, what it said)."""
        # What is to be done in the child costs a fork of this program in place of a vfork.
        move = None if cpu == GENERATOR_CPU else lambda: os.sched_setaffinity(0, {cpu})
        begin = time.monotonic()
        with subprocess.Popen((CTL, "--instance", self.engine.tag) + argv, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              preexec_fn=move) as process:
            said = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begin
        if process.returncode:
            raise RuntimeError("synfrontctl %s: status %d" % (" ".join(argv), process.returncode))
        return took, usage.ru_utime + usage.ru_stime, said
