# SPDX-License-Identifier: BSD-3-Clause
"""Time to the first byte in a flood, near and far.

Clients at a distance connect to nginx, send a request and wait for the first byte of its
answer, one every PACE seconds however long each takes; behind a bare wire without a flood,
and behind synfront on TAP and AF_XDP ports, calm and in a flood that does not take the long
way.

Clients, nginx and the flood share a CPU that the engine does not use. Where they share it as
equals, p99.9 is the time for which the kernel's scheduler lets the flood's sender go on: ticks
of 4 ms. So clients and nginx have it as soon as they want it (SCHED_FIFO), and the engine comes
first on its own, where it naps when there is nothing to do. One row is measured with equals
all the same, and shows what that is worth.
"""

import contextlib
import os
import select
import socket
import time

from stage import median, waited
from engines import Synfront, Wire, XdpSynfront
from delay import far_client
from generator import Generator
from lab import SERVER, Lab, address, wait_for
from proxy import CONFIG, REQUEST, RESET_AT_CLOSE, aside
from traffic import Nginx

# SYNs a second, within what the ports carry: a TAP takes a system call for each frame, and
# what is beyond it waits in the kernel's queue, some 20 ms long, or is lost there.
FLOODS = {"TAP": 30000, "AF_XDP": 60000}
ROUND_TRIPS = (0, 20, 100)
PACE = 1e-3
PATIENCE = 8.0
POINTS = (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
NAPPING = CONFIG.replace("idle: poll", "idle: auto")


ENGINES = {"wire": Wire, "TAP": lambda: Synfront(NAPPING), "AF_XDP": lambda: XdpSynfront(NAPPING)}


def favour_engine(engine):
    """It comes before all others on its CPU; it naps, so they get some of it. Not by
    SCHED_FIFO: in a flood it has no time to nap, and would be taken off for 50 ms in each
    second (sched_rt_runtime_us)."""
    pid = engine.process.popen.pid
    with contextlib.suppress(OSError):  # a kernel without groups by session
        with open("/proc/%d/autogroup" % pid, "w") as file:
            file.write("-20")
    for thread in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(ProcessLookupError):  # some end soon
            os.setpriority(os.PRIO_PROCESS, int(thread), -20)


def priority(pid, favoured):
    """A process and its children, or this thread if 0: whether they have a CPU whenever they
    want it."""
    policy, number = (os.SCHED_FIFO, 10) if favoured else (os.SCHED_OTHER, 0)
    os.sched_setscheduler(pid, policy, os.sched_param(number))
    if pid:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            for child in file.read().split():
                priority(int(child), favoured)


@contextlib.contextmanager
def at_once(wanted):
    """This thread has the CPU whenever it wants it."""
    priority(0, wanted)
    try:
        yield
    finally:
        priority(0, False)


class Requests:
    """A number of requests, one begun every PACE seconds; what each took."""

    def __init__(self, lab, number):
        self.lab, self.left = lab, number
        self.poll = select.epoll()
        self.open = {}  # descriptor -> [socket, begin, deadline]
        self.taken, self.failed = [], 0

    def begin(self):
        client = socket.socket()
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        now = time.perf_counter()
        client.connect_ex((address(SERVER), 80))
        self.open[client.fileno()] = [client, now, now + PATIENCE]
        self.poll.register(client.fileno(), select.EPOLLOUT)
        self.left -= 1

    def finish(self, number, good):
        client, begin, _ = self.open.pop(number)
        if good:
            self.taken.append(time.perf_counter() - begin)
        else:
            self.failed += 1
        self.poll.unregister(number)
        client.close()

    def step(self, number, events):
        client = self.open[number][0]
        try:
            if events & select.EPOLLOUT:
                client.send(REQUEST)
                self.poll.modify(number, select.EPOLLIN)
            elif events & select.EPOLLIN:
                self.finish(number, bool(client.recv(4096)))
            else:
                self.finish(number, False)
        except OSError:
            self.finish(number, False)

    def run(self, favoured=True):
        with aside(), self.lab.inside("client"), at_once(favoured):
            due = time.perf_counter()
            while self.left or self.open:
                now = time.perf_counter()
                if self.left and now >= due:
                    self.begin()
                    due += PACE
                for number, events in self.poll.poll(max(0.0, due - now) if self.left else 0.1):
                    self.step(number, events)
                for number in [n for n, one in self.open.items() if one[2] < now]:
                    self.finish(number, False)
        self.poll.close()
        return self


def points(lab, number, engine, favoured=True):
    """Milliseconds at each of POINTS, how many failed, and for how many of them the engine
    waited for its CPU in all."""
    processes = [engine.process] if engine.name == "synfront" else []
    before = waited(*processes)
    requests = Requests(lab, number).run(favoured)
    ordered = sorted(1e3 * seconds for seconds in requests.taken) or [float("nan")]
    found = {name: ordered[int((len(ordered) - 1) * share)] for name, share in POINTS}
    return dict(found, failed=requests.failed, waited=1e3 * (waited(*processes) - before))


def ready(lab, engine):
    """synfront has learned its server and splices."""
    if engine.name == "synfront":
        wait_for("a splice", lambda: Requests(lab, 1).run() and engine.counters()["connected"])


def in_flood(lab, number, engine, rate, favoured=True):
    """points() in a flood of so many SYNs a second, and its rate. The flood is even: trafgen
    sends what it may in a second at once at the second's beginning."""
    sent = lambda: lab.link_counters("attacker", "eth0")["tx"]["packets"]
    idle = sent()
    flood = Generator(lab, "attacker", "net_af_packet0,iface=eth0,qdisc_bypass=1",
                      "--to", address(SERVER), "--mac", lab.mac("server"), "--port", "80",
                      "--rate", str(rate), "--blind", seconds=120)
    try:
        wait_for("the flood to begin:\n" + flood.process.output(),
                 lambda: sent() > idle + 1000 or not flood.process.running())
        time.sleep(1)
        before, begin = sent(), time.monotonic()
        found = points(lab, number, engine, favoured)
        return dict(found, rate=(sent() - before) / (time.monotonic() - begin))
    finally:
        flood.end()


def measure(lab, nginx, rtt, number):
    """{"wire": points, "TAP, calm": points, ...} at one round trip."""
    found = {}
    for name, make in ENGINES.items():
        engine = lab.insert(make())
        if name != "wire":
            favour_engine(engine)
        with contextlib.ExitStack() as stack:
            if rtt:
                with aside():
                    stack.enter_context(far_client(lab, "delay=%gms" % (rtt / 2)))
            ready(lab, engine)
            found[name + ", calm"] = points(lab, number, engine)
            if name == "wire":
                continue
            found[name + ", flood"] = in_flood(lab, number, engine, FLOODS[name])
            if not rtt and name == "TAP":
                priority(nginx, False)
                found[name + ", flood, equals"] = in_flood(lab, number, engine, FLOODS[name], False)
                priority(nginx, True)
    return found


def run(results, quick):
    number, repeats = (300, 1) if quick else (2000, 3)
    with Lab() as lab:
        lab.sysctl("server", "ipv4.tcp_syncookies", 1)
        with aside():
            nginx = Nginx(lab).process.popen.pid
        priority(nginx, True)
        for rtt in ROUND_TRIPS[:2] if quick else ROUND_TRIPS:
            report(results, rtt, [measure(lab, nginx, rtt, number) for _ in range(repeats)])


def report(results, rtt, rounds):
    wire = [one["wire, calm"] for one in rounds]
    for name in rounds[0]:
        if name == "wire, calm":
            continue
        ours = [one[name] for one in rounds]
        note = "failed %d, the engine waited %.1f ms for its CPU" % (
            sum(one["failed"] for one in ours), median([one["waited"] for one in ours]))
        if "rate" in ours[0]:
            note += ", %.0f k SYN/s" % (median([one["rate"] for one in ours]) / 1e3)
        for point, _ in POINTS:
            mine, bare = ([one[point] for one in row] for row in (ours, wire))
            results.row("flood", "%d ms, first byte, %s, %s" % (rtt, point, name),
                        median(mine) / median(bare), None, True, median(mine), median(bare), "ms",
                        "wire, calm", note if point == "p50" else "", ours_all=mine, peer_all=bare)
