# SPDX-License-Identifier: BSD-3-Clause
"""Over a distance: synfront, nft synproxy and the bare wire, transfer by transfer.

Every round measures the wire and what is compared with it one after the other; a ratio
is the median of the rounds'. What a server's congestion control makes of the path is
asked of its kernel after each transfer.
"""

import dataclasses
import math

from chains import GREETING, NODES, PORTS, RATE, Bridge, Chains, Engine, Synproxy
from stage import Stage, median, median_ratio
from transfers import transfer

ROUND_TRIPS = (10, 50, 100, 300)
CONTROLS = ("bbr", "cubic", "reno")
SIZES = {"100k": 100000, "2M": 2000000, "20M": 20000000}
POSTS = {"post1k": 1024, "post4k": 4096, "post8k": 8192, "post14k": 14336, "post14600": 14600}
BYTES = {**SIZES, **POSTS}
LINES = {"clean": "", "loss": ",loss=1%",
         "rough": ",jitter=2ms,reorder=5%:10ms,loss=1%,dup=2%"}
BAR, BAR_LOSS = 1.05, 1.15
SAMPLE_BARS = (0.9, 1.1)


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is transferred, and over what. `way`: "down", "up", or "post" for an upload that
    is judged by the first byte of its answer."""

    rtt: int
    cc: str
    size: str
    way: str
    timestamps: str = "on"
    ip: int = 4
    line: str = "clean"
    first: str = "client"
    synproxy: bool = False
    rounds: int = 3

    def spec(self):
        return "delay=%gms,%s%s" % (self.rtt / 2, RATE, LINES[self.line])

    def label(self):
        words = ["%d ms" % self.rtt, self.cc, "%s %s" % (self.size, self.way) if self.way != "post"
                 else "first byte, POST %s" % self.size[4:]]
        words += ["IPv6"] * (self.ip == 6) + ["no timestamps"] * (self.timestamps == "off")
        words += {"clean": [], "loss": ["1 % lost"], "rough": ["rough line"]}[self.line]
        words += ["server first"] * (self.first == "server")
        return " ".join(words)


def matrix():
    """Every cell of a full run, in an order that keeps neighbours alike."""
    for rtt in ROUND_TRIPS:
        for cc in CONTROLS:
            for size in SIZES:
                for way in ("down", "up"):
                    yield Cell(rtt, cc, size, way, synproxy=way == "down" and cc != "reno"
                               and size == "20M")
        for size in POSTS:
            yield Cell(rtt, "cubic", size, "post", rounds=5, synproxy=rtt == 100)
    for rtt in (10, 50, 300):
        yield Cell(rtt, "bbr", "20M", "down", timestamps="off", synproxy=True, rounds=1)
    for cc in ("bbr", "cubic"):
        for size in ("100k", "20M"):
            for way in ("down", "up"):
                yield Cell(100, cc, size, way, timestamps="off",
                           synproxy=(cc, size, way) == ("bbr", "20M", "down"))
                yield Cell(100, cc, size, way, ip=6)
        yield Cell(300, cc, "2M", "down", timestamps="off")
        yield Cell(100, cc, "2M", "down", first="server", synproxy=True)
    for size in ("post8k", "post14k", "post14600"):
        yield Cell(100, "cubic", size, "post", timestamps="off", rounds=5)
        yield Cell(100, "cubic", size, "post", ip=6, rounds=5)
    for rtt in (10, 100):
        for cc in CONTROLS:
            yield Cell(rtt, cc, "100k", "down", line="loss", rounds=9)
            yield Cell(rtt, cc, "2M", "down", line="loss", rounds=5)
        yield Cell(rtt, "cubic", "2M", "up", line="loss", rounds=5)
    for cc in ("bbr", "cubic"):
        for way in ("down", "up"):
            yield Cell(50, cc, "100k", way, line="rough", rounds=9)
            yield Cell(50, cc, "2M", way, line="rough", rounds=5)


def slice_of_it():
    """The cells of a quick run."""
    yield Cell(100, "bbr", "2M", "down", synproxy=True, rounds=1)
    yield Cell(100, "cubic", "2M", "up", rounds=1)
    yield Cell(100, "cubic", "post14k", "post", rounds=1)
    yield Cell(10, "bbr", "2M", "down", line="loss", rounds=1)


def chosen(cells, only):
    """Those whose fields have the values asked for: "rtt=10+100,cc=bbr"."""
    wanted = {}
    for part in only.split(",") if only else ():
        key, equals, values = part.partition("=")
        names = [field.name for field in dataclasses.fields(Cell)]
        if not equals or key not in names + ["port", "rounds"]:
            raise ValueError("--wan: found %s; expected KEY=VALUE[+VALUE] with a key of %s, port"
                             % (part, ", ".join(names)))
        wanted[key] = values.split("+")
    port = wanted.pop("port", ["af_packet"])[0]
    rounds = wanted.pop("rounds", None)
    cells = [cell for cell in cells
             if all(str(getattr(cell, key)) in values for key, values in wanted.items())]
    if rounds:
        cells = [dataclasses.replace(cell, rounds=int(rounds[0])) for cell in cells]
    if not cells:
        raise ValueError("--wan %s: no such cell" % only)
    return cells, port


class Lab:
    """The chains, and what is measured on them."""

    def __init__(self, stage, port, kinds):
        self.stage = stage
        self.chains = Chains(stage, kinds, port)

    def measure(self, cell, chain, service, seed):
        """One transfer of a cell over a chain."""
        # Where frames get lost, the same ones do in each chain of a round.
        chain.distance(cell.spec(), seed, anew=cell.line != "clean")
        self.chains.server.control(cell.cc)
        port = (GREETING if cell.first == "server" else PORTS)[service]
        return transfer(self.stage, "client", self.chains.server,
                        (chain.address(10, cell.ip), port), "D" if cell.way == "down" else "U",
                        BYTES[cell.size], cell.cc)

    def cell(self, cell):
        """{name: [measurement, ...]}, a measurement of each in turn."""
        self.stage.sysctl("client", "ipv4.tcp_timestamps", int(cell.timestamps == "on"))
        found = {}
        for number in range(cell.rounds):
            for name, chain, service in self.chains.peers():
                # That has no bar, and without timestamps it takes long.
                if name != "synproxy" or (cell.synproxy and not number):
                    found.setdefault(name, []).append(
                        self.measure(cell, chain, service, 1 + number))
        return found


def sender(cell):
    """The end whose congestion control is at work."""
    return "server" if cell.way == "down" else "client"


def report_times(results, cell, found, topic="wan"):
    """A row for each name: its time against the wire's."""
    what = "first" if cell.way == "post" else "seconds"
    wire = [one[what] for one in found["wire"]]
    for name, row in found.items():
        if name == "wire":
            continue
        ours = [one[what] for one in row]
        bar = None if name == "synproxy" else BAR if cell.line == "clean" else BAR_LOSS
        middle = lambda rows, key: median([one[sender(cell)][key] or 0 for one in rows])
        note = ", ".join("%s %.4g : %.4g" % (label, middle(row, key), middle(found["wire"], key))
                         for label, key in (("min rtt", "min_rtt"), ("srtt", "srtt"),
                                            ("retrans", "total_retrans"), ("dsack", "dsack")))
        results.row(topic, "%s, %s" % (cell.label(), name), median_ratio(ours, wire), bar, True,
                    median(ours), median(wire), "s", "wire", "at the %s: %s" % (sender(cell), note),
                    ours_all=ours, peer_all=wire)


