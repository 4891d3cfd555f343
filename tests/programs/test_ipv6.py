# SPDX-License-Identifier: BSD-3-Clause
"""IPv6 extension headers, as the limits in config/OPERATING.md say: what of them is answered,
dropped, crosses."""
import ipaddress
import os
import struct
import unittest

from captures import MACS, START_S, Run, capture, wire

PROGRAM = os.path.join(os.environ["SYNFRONT_BUILD_DIR"], "app", "synfront-pcap")
START_US = START_S * 1000000
ROUTING, DESTINATION, TCP, IPV6 = 43, 60, 6, 41
RH0, MOBILE, RPL, SRV6 = 0, 2, 3, 4
CLIENT, HOME, SERVER, SEGMENT, ELSEWHERE = (
    ipaddress.ip_address(text).packed for text in (
        "2001:db8::a", "2001:db8:30::a", "2001:db8:10::10", "2001:db8:5::1", "2001:db8:20::1"))
CONFIG = """
ports:
  outside: {device: net_null0}
  inside: {device: net_null1}
memory: {connections: 1k, half_open: 64, backends: 16, paths: 16, sources: 1k, held_connections: 16}
timeouts: {adopt: 0}
services:
  - {name: web, addresses: "2001:db8:10::/64", ports: 80, mode: proxy}
"""


def tcp(src, dst, flags="SYN", ports=(40000, 80)):
    """A segment whose checksum is over these addresses."""
    return wire.tcp_bytes({"src": src, "dst": dst, "sport": ports[0], "dport": ports[1],
                           "flags": wire.flags_of(flags), "seq": 1000,
                           "ack": 0 if flags == "SYN" else 5, "win": 64240, "mss": 1440})


def frame(src, dst, proto, body):
    head = struct.pack("!IHBB16s16s", 0x60000000, len(body), proto, 63, src, dst)
    return MACS["dmac"] + MACS["smac"] + b"\x86\xdd" + head + body


def routing(kind, left, address, proto=TCP):
    return struct.pack("!BBBBI16s", proto, 2, kind, left, 0, address)


def home_address():
    """RFC 6275, 6.3: PadN of 4, then the option."""
    return struct.pack("!BBBBH", TCP, 2, 1, 2, 0) + struct.pack("!BB16s", 201, 16, HOME)


class Headers(unittest.TestCase):
    def outcome(self, data, side="outside"):
        """Name of the only outcome, and whether the frame crossed as it was."""
        frames = capture([(START_US, data)])
        done = Run(PROGRAM, **{side: frames}, config=CONFIG)
        self.assertEqual((done.status, done.said), (0, ""))
        names = [name for name, n in done.counters.items()
                 if n and name.startswith(("drop_", "passed_", "answered_"))]
        self.assertEqual(len(names), 1, names)
        across = {"outside": "inside", "inside": "outside"}[side]
        return names[0], [sent for _, sent in done.left[across]] == [data]

    def test_routing_header_that_has_ended_is_read_over(self):
        for kind in (RH0, MOBILE, RPL, SRV6, 253):
            # An unknown server is asked with the client's own SYN.
            data = frame(CLIENT, SERVER, ROUTING, routing(kind, 0, SERVER) + tcp(CLIENT, SERVER))
            self.assertEqual(self.outcome(data), ("passed_syn", True), kind)

    def test_routing_header_with_segments_left_is_dropped_for_a_service(self):
        for kind in (RH0, MOBILE, RPL, SRV6, 253):
            data = frame(CLIENT, SERVER, ROUTING,
                         routing(kind, 1, HOME) + tcp(CLIENT, HOME))
            self.assertEqual(self.outcome(data), ("drop_header_chain", False), kind)
            # A server that answers a mobile node directly, or steers its answers.
            data = frame(SERVER, CLIENT, ROUTING, routing(kind, 1, HOME) + tcp(
                SERVER, HOME, "SYN-ACK", (80, 40000)))
            self.assertEqual(self.outcome(data, "inside"), ("drop_header_chain", False), kind)

    def test_routing_header_elsewhere_crosses(self):
        for dst in (SEGMENT, ELSEWHERE):
            data = frame(CLIENT, dst, ROUTING,
                         routing(SRV6, 1, SERVER) + tcp(CLIENT, SERVER))
            self.assertEqual(self.outcome(data), ("passed_other", True))

    def test_encapsulated_in_srv6_crosses(self):
        for dst in (SEGMENT, SERVER):
            inner = frame(CLIENT, SERVER, TCP, tcp(CLIENT, SERVER))[14:]
            data = frame(ELSEWHERE, dst, ROUTING, routing(SRV6, 1, SEGMENT, IPV6) + inner)
            self.assertEqual(self.outcome(data), ("passed_other", True))

    def test_home_address_option_is_dropped(self):
        for flags in ("SYN", "ACK"):
            data = frame(CLIENT, SERVER, DESTINATION,
                         home_address() + tcp(HOME, SERVER, flags))
            self.assertEqual(self.outcome(data), ("drop_checksum", False), flags)


if __name__ == "__main__":
    unittest.main()
