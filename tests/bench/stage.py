# SPDX-License-Identifier: BSD-3-Clause
"""Where a benchmark runs: namespaces, processes, DPDK programs, CPU time.

One CPU is for the generator and clients, another for what is measured: the
generator must never get time that the engine would have used. With one CPU
only, both are the same, and the figures say little.
"""

import atexit
import contextlib
import glob
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(REPOSITORY, "tests/system"), os.path.join(REPOSITORY, "config/pktgen")]

from lab import ROOT, Lab, Process, wait_for  # noqa: E402,F401

BUILD = os.environ.get("SYNFRONT_BUILD", os.path.join(ROOT, "build"))
SYNFRONT = os.path.join(BUILD, "app/synfront")
CPUS = sorted(os.sched_getaffinity(0))
GENERATOR_CPU, ENGINE_CPU = CPUS[0], CPUS[-1]
# A benchmark's clients are few sources that mean no harm; its floods are to be answered.
NO_LIMITS = """limits:
  sources: { half_open_host: 0, half_open_net: 0, syn_per_s_host: 0, syn_per_s_net: 0 }
  reflection: { per_net_per_s: 0 }"""


class Stage(Lab):
    """A Lab with namespaces of its own choice, and nothing between them yet."""

    def __init__(self, *nodes):
        super().__init__()
        self.nodes = nodes

    def start(self):
        self.stopped = False
        atexit.register(self.stop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.interrupted)
        self.work = tempfile.mkdtemp(prefix=self.id + "-")
        os.chmod(self.work, 0o755)
        for node in self.nodes:
            self.ip("netns", "add", self.netns(node))
            self.fds[node] = os.open("/run/netns/" + self.netns(node), os.O_RDONLY | os.O_CLOEXEC)
            self.run(node, "ip", "link", "set", "lo", "up")
            for key in ("all.accept_dad", "default.accept_dad", "default.router_solicitations"):
                self.sysctl(node, "ipv6.conf." + key, 0)
        return self

    def stop(self):
        if self.stopped:
            return
        super().stop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def spawn(self, node, name, *argv, env=None, cpu=None):
        """Start a process in a node, or where this program runs if node is None."""
        if cpu is not None:
            argv = ("taskset", "-c", str(cpu)) + argv
        if node is not None:
            return super().spawn(node, name, *argv, env=env)
        process = Process(self, name, argv, env)
        self.processes.append(process)
        return process

    def cable(self, node, device, far_node, far_device, mtu=1500):
        """A veth pair on which every frame is whole: true checksums, at most the MTU."""
        self.run(node, "ip", "link", "add", device, "mtu", str(mtu), "type", "veth", "peer",
                 "name", far_device, "mtu", str(mtu), "netns", self.netns(far_node))
        for where, name in ((node, device), (far_node, far_device)):
            self.run(where, "ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off",
                     "gro", "off")
            self.run(where, "ip", "link", "set", name, "up")

    def steer(self, node, device, cpu):
        """What arrives at a device is worked on by one CPU, whoever sent it."""
        # A namespace's devices are seen in a sysfs that was mounted in it.
        self.run(node, "unshare", "-m", "sh", "-c", "mount -t sysfs none /sys && echo %x >"
                 " /sys/class/net/%s/queues/rx-0/rps_cpus" % (1 << cpu, device))

    def address_of(self, node, device):
        """The MAC address of a device."""
        out = self.run(node, "ip", "-j", "link", "show", "dev", device)
        return json.loads(out)[0]["address"]