class Samples:
    """What the servers' kernels believed of the path, gathered over all cells."""

    def __init__(self):
        self.rows = {}

    def add(self, cell, found):
        for name, row in found.items():
            key = (name, cell.rtt)
            for one, wire in zip(row, found["wire"]):
                self.rows.setdefault(key, []).append((cell, one["server"], wire["server"]))

    def report(self, results):
        """The farthest ratio of any cell's least and smoothed round trips of the server, and
        what it sent again and need not have, each against the wire's. (Medians, as for the
        times: in a single transfer over a rough line the wire too has few samples.)"""
        for (name, rtt), rows in sorted(self.rows.items(), key=lambda item: item[0][::-1]):
            if name == "wire":
                continue
            bar = name != "synproxy"
            for key, label, only in (("min_rtt", "least round trip at the server", None),
                                     ("srtt", "smoothed, after one exchange", "post")):
                cells = {}
                for cell, ours, wire in rows:
                    if ours[key] and wire[key] and only in (None, cell.way):
                        cells.setdefault(cell, []).append((ours[key], wire[key]))
                pairs = [[median(side) for side in zip(*found)] for found in cells.values()]
                if pairs:
                    worst = max(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1])))
                    ratio = worst[0] / worst[1]
                    results.row("wan", "%d ms, %s, worst, %s" % (rtt, label, name), ratio,
                                SAMPLE_BARS[ratio > 1] if bar else None, ratio > 1, *worst, "ms",
                                "wire")
            calm = [(ours, wire) for cell, ours, wire in rows if cell.line == "clean"]
            for key, label in (("total_retrans", "servers sent data again"),
                               ("dsack", "servers sent in vain")):
                ours, wire = (sum(pair[side].get(key, 0) for pair in calm) for side in (0, 1))
                if bar and key == "total_retrans":
                    ours -= len(calm)  # the SYN-ACK, for which synfront asks twice
                results.row("wan", "%d ms, %s, %s" % (rtt, label, name), (ours + 1) / (wire + 1),
                            1 if bar and calm else None, True, ours, wire, "segments", "wire",
                            "the ratio is of both + 1")


