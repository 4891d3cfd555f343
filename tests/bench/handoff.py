# SPDX-License-Identifier: BSD-3-Clause
"""Mode handoff beside the bare wire over a distance, and beside the other modes on the same ports.

Over a distance it is a server's congestion control that would suffer: a kernel that takes a client
over takes its first sample of the round trip from what it is told. On the same ports, `bypass` is
what a connection costs if nothing is done for it: there the server's kernel has each SYN.
"""

import contextlib
import glob
import os
import resource
import types

from adopt import Agent, group_secret
from bench import Skip
from chains import NODES, Bridge, Handoff, write_secret
from engines import Synfront, Wire, XdpSynfront
from first_byte import NAPPING
from lab import Lab, wait_for
from proxy import Path, aside
from stage import Stage, alternate, median, median_ratio
from wan import Cell, Lab as Distance, report_times

CELLS = (Cell(100, "bbr", "20M", "down"), Cell(100, "bbr", "20M", "down", ip=6),
         Cell(100, "bbr", "20M", "down", timestamps="off"), Cell(100, "cubic", "20M", "down"),
         Cell(100, "bbr", "2M", "down", first="server"), Cell(100, "cubic", "2M", "up"),
         Cell(100, "cubic", "post14k", "post"))
QUICK = (Cell(100, "bbr", "2M", "down", rounds=1),)

SERVICE = "mode: proxy, max_connecting: 4k"
MODES = {"bypass": "mode: bypass", "proxy": SERVICE, "handoff": "mode: handoff, cookies: always",
         "handoff in calm": "mode: handoff, calm: transparent, calm_syn_per_s: 10M"}
PORTS = {"TAP": Synfront, "AF_XDP": XdpSynfront}
AGENT = """
interfaces: [eth0]
services:
  - { name: web, ports: 80 }
secret: { file: %(work)s/group }
instance: %(instance)s
"""


def distance(results, quick):
    """Transfers over 100 ms."""
    with Stage(*NODES) as stage:
        lab = Distance(stage, "af_packet", (Bridge, Handoff))
        try:
            for cell in QUICK if quick else CELLS:
                report_times(results, cell, lab.cell(cell), "handoff")
        finally:
            trouble = lab.chains.end()
    for name, counts in trouble:
        print("handoff: the line of %s dropped frames that no setting asked for: %s" % (name, counts))


class Modes(Path):
    """Connections through an engine in each mode, to one nginx."""

    def __init__(self, lab, port):
        super().__init__(lab, 1)
        self.port = port
        self.agent = None
        write_secret(os.path.join(lab.work, "master"))
        lab.sysctl("client", "ipv4.ip_local_port_range", "1024 65535")

    def insert(self, name):
        if name == "wire":
            return self.lab.insert(Wire())
        assert SERVICE in NAPPING
        text = NAPPING.replace(SERVICE, MODES[name]) + "secret: { file: @WORK@/master }\n"
        engine = self.lab.insert(PORTS[self.port](text))
        if "handoff" in name:
            with aside():
                secret = group_secret(self.lab, engine.path)
                self.agent = Agent(types.SimpleNamespace(lab=self.lab), config=AGENT,
                                   secret=secret).begin()
        return engine

    def ran(self):
        """Seconds of CPU that engine, nginx and those who have ended had so far: theirs and what
        the kernel did for them, most of a connection's work on the way among it."""
        nginx = self.nginx.process.popen.pid
        with open("/proc/%d/task/%d/children" % (nginx, nginx)) as file:
            pids = [nginx] + file.read().split()
        if self.lab.engine.name == "synfront":
            pids.append(self.lab.engine.process.popen.pid)
        total = 0
        for pid in pids:
            for path in glob.glob("/proc/%s/task/*/schedstat" % pid):
                # Each question to telemetry has a thread that is soon gone.
                with contextlib.suppress(OSError, IndexError), open(path) as file:
                    total += int(file.read().split()[0]) / 1e9
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return total + ended.ru_utime + ended.ru_stime

    def measure(self, name, seconds):
        """Thousands of connections per second, and microseconds of CPU for each."""
        self.insert(name)
        try:
            with aside(), self.lab.inside("client"):
                wait_for("an answer", self.connect)
            before = self.ran()
            number = self.rate(seconds) * seconds
            used = self.ran() - before
            if name == "handoff":
                assert self.agent.count("opened") > number / 2, self.agent.status()
            return number / seconds / 1e3, used / number * 1e6
        finally:
            if self.agent:
                self.agent.end()
                self.agent = None


def connections(results, quick):
    """Each mode in turn, on ports of both kinds."""
    seconds, repeats = (1, 1) if quick else (3, 5)
    for port in PORTS:
        with Lab() as lab:
            modes = Modes(lab, port)
            try:
                values = alternate(dict.fromkeys(("wire", *MODES)), repeats,
                                   lambda name, _: modes.measure(name, seconds))
            except (RuntimeError, TimeoutError) as error:
                if port == "TAP":
                    raise
                print("handoff: no %s port: %s" % (port, str(error).splitlines()[0]))
                return
        for at, what, unit, bars in (
                (0, "connections to nginx", "k/s", {"handoff": 0.95}),
                (1, "CPU of engine, nginx and client for one", "us", {})):
            plain = [row[at] for row in values["bypass"]]
            for name in values:
                if name != "bypass":
                    row = [pair[at] for pair in values[name]]
                    results.row("handoff", "%s, %s, %s" % (what, port, name),
                                median_ratio(row, plain), bars.get(name), False, median(row),
                                median(plain), unit, "bypass", ours_all=row, peer_all=plain)


def run(results, quick):
    try:
        connections(results, quick)
        distance(results, quick)
    except Skip as reason:
        print("bench: handoff is left out: %s" % reason)
