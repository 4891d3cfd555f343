# SPDX-License-Identifier: BSD-3-Clause
"""Time to the first byte in a flood, near and far.

Clients at a distance connect to nginx, send a request and wait for the first byte of
its answer, many at a time; behind a bare wire without a flood, and behind synfront on TAP
and AF_XDP ports, calm and in a flood that does not take the long way. Clients, nginx and
the flood share a CPU that the engine does not use; clients and nginx have it as soon
as they want it (SCHED_FIFO), or the scheduler's slices would be measured.
"""

import contextlib
import os
import select
import socket
import time

from stage import median
from engines import Synfront, Wire
from delay import far_client
from lab import SERVER, Lab, address, wait_for
from proxy import CONFIG, REQUEST, RESET_AT_CLOSE, aside
from traffic import Flood, Nginx

FLOOD = 50000
ROUND_TRIPS = (0, 20, 100)
AT_ONCE = 24
PATIENCE = 8.0
POINTS = (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))


class XdpSynfront(Synfront):
    """The engine on AF_XDP ports: ends of two cables whose other ends are on the bridges."""

    CABLES = (("xdp-out", "sf-outside", "br-out"), ("xdp-in", "sf-inside", "br-in"))

    def __init__(self):
        text = CONFIG
        for number, (_, device, _) in enumerate(self.CABLES):
            text = text.replace("net_tap%d," % number, "net_af_xdp%d," % number)
            assert device in text
        super().__init__(text, taps=tuple((far, bridge) for far, _, bridge in self.CABLES))

    def begin(self, lab):
        for far, device, _ in self.CABLES:
            lab.run("box", "ip", "link", "add", device, "type", "veth", "peer", "name", far)
            for end in (device, far):
                lab.run("box", "ethtool", "-K", end, "tx", "off", "tso", "off", "gso", "off",
                        "gro", "off")
                lab.run("box", "ip", "link", "set", end, "up")
        super().begin(lab)

    def end(self, *args):
        status = super().end(*args)
        for _, device, _ in self.CABLES:
            self.lab.run("box", "ip", "link", "del", device, check=False)
        return status


ENGINES = {"wire": Wire, "TAP": lambda: Synfront(CONFIG), "AF_XDP": XdpSynfront}


@contextlib.contextmanager
def at_once():
    """This thread has the CPU whenever it wants it."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def favour(pid):
    """The same for a process and its children."""
    os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(10))
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        for child in file.read().split():
            favour(int(child))


class Requests:
    """A number of requests, AT_ONCE of them under way; what each took."""

    def __init__(self, lab, number, width):
        self.lab, self.left, self.width = lab, number, width
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

    def run(self):
        with aside(), self.lab.inside("client"), at_once():
            while self.left or self.open:
                while self.left and len(self.open) < self.width:
                    self.begin()
                for number, events in self.poll.poll(0.1):
                    self.step(number, events)
                now = time.perf_counter()
                for number in [n for n, one in self.open.items() if one[2] < now]:
                    self.finish(number, False)
        self.poll.close()
        return self


def points(requests):
    """Milliseconds at each of POINTS, and how many failed."""
    ordered = sorted(1e3 * seconds for seconds in requests.taken) or [float("nan")]
    found = {name: ordered[int((len(ordered) - 1) * share)] for name, share in POINTS}
    return dict(found, failed=requests.failed)


def ready(lab, engine):
    """synfront has learned its server and splices."""
    if engine.name == "synfront":
        wait_for("a splice", lambda: Requests(lab, 1, 1).run() and engine.counters()["connected"])


def measure(lab, rtt, number):
    """{"wire": points, "TAP, calm": points, ...} at one round trip."""
    width = AT_ONCE if rtt else 1
    found = {}
    for name, make in ENGINES.items():
        engine = lab.insert(make())
        with contextlib.ExitStack() as stack:
            if rtt:
                stack.enter_context(far_client(lab, "delay=%gms" % (rtt / 2)))
            ready(lab, engine)
            found[name + ", calm"] = points(Requests(lab, number, width).run())
            if name == "wire":
                continue
            with aside():
                flood = Flood(lab, FLOOD, 120)
            with flood:
                time.sleep(1)
                before, begin = flood.sent(), time.monotonic()
                found[name + ", flood"] = points(Requests(lab, number, width).run())
                found[name + ", flood"]["rate"] = (flood.sent() - before) / (time.monotonic() - begin)
    return found


def run(results, quick):
    number, repeats = (300, 1) if quick else (3000, 3)
    with Lab() as lab:
        lab.sysctl("server", "ipv4.tcp_syncookies", 1)
        with aside():
            nginx = Nginx(lab)
        favour(nginx.process.popen.pid)
        for rtt in ROUND_TRIPS[:2] if quick else ROUND_TRIPS:
            rounds = [measure(lab, rtt, number) for _ in range(repeats)]
            report(results, rtt, rounds)


def report(results, rtt, rounds):
    wire = [one["wire, calm"] for one in rounds]
    for name in rounds[0]:
        if name == "wire, calm":
            continue
        ours = [one[name] for one in rounds]
        note = "failed %d" % sum(one["failed"] for one in ours)
        if "rate" in ours[0]:
            note += ", %.0f k SYN/s" % (median([one["rate"] for one in ours]) / 1e3)
        for point, _ in POINTS:
            mine, bare = ([one[point] for one in row] for row in (ours, wire))
            results.row("flood", "%d ms, first byte, %s, %s" % (rtt, point, name),
                        median(mine) / median(bare), None, True, median(mine), median(bare), "ms",
                        "wire, calm", note if point == "p50" else "", ours_all=mine, peer_all=bare)
