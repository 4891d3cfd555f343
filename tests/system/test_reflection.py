# SPDX-License-Identifier: BSD-3-Clause
"""What the engine can be made to send to others: bytes out per byte in, for each kind
of packet that it makes, and the cap per source prefix."""

import random
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from accounts import buffers_at_rest
from bench import thorough
from engines import Synfront
from frames import ACK, LINUX, RST, SYN, Sender, host, within
from lab import CLIENT, SERVER, address, wait_for
from raw import USUAL, Wiretap
from servers import dial, echo
from traffic import Flood

BRINGS_ENGINES = True

N_PACKETS = 20
RETRIES = 2
ETHER_SIZE, LEAST_FRAME = 14, 60
CAP, RATE, SECONDS = 200, 4000, 2.5
CLOSED_PORT = 6998


def config(bench, cap):
    return bench.config(replace=(("per_net_per_s: 0", "per_net_per_s: %d" % cap),
                                 ("syn_ack_retries: 2", "syn_ack_retries: %d" % RETRIES)))


class Kind:
    """One kind of packet in, and what comes out to its sources."""

    def __init__(self, name, packets, most=1):
        """`most`: answers to one packet."""
        self.name, self.packets, self.most = name, packets, most
        self.flows = {self.key(packet): 0 for packet in packets}
        self.answers = []

    @staticmethod
    def key(packet):
        ip = packet[IP] if IP in packet else packet[IPv6]
        return ip.src, packet[TCP].sport, packet[TCP].dport

    def take(self, packet):
        """Note an answer, if it is one of this kind's."""
        ip = packet[IP] if IP in packet else packet[IPv6]
        key = ip.dst, packet[TCP].dport, packet[TCP].sport
        if ip.src in (address(SERVER), address(SERVER, 6)) and key in self.flows:
            self.flows[key] += 1
            self.answers.append(packet)

    @staticmethod
    def sizes(packets):
        """Bytes of the IP packets, and of the frames without FCS."""
        ip = [packet[IP].len if IP in packet else 40 + packet[IPv6].plen for packet in packets]
        return sum(ip), sum(max(LEAST_FRAME, ETHER_SIZE + size) for size in ip)

    def columns(self):
        (ip_in, frames_in), (ip_out, frames_out) = self.sizes(self.packets), self.sizes(
            self.answers)
        return {"packets_in": len(self.packets), "packets_out": len(self.answers),
                "bytes_in": ip_in, "bytes_out": ip_out, "out_per_in": round(ip_out / ip_in, 2),
                "frame_bytes_out_per_in": round(frames_out / frames_in, 2)}


def packets(lab, family, flags, port, options=(), data=b"", source=None, sport=None):
    """Some of one kind, as finished packets, each from a source of its own."""
    macs = {"src": lab.mac("attacker"), "dst": lab.mac("server")}
    made = []
    for number in range(N_PACKETS):
        own = source or ("10.98.%d.%d" % (random.randrange(256), number + 1) if family == 4
                         else "2001:db8:98%02x::%x" % (random.randrange(256), number + 1))
        to = address(SERVER, family)
        ip = IP(src=own, dst=to) if family == 4 else IPv6(src=own, dst=to)
        tcp = TCP(sport=sport or random.randrange(1024, 65536), dport=port, flags=flags,
                  seq=random.getrandbits(32), ack=random.getrandbits(32) if "A" in flags else 0,
                  options=list(options))
        packet = Ether(**macs) / ip / tcp
        made.append(Ether(bytes(packet / Raw(data) if data else packet)))
    return made


