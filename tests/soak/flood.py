# SPDX-License-Identifier: BSD-3-Clause
"""Floods of the soak: SYNs and blind ACKs of both families, by trafgen."""

import os
import signal
import socket

from lab import SERVER, address
from traffic import ANYWHERE, commas

# drnd() draws anew for every packet; csum*() are computed over what was drawn.
IP4 = """	%(dst)s, %(src)s, c16(0x0800),
	0x45, 0x00, c16(%(size4)d), drnd(2), c16(0x4000), 64, 6, csumip(14, 33), %(from4)s, %(to4)s,
"""
IP6 = """	%(dst)s, %(src)s, c16(0x86dd),
	0x60, 0x00, 0x00, 0x00, c16(%(tcp)d), 6, 64, 0x2a, 0x00, drnd(14), %(to6)s,
"""
SYN = """	drnd(2), c16(%(port)d), drnd(4), c32(0), 0xa0, 0x02, c16(64240), %(sum)s, c16(0),
	2, 4, c16(1460), 4, 2, 8, 10, drnd(4), c32(0), 1, 3, 3, 7
"""
ACK = """	drnd(2), c16(%(port)d), drnd(4), drnd(4), 0x50, 0x10, c16(502), %(sum)s, c16(0)
"""
KINDS = {"SYN": (SYN, 40), "ACK": (ACK, 20)}
# A packet of each family of each source template makes the list; SYNs come twice
# as often as ACKs in a mixed one.
MIXTURES = {"SYN": ("SYN",), "SYN and ACK": ("SYN", "SYN", "ACK"), "ACK": ("ACK",)}


class Flood:
    """Bounded in number and so in time."""

    number = 0

    def __init__(self, lab, mixture, rate, seconds, ports):
        Flood.number += 1
        name = "flood%d" % Flood.number
        self.path = os.path.join(lab.work, name + ".cfg")
        with open(self.path, "w") as file:
            for packet in self.packets(lab, mixture, ports):
                file.write("{\n%s}\n" % packet)
        self.lab = lab
        self.before = self.transmitted()
        self.process = lab.spawn(
            "attacker", name, "timeout", "-k", "2", str(seconds + 5), "trafgen", "--no-sock-mem",
            "--notouch-irq", "--no-cpu-stats", "--cpus", "1", "--conf", self.path, "--dev", "eth0",
            "--num", str(rate * seconds), "--rate", "%dpps" % rate)

    @staticmethod
    def packets(lab, mixture, ports):
        mac = lambda node: commas(bytes.fromhex(lab.mac(node).replace(":", "")))
        fields = {"dst": mac("server"), "src": mac("attacker"),
                  "to4": commas(raw(address(SERVER))),
                  "to6": commas(raw(address(SERVER, 6)))}
        for index, source in enumerate(ANYWHERE):
            fields["port"] = ports[index % len(ports)]
            for kind in MIXTURES[mixture]:
                body, size = KINDS[kind]
                fields.update(tcp=size, size4=20 + size, from4=source)
                yield (IP4 + body) % dict(fields, sum="csumtcp(14, 34)")
                yield (IP6 + body) % dict(fields, sum="csumtcp6(14, 54)")

    def transmitted(self):
        return self.lab.link_counters("attacker", "eth0")["tx"]["packets"]

    def running(self):
        return self.process.running()

    def end(self):
        """Stop it; how many packets it sent."""
        self.lab.end(self.process, signal.SIGINT)
        for path in (self.path, self.process.log):
            os.unlink(path)
        return self.transmitted() - self.before


def raw(text):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_pton(family, text)
