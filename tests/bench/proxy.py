# SPDX-License-Identifier: BSD-3-Clause
"""Through the splice to a real nginx: connections, latency, bulk transfer.

The lab of the system tests: TAP ports on two bridges, client, attacker and
server in namespaces. In synfront's place stands testpmd, which forwards every
frame untouched; the server then has to defend itself, with its own cookies.
The engine has one CPU, everybody else shares another.
"""

import contextlib
import os
import re
import socket
import statistics
import struct
import time

from stage import CPUS, ENGINE_CPU, GENERATOR_CPU, NO_LIMITS, alternate, median, median_ratio
from engines import Synfront, Testpmd
from lab import SERVER, Lab, address, wait_for
from traffic import Flood, Nginx

FLOOD = 50000
REQUEST = b"GET /hello HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
PATIENCE = 8.0

CONFIG = """
ports:
  outside: { device: "net_tap0,iface=sf-outside" }
  inside: { device: "net_tap1,iface=sf-inside" }
workers: { lcores: [%d], idle: poll }
memory: { connections: 256k, half_open: 64k, backends: 64, paths: 64 }
services:
  - { name: web, addresses: 198.51.100.10, ports: 80, mode: proxy, max_connecting: 4k }
%s
drain_timeout: 0
instance: @INSTANCE@
eal: { hugepages: off }
""" % (ENGINE_CPU, NO_LIMITS)


@contextlib.contextmanager
def aside():
    """What starts in this block keeps off the engine's CPU."""
    os.sched_setaffinity(0, {GENERATOR_CPU})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CPUS)


class Path:
    """The lab, a web server, and synfront or testpmd in the middle."""

    def __init__(self, lab, big_size):
        self.lab = lab
        with aside():
            self.nginx = Nginx(lab)
        lab.sysctl("server", "ipv4.tcp_syncookies", 1)
        # wrk's kernel would look for a port among tens of thousands in TIME-WAIT, and take
        # milliseconds for it: a connection then measures that.
        lab.sysctl("client", "ipv4.tcp_max_tw_buckets", 4096)
        with open(os.path.join(self.nginx.dir, "www", "big"), "wb") as file:
            file.truncate(big_size)

    def insert(self, name):
        """A fresh engine; synfront has learned the server and splices when this returns."""
        engine = self.lab.insert(Synfront(CONFIG) if name == "synfront" else Testpmd())
        if name == "synfront":
            def splices():
                with self.lab.inside("client"):
                    self.connect()
                return engine.counters()["connected"] > 0
            wait_for("a splice", splices)
        return engine

    def connect(self):
        """One request: seconds to connect, seconds to the answer; None if it failed."""
        with socket.socket() as client:
            client.settimeout(PATIENCE)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            begin = time.perf_counter()
            try:
                client.connect((address(SERVER), 80))
                connected = time.perf_counter()
                client.sendall(REQUEST)
                if not client.recv(4096):
                    return None
            except OSError:
                return None
            return connected - begin, time.perf_counter() - begin

    def latency(self, number):
        """Microseconds at p50, p99, p99.9 of connecting and of answers; how many failed."""
        with aside(), self.lab.inside("client"):
            taken = [self.connect() for _ in range(number)]
        good = [pair for pair in taken if pair]
        found = {"failed": number - len(good)}
        for index, name in ((0, "connect"), (1, "answer")):
            ordered = sorted(1e6 * pair[index] for pair in good) or [float("nan")]
            for label, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
                found["%s_%s" % (name, label)] = ordered[int((len(ordered) - 1) * share)]
        return found

    def rate(self, seconds):
        """Connections per second, each with one request, by wrk."""
        with aside():
            out = self.lab.run("client", "wrk", "-t1", "-c16", "-d%ds" % seconds, "-H",
                               "Connection: close", "http://%s/hello" % address(SERVER))
        return float(re.search(r"Requests/sec:\s*([0-9.]+)", out).group(1))

    def bulk(self):
        """Gbit/s of one download."""
        with aside():
            out = self.lab.run("client", "curl", "-sS", "-o", "/dev/null", "-w",
                               "%{speed_download}", "http://%s/big" % address(SERVER))
        return float(out) * 8 / 1e9

    def all(self, name, seconds, number):
        """Everything with one engine, calm first."""
        engine = self.insert(name)
        found = {"calm": self.latency(number), "rate": self.rate(seconds), "bulk": self.bulk()}
        with aside():
            flood = Flood(self.lab, FLOOD, 120)
        with flood:
            time.sleep(1)
            before, begin = flood.sent(), time.monotonic()
            found["flood"] = self.latency(number)
            found["offered"] = (flood.sent() - before) / (time.monotonic() - begin)
            found["flood_rate"] = self.rate(seconds)
        if name == "synfront":
            found["counters"] = {key: n for key, n in engine.counters().items() if n}
            assert found["counters"]["connected"] > number, found["counters"]
        return found


def report(results, values):
    ours, theirs = values["synfront"], values["testpmd"]
    offered, others = (median([v["offered"] for v in row]) / 1e3 for row in (ours, theirs))

    def compare(what, read, unit, bar=None, at_most=False, note=""):
        mine, other = [read(v) for v in ours], [read(v) for v in theirs]
        results.row("proxy", what, median_ratio(mine, other), bar, at_most, median(mine),
                    median(other), unit, "testpmd io, server's own cookies", note,
                    ours_all=mine, peer_all=other)

    compare("connections through proxy to nginx", lambda v: v["rate"] / 1e3, "k/s")
    compare("the same in the flood", lambda v: v["flood_rate"] / 1e3, "k/s",
            note="the generator shares a CPU with clients and server: %.0f : %.0f k SYN/s reach"
                 " the port" % (offered, others))
    for when in ("calm", "flood"):
        for point in ("p50", "p99", "p999"):
            is_bar = when == "flood" and point == "p99"
            compare("%s connect latency, %s" % (point, when),
                    lambda v, key="connect_" + point: v[when][key], "us",
                    1.2 if is_bar else None, True,
                    "%.0f k SYN/s" % offered if is_bar else "")
        compare("p99 latency to the answer, %s" % when, lambda v: v[when]["answer_p99"], "us")
        failed = [statistics.fmean([v[when]["failed"] for v in row]) for row in (ours, theirs)]
        results.row("proxy", "connections that failed, %s" % when, ours=failed[0], peer=failed[1],
                    against="testpmd io, server's own cookies")
    compare("bulk transfer", lambda v: v["bulk"], "Gbit/s", 0.8)
    results.series("latency", "Connect latency through TAP ports to nginx", "us", [
        ("%s %s" % (point, when), median([v[when]["connect_" + point] for v in row]), name)
        for when in ("calm", "flood") for point in ("p50", "p99")
        for name, row in (("synfront", ours), ("testpmd io", theirs))],
        "flood: %.0f k SYN/s; with testpmd the server answers with its own cookies" % offered)


def run(results, quick):
    seconds, number, repeats, size = (1, 500, 1, 64 << 20) if quick else (3, 4000, 3, 512 << 20)
    with Lab() as lab:
        path = Path(lab, size)
        values = alternate({"synfront": None, "testpmd": None}, repeats,
                           lambda name, _: path.all(name, seconds, number))
    report(results, values)