@thorough
def test_bytes_out_per_byte_in(bench):
    """Each kind of answer; what is stateless sends at most one, state its retries."""
    lab = bench.lab
    engine = bench.engine(Synfront(config(bench, 0), instance="reflection"))
    cookie, state = bench.serve("cookie", echo), bench.serve("state", echo)
    standing = {}
    for family in (4, 6):
        for port in (cookie, state):
            bench.teach(port, family)
        standing[family] = bench.keep(dial(lab, state, family))
    # The sources are the attacker's to hear from, not to answer for.
    tap = bench.keep(Wiretap(lab, "attacker"))
    kinds, expired = {}, engine.counters()["half_open_expired"]
    for family in (4, 6):
        hit = {"source": address(CLIENT, family), "port": state,
               "sport": standing[family].getsockname()[1]}
        kinds[family] = [
            Kind("SYN-ACK, from state with all its repetitions",
                 packets(lab, family, "S", state, USUAL), 1 + RETRIES),
            Kind("SYN-ACK by cookie to a SYN of Linux", packets(lab, family, "S", cookie, USUAL)),
            Kind("SYN-ACK by cookie to a SYN without options", packets(lab, family, "S", cookie)),
            Kind("SYN-ACK by cookie to a SYN with 100 bytes of data",
                 packets(lab, family, "S", cookie, USUAL, bytes(100))),
            Kind("RST to a SYN, closed port", packets(lab, family, "S", CLOSED_PORT, USUAL)),
            Kind("RST to a blind ACK", packets(lab, family, "A", state)),
            Kind("RST to a blind ACK with 100 bytes of data",
                 packets(lab, family, "PA", state, (), bytes(100))),
            Kind("challenge ACK to a SYN at a connection",
                 packets(lab, family, "S", options=USUAL, **hit)),
            Kind("nothing, to RST", packets(lab, family, "R", state), 0),
            Kind("nothing, to SYN-ACK", packets(lab, family, "SA", state, USUAL), 0)]
        for kind in kinds[family]:
            for packet in kind.packets:
                tap.send(packet)
    wait_for("half-open entries to expire", lambda: engine.counters()["half_open_expired"]
             >= expired + 2 * N_PACKETS, 30, 0.2)
    for frame in tap.frames():
        packet = Ether(frame)
        if TCP in packet:
            for kind in kinds[4] + kinds[6]:
                kind.take(packet)
    for family in (4, 6):
        for kind in kinds[family]:
            columns = kind.columns()
            bench.record("reflection", kind=kind.name, family=family, **columns)
            if len(kind.flows) == N_PACKETS:
                assert all(count <= kind.most for count in kind.flows.values()), kind.flows
            else:
                assert len(kind.answers) <= N_PACKETS * kind.most
            assert bool(kind.answers) == bool(kind.most), (kind.name, family, columns)
            # Of 40 bytes without options an MSS makes 44: the most there is.
            assert columns["out_per_in"] <= 1.1 * kind.most, (kind.name, columns)


@thorough
def test_cap_per_prefix(bench):
    """From one /24 and one /64 more is sent than the cap answers, of each kind."""
    lab = bench.lab
    engine = bench.engine(Synfront(config(bench, CAP), instance="capped"))
    cookie, port = bench.serve("cookie", echo), bench.serve("state", echo)
    sender, make = Sender(lab), Sender(lab).tcp
    bench.teach(port, 4)
    bench.teach(port, 6)
    bench.teach(cookie, 4)
    bench.teach(cookie, 6)
    standing = {family: bench.keep(dial(lab, port, family)) for family in (4, 6)}
    nets = {4: within((10, 98, 3), 4), 6: within((0x20, 1, 0xd, 0xb8, 0x98, 3, 0, 0), 6)}
    # What answers nothing comes first: after a flood that had RSTs, a straggler has one too.
    for name, counter, frames in (
            ("nothing, to RST", "rst_sent", [make(family, net, RST, dport=port)
                                             for family, net in nets.items()]),
            ("SYN-ACK", "syn_ack_sent", [make(family, net, SYN, options=LINUX, dport=cookie)
                                         for family, net in nets.items()]),
            ("RST, closed port", "rst_sent", [make(family, net, SYN, dport=CLOSED_PORT)
                                              for family, net in nets.items()]),
            ("RST, blind ACK", "rst_sent", [make(family, net, ACK, dport=port)
                                            for family, net in nets.items()]),
            ("challenge ACK", "challenge_sent", [
                sender.tcp(family, host(address(CLIENT, family), family), SYN, options=LINUX,
                           dport=port, sport=connection.getsockname()[1])
                for family, connection in standing.items()])):
        # What is still under way is of the kind before.
        buffers_at_rest(engine)
        before, begun = engine.counters()[counter], time.monotonic()
        with Flood(lab, RATE, 10, frames=frames) as flood:
            wait_for("the flood", lambda: flood.sent() >= RATE * SECONDS, 20, 0.2)
            sent = flood.end()
        seconds = time.monotonic() - begun
        answered = engine.counters()[counter] - before
        # A second that begins from nothing has its whole cap at once.
        most = 2 * CAP * (seconds + 1)
        bench.record("reflection_cap", kind=name, nets=2, cap_per_net_per_s=CAP,
                     seconds=round(seconds, 2), sent=sent, answered=answered,
                     answered_per_net_per_s=round(answered / 2 / seconds))
        assert answered <= most, (name, answered, most)
        assert bool(answered) == (name != "nothing, to RST"), (name, answered)
