# SPDX-License-Identifier: BSD-3-Clause
"""TCP ends that are played by hand, segment by segment, on AF_PACKET sockets.

Such an end has an address that no kernel owns, so no kernel answers in its
place; whoever talks to it gets a permanent neighbour entry.
"""

import logging
import random
import select
import socket
import struct
import time

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
# pylint: disable=wrong-import-position
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from lab import SERVER, address

SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
ETH_P_ALL = 3
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
# Of no kernel: a client's and a server's.
GHOST, GHOST_SERVER = 77, 30
USUAL = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1000, 0)), ("NOP", None), ("WScale", 7)]
PLAIN = [("MSS", 1460)]


class Wiretap:
    """All frames that reach a node's eth0, tags put back where they were."""

    def __init__(self, lab, node, device="eth0", outgoing=False):
        self.socket = lab.socket(node, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        if not outgoing:
            self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        with lab.inside(node):
            self.socket.bind((device, ETH_P_ALL))
        self.socket.setblocking(False)

    def frames(self):
        """Those that are there now, as bytes."""
        while True:
            try:
                frame, control, _, _ = self.socket.recvmsg(65536, 256)
            except BlockingIOError:
                return
            for level, kind, data in control:
                if level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                    if status & TP_STATUS_VLAN_VALID:
                        tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                        frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
            yield frame

    def wait(self, wanted, timeout=10.0):
        """The first frame for which wanted(bytes) is true, or None."""
        deadline = time.monotonic() + timeout
        while True:
            for frame in self.frames():
                if wanted(frame):
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            select.select([self.socket], [], [], left)

    def send(self, packet):
        self.socket.setblocking(True)
        self.socket.send(bytes(packet))
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class End:
    """One end of a TCP connection. `snd_nxt` and `rcv_nxt` are RFC 9293's."""

    def __init__(self, lab, port, peer=SERVER, own=GHOST, own_port=None, node="client", family=4,
                 tags=(), between=()):
        """`port` is the peer's. `tags`: VLAN identifiers, outermost first.
        `between`: headers between IP and TCP (IPv6 extension headers)."""
        self.lab, self.family, self.tags, self.between = lab, family, tags, between
        self.port, self.own_port = port, own_port or random.randint(10000, 60000)
        self.peer = peer if isinstance(peer, str) else address(peer, family)
        self.own = own if isinstance(own, str) else address(own, family)
        self.tap = Wiretap(lab, node)
        far = "server" if node == "client" else "client"
        self.macs = (lab.mac(node), lab.mac(far))
        lab.run(far, "ip", "neigh", "replace", self.own, "lladdr", self.macs[0], "dev", "eth0",
                "nud", "permanent")
        self.iss = random.getrandbits(32)
        self.snd_nxt, self.rcv_nxt = self.iss, 0
        self.tsval, self.tsecr, self.timestamps = 1000, 0, False
        self.window = 65535
        self.written = []  # (sequence number, data), until acknowledged
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not self.closed:
            self.closed = True
            self.tap.close()

    # Sending

    def headers(self):
        packet = Ether(src=self.macs[0], dst=self.macs[1])
        for tag in self.tags:
            packet /= Dot1Q(vlan=tag)
        if self.family == 4:
            packet /= IP(src=self.own, dst=self.peer, flags="DF", id=random.getrandbits(16))
        else:
            packet /= IPv6(src=self.own, dst=self.peer)
        for header in self.between:
            packet /= header
        return packet

    def segment(self, flags, seq=None, ack=None, data=b"", options=None, window=None):
        if options is None:
            options = [("NOP", None), ("NOP", None), ("Timestamp", (self.tsval, self.tsecr))] \
                if self.timestamps and "R" not in flags else []
        tcp = TCP(sport=self.own_port, dport=self.port, flags=flags,
                  seq=(self.snd_nxt if seq is None else seq) & 0xffffffff,
                  ack=(self.rcv_nxt if ack is None else ack) & 0xffffffff if "A" in flags else 0,
                  window=self.window if window is None else window, options=options)
        return self.headers() / tcp / Raw(data) if data else self.headers() / tcp

    def send(self, flags="PA", data=b"", **fields):
        """One segment. SND.NXT is not moved; advance() does that."""
        self.tsval += 1
        self.tap.send(self.segment(flags, data=data, **fields))

    def write(self, data):
        """Data that counts: SND.NXT moves, and read() sends it again if need be."""
        self.written.append((self.snd_nxt, data))
        self.send("PA", data)
        self.snd_nxt = (self.snd_nxt + len(data)) & 0xffffffff

    # Receiving

    def ours(self, frame, flags=None, need=""):
        """The frame parsed, if it is a segment of this connection."""
        packet = Ether(frame)
        if TCP not in packet or packet[TCP].sport != self.port \
                or packet[TCP].dport != self.own_port:
            return None
        ip = packet[IP] if IP in packet else packet[IPv6]
        if ip.src != self.peer or ip.dst != self.own:
            return None
        got = str(packet[TCP].flags)
        if flags is not None and set(got) - {"P"} != set(flags) - {"P"}:
            return None
        if set(need) - set(got):
            return None
        if tuple(tag.vlan for tag in layers(packet, Dot1Q)) != tuple(self.tags):
            return None
        return packet

    def get(self, flags=None, need="", timeout=10.0, where=lambda packet: True):
        """The next segment of this connection with just these flags (PSH aside),
        or at least those in `need`; None if none comes."""
        found = []

        def wanted(frame):
            packet = self.ours(frame, flags, need)
            if packet is None or not where(packet):
                return False
            found.append(packet)
            return True

        self.tap.wait(wanted, timeout)
        if not found:
            return None
        if "A" in str(found[0][TCP].flags):
            ack = found[0][TCP].ack
            self.written = [(seq, data) for seq, data in self.written
                            if (seq + len(data) - ack - 1) & 0x80000000 == 0]
        stamp = option(found[0], "Timestamp")
        if stamp:
            self.tsecr = stamp[0]
        return found[0]

    def expect(self, flags=None, need="", timeout=10.0, where=lambda packet: True):
        packet = self.get(flags, need, timeout, where)
        assert packet is not None, "no segment with flags %s came" % (flags or need or "at all")
        return packet

    def silence(self, seconds=0.5):
        """Assert that nothing comes. (Can pass by mistake, never fail by one.)"""
        packet = self.get(timeout=seconds)
        assert packet is None, "unexpected: %s" % packet.summary()

    # Whole steps

    def syn(self, options=None, **fields):
        self.send("S", seq=self.iss, options=USUAL if options is None else options, **fields)

    def take(self, packet):
        """Note what a SYN-ACK says."""
        self.snd_nxt = (self.iss + 1) & 0xffffffff
        self.rcv_nxt = (packet[TCP].seq + 1) & 0xffffffff
        self.timestamps = option(packet, "Timestamp") is not None
        return packet

    def syn_ack(self, timeout=10.0):
        return self.take(self.expect("SA", timeout=timeout,
                                     where=lambda p: p[TCP].ack == (self.iss + 1) & 0xffffffff))

    def open(self, options=None):
        """Three segments; the SYN-ACK."""
        self.syn(options)
        packet = self.syn_ack()
        self.send("A")
        return packet

    def read(self, size, timeout=10.0, most=65535):
        """That many bytes in order, acknowledged; of no segment more than `most`."""
        data = b""
        deadline = time.monotonic() + timeout
        while len(data) < size and time.monotonic() < deadline:
            packet = self.get(timeout=1)
            if packet is None:
                for seq, old in self.written:
                    self.send("PA", old, seq=seq)
                continue
            new = payload(packet)
            assert len(new) <= most, len(new)
            if not new:
                continue
            skip = (self.rcv_nxt - packet[TCP].seq) & 0xffffffff
            if skip < len(new):
                data += new[skip:]
                self.rcv_nxt = (self.rcv_nxt + len(new) - skip) & 0xffffffff
            self.send("A")
        assert len(data) >= size, "got %d of %d bytes: %r" % (len(data), size, data[:80])
        return data

    def echoes(self, message=b"is it you?"):
        """The server behind answers."""
        self.write(message)
        got = self.read(len(message))
        assert got == message, got

    def reset(self):
        self.send("R")


def layers(packet, kind):
    number = 1
    while packet.getlayer(kind, number) is not None:
        yield packet.getlayer(kind, number)
        number += 1


def payload(packet):
    """TCP data, without the padding of a short frame."""
    if IP in packet:
        size = packet[IP].len - packet[IP].ihl * 4 - packet[TCP].dataofs * 4
    else:
        size = len(packet[TCP]) - packet[TCP].dataofs * 4
    return bytes(packet[TCP].payload)[:size]


def option(packet, name):
    for key, value in packet[TCP].options:
        if key == name:
            return value
    return None


def fragmentation_needed(packet, mtu, router):
    """What a router says to the sender of a captured packet (RFC 1191)."""
    quoted = bytes(packet[IP])[:packet[IP].ihl * 4 + 8]
    return Ether(src=packet.dst, dst=packet.src) / IP(src=router, dst=packet[IP].src) / ICMP(
        type=3, code=4, nexthopmtu=mtu) / Raw(quoted)