# The bars of a plot by what was measured, and whether it was with timestamps.
GROUPS = {("wire", "on"): "wire", ("state", "on"): "synfront, state",
          ("cookie", "on"): "synfront, cookies", ("synproxy", "on"): "nft synproxy",
          ("synproxy", "off"): "the same, no timestamps"}


def plot(results, times):
    """Download time of the largest transfer against round trip, one plot for each control."""
    for cc in CONTROLS[:2]:
        bars = []
        for (cell, name), value in sorted(times.items(), key=lambda item: item[0][0].rtt):
            plain = Cell(cell.rtt, cc, "20M", "down", cell.timestamps, synproxy=cell.synproxy,
                         rounds=cell.rounds)
            if cell == plain and (name, cell.timestamps) in GROUPS:
                bars.append(("%d ms round trip" % cell.rtt, value,
                             GROUPS[name, cell.timestamps]))
        if bars:
            results.series("wan-" + cc, "Download of 20 MB over a distance, %s" % cc.upper(), "s",
                           bars, "both ways %s; timestamps on unless it says otherwise" % RATE)


def run(results, quick, only=""):
    cells, port = chosen(slice_of_it() if quick and not only else matrix(), only)
    kinds = [Bridge, Engine] + [Synproxy] * any(cell.synproxy for cell in cells)
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
        available = file.read().split()
    missing = {cell.cc for cell in cells} - set(available)
    if missing:
        print("no %s on this machine: left out" % ", ".join(sorted(missing)))
    times, samples = {}, Samples()
    with Stage(*NODES) as stage:
        lab = Lab(stage, port, kinds)
        try:
            for cell in cells:
                if cell.cc in missing:
                    continue
                found = lab.cell(cell)
                report_times(results, cell, found)
                samples.add(cell, found)
                times.update({(cell, name): median([one["seconds"] for one in row])
                              for name, row in found.items()})
        finally:
            trouble = lab.chains.end()
    for name, counts in trouble:
        print("wan: the line of %s dropped frames that no setting asked for: %s" % (name, counts))
    samples.report(results)
    plot(results, times)