class Dpdk:
    """A DPDK program of a stage, and its telemetry socket."""

    def __init__(self, stage, node, name, argv, tag):
        self.stage = stage
        self.tag = tag
        self.process = stage.spawn(node, name, *argv)

    def ask(self, path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(10)
            connection.connect("/run/dpdk/%s/dpdk_telemetry.v2" % self.tag)
            connection.recv(16384)
            connection.send(path.encode())
            return json.loads(connection.recv(1 << 20))[path.partition(",")[0]]

    def wait(self, path="/ethdev/list"):
        """Until it answers."""
        def answers():
            if not self.process.running():
                raise RuntimeError("%s ended:\n%s" % (self.process.name, self.process.output()))
            try:
                return self.ask(path) is not None
            except (OSError, ValueError, KeyError):
                return False
        wait_for(self.process.name + " to answer", answers, 30, 0.05)
        return self

    def port(self, number):
        """A port's counters; it must have some within 5 s."""
        try:
            return wait_for("statistics of port %d" % number,
                            lambda: self.ask("/ethdev/stats,%d" % number), 5)
        except TimeoutError as error:
            raise RuntimeError("%s: %s; ports %s; it printed:\n%s" % (
                self.process.name, error, self.ask("/ethdev/list"),
                self.process.output()[-4000:])) from error

    def end(self):
        status = self.stage.end(self.process)
        leave_nothing(self.tag)
        return status


def leave_nothing(tag):
    """What EAL keeps under /run/dpdk for a name of ours."""
    for path in glob.glob("/run/dpdk/%s/*" % tag):
        os.unlink(path)
    if os.path.isdir("/run/dpdk/" + tag):
        os.rmdir("/run/dpdk/" + tag)


def testpmd(stage, node, name, cpu, devices, mode, options=(), megabytes=256):
    """DPDK's own forwarder with one polling thread on a CPU."""
    tag = "%s-%s" % (stage.id, name)
    argv = ["dpdk-testpmd", "--no-pci", "--no-huge", "-m", str(megabytes),
            "--single-file-segments", "--file-prefix", tag,
            "--lcores", "0@(%s),1@%d" % (",".join(map(str, CPUS)), cpu)]
    for device in devices:
        argv += ["--vdev", device]
    argv += ["--", "--forward-mode=" + mode, "--auto-start", "--stats-period=3600",
             "--rxd=1024", "--txd=1024", *options]
    return Dpdk(stage, node, name, argv, tag)


def synfront(stage, node, name, text):
    """The engine with a configuration; @TAG@, @CPU@, @WORK@ and @NO_LIMITS@ are filled in."""
    tag = "%s-%s" % (stage.id, name)
    path = os.path.join(stage.work, name + ".yaml")
    with open(path, "w") as file:
        file.write(text.replace("@NO_LIMITS@", NO_LIMITS).replace("@TAG@", tag)
                   .replace("@CPU@", str(ENGINE_CPU)).replace("@WORK@", stage.work))
    engine = Dpdk(stage, node, name, [SYNFRONT, "--config", path], tag)
    engine.wait("/synfront/info")
    return engine


def counters(engine):
    """Every counter of synfront by its name, all workers together."""
    return engine.ask("/synfront/stats") or {}


def busy_ticks(cpu):
    """Time that a CPU has not been idle, in seconds."""
    with open("/proc/stat") as file:
        for line in file:
            fields = line.split()
            if fields[0] == "cpu%d" % cpu:
                user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[1:8])
                return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    raise KeyError(cpu)


def waited(*processes):
    """How long the threads of processes have waited for a CPU that somebody else had, in
    seconds, those of the worst one."""
    worst = 0
    for process in processes:
        total = 0
        for path in glob.glob("/proc/%d/task/*/schedstat" % process.popen.pid):
            # Each question to telemetry has a thread that is soon gone.
            with contextlib.suppress(OSError, IndexError), open(path) as file:
                total += int(file.read().split()[1])
        worst = max(worst, total / 1e9)
    return worst


class Rate:
    """How fast some numbers grow while somebody sleeps."""

    PART_S = 0.25  # what good_part() chooses from

    def __init__(self, read):
        self.read = read

    def over(self, seconds):
        """A dict of what read() returns, per second, and "busy" of the engine's CPU."""
        first, busy, begin = self.read(), busy_ticks(ENGINE_CPU), time.monotonic()
        time.sleep(seconds)
        last, after, end = self.read(), busy_ticks(ENGINE_CPU), time.monotonic()
        rate = {key: (last[key] - first[key]) / (end - begin) for key in first}
        rate["busy"] = min(1.0, (after - busy) / (end - begin))
        return rate

    def good_part(self, seconds, key):
        """The same of one part of these seconds, the ninth decile of all by `key`. On a virtual
        machine others take up to half of a core away, for tenths of seconds or for seconds, and no
        counter in it shows that; nobody ever adds to a core."""
        rates = [self.over(self.PART_S) for _ in range(round(seconds / self.PART_S))]
        return sorted(rates, key=lambda rate: rate[key])[len(rates) * 9 // 10]


def alternate(makers, repeats, measure):
    """A B A B ...: measure(thing) of each maker in turn; {name: [value, ...]}."""
    values = {name: [] for name in makers}
    for _ in range(repeats):
        for name, make in makers.items():
            values[name].append(measure(name, make))
    return values


def median(values):
    return statistics.median(values) if values else float("nan")


def median_ratio(ours, theirs):
    """The median of the ratios of neighbours in time."""
    return median([a / b for a, b in zip(ours, theirs) if b])


def machine():
    """What the figures were made on."""
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) // 1024
    dpdk = subprocess.run(("pkg-config", "--modversion", "libdpdk"), stdout=subprocess.PIPE,
                          text=True, check=False).stdout.strip()
    commit = subprocess.run(("git", "-C", ROOT, "describe", "--always", "--dirty"),
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=False).stdout.strip()
    with open("/proc/loadavg") as file:
        load = float(file.read().split()[0])
    return {"cpu": model, "cpus": len(CPUS), "memory_mb": memory,
            "kernel": platform.release(), "dpdk": dpdk, "synfront": commit,
            "load_before": load, "date": time.strftime("%Y-%m-%d %H:%M:%S %Z")}
