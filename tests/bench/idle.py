# SPDX-License-Identifier: BSD-3-Clause
"""What a worker with nothing to do costs, and what its rest costs the first packet.

One client opens a connection to the responder each second, so that every SYN comes after a
second of silence; how long its SYN-ACK takes is measured by the generator, which polls. Once the
worker polls too, once it rests (`idle: auto`): the difference is what resting adds. The
worker's CPU time is that of its thread in a silence without any client.
"""

import contextlib
import glob
import os
import time

from first_byte import favour_engine
from generator import Generator
from shared_memory import PORTS, RESPONDER
from stage import GENERATOR_CPU, Stage, counters, median, synfront, wait_for

# A socket of the kernel's at the other end of a TAP, and of a pair of veth devices.
SOCKET = "net_af_packet0,iface=%s,qdisc_bypass=1,framesz=2048,framecnt=4096,blocksz=65536"
KINDS = ("TAP", "AF_XDP", "AF_PACKET", "virtio", "memif")
IDLE = ("poll", "auto")
CPU_MOST, LATER_MOST = 5.0, 100.0


def worker_seconds(process):
    """CPU time of the engine's worker so far."""
    for path in glob.glob("/proc/%d/task/*" % process.popen.pid):
        # Each question to telemetry has a thread that is soon gone.
        with contextlib.suppress(OSError), open(path + "/comm") as comm:
            if "worker" in comm.read():
                with open(path + "/schedstat") as file:
                    return int(file.read().split()[0]) / 1e9
    raise RuntimeError("no worker in " + process.output())


def favour(program, idle):
    """It comes before all others on its CPU: what a rest costs is asked, not who else is there.
    One that polls would lose it for 50 ms in each second (sched_rt_runtime_us)."""
    favour_engine(program)
    if idle != "poll":
        for thread in os.listdir("/proc/%d/task" % program.process.popen.pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(10))


class Ends:
    """A port of each kind for the engine, and what the generator has at its other end."""

    def __init__(self, stage):
        self.stage = stage
        self.number = 0

    def make(self, kind):
        """(device of the engine, device of the generator, does that one come first)"""
        self.number += 1
        if kind == "TAP":
            name = "idle%d" % self.number
            return "net_tap0,iface=" + name, SOCKET % name, False
        if kind in ("AF_XDP", "AF_PACKET"):
            near, far = "near%d" % self.number, "far%d" % self.number
            self.stage.cable("dut", near, "dut", far)
            self.stage.steer("dut", near, GENERATOR_CPU)
            return ("net_af_xdp0,iface=" + far if kind == "AF_XDP" else SOCKET % far,
                    SOCKET % near, False)
        path = os.path.join(self.stage.work, "idle%d.sock" % self.number)
        near, far = (device % path for device in PORTS[kind])
        return far, near, True

    def measure(self, kind, idle, seconds):
        """CPU of the worker, in per cent, and how long first packets take."""
        device, far, is_generator_first = self.make(kind)
        name, engine = "engine%d" % self.number, None
        text = (RESPONDER % ('"%s"' % device)).replace("idle: poll", "idle: " + idle)
        options = ["--clients", "1", "--client-rate", "1"]
        if not is_generator_first:
            text = text.replace("\n  args: [--single-file-segments]", "")
            engine = synfront(self.stage, "dut", name, text)
            device = far.partition("iface=")[2].partition(",")[0]
            self.stage.run("dut", "ip", "link", "set", device, "up")
        generator = Generator(self.stage, "dut", far, *options, seconds=seconds)
        try:
            if engine is None:
                wait_for("the generator's socket", lambda: glob.glob(
                    self.stage.work + "/idle%d.sock*" % self.number)
                    or not generator.process.running())
                engine = synfront(self.stage, "dut", name, text)
            wait_for("the first connection", lambda: counters(engine)["answered_data"] > 1
                     or not generator.process.running())
            favour(engine, idle)
            favour(generator, "poll")
            before, begin = worker_seconds(engine.process), time.monotonic()
            time.sleep(0.4 * seconds)
            used, took = worker_seconds(engine.process) - before, time.monotonic() - begin
            way = engine.ask("/synfront/info")["idle"]
            account = generator.account(seconds + 60)
            return dict(account["connect_us"], cpu=100 * used / took, way=way)
        finally:
            if generator.process.running():
                generator.end()
            if engine:
                engine.end()


def run(results, quick):
    seconds, repeats = (6, 1) if quick else (15, 3)
    with Stage("dut") as stage:
        ends = Ends(stage)
        for kind in KINDS:
            rounds = [{idle: ends.measure(kind, idle, seconds) for idle in IDLE}
                      for _ in range(repeats)]
            report(results, kind, rounds)


def report(results, kind, rounds):
    auto, poll = ([one[idle] for one in rounds] for idle in ("auto", "poll"))
    way = auto[0]["way"]
    cpu = median([one["cpu"] for one in auto])
    results.row("idle", "%s, CPU in silence (%s)" % (kind, way), cpu / CPU_MOST, 1.0, True, cpu,
                CPU_MOST, "%", "what is allowed; polling %.0f %%" % median(
                    [one["cpu"] for one in poll]))
    for point in ("p50", "p99"):
        mine, bare = (median([one[point] for one in each]) for each in (auto, poll))
        later = max(mine - bare, 0)
        results.row("idle", "%s, first packet later, %s" % (kind, point), later / LATER_MOST, 1.0,
                    True, later, LATER_MOST, "us",
                    "what is allowed", "resting %.0f, polling %.0f us" % (mine, bare))
