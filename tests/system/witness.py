# SPDX-License-Identifier: BSD-3-Clause
"""Who is at work while something hostile happens: real clients of the web server,
and probes that are not TCP. Both count what succeeds; nothing here judges."""

import math
import socket
import struct
import threading
import time

from lab import CLIENT, SERVER, address, wait_for
from raw import Wiretap
from servers import read_all

# A client gives up after this: SYNs are sent again after 1, 3 and 7 seconds.
PATIENCE_S = 12
REQUEST = b"GET /hello HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"
ANSWER = b"hello from behind\n"
ECHO_PORT = 4007
PROBE_TRIES = 5


def percentile(values, share):
    """The nearest rank; NaN of nothing."""
    values = sorted(values)
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


class Clients:
    """Real clients, some at once: connect, ask the web server, read to the end."""

    def __init__(self, lab, family=4, at_once=2, source=None, port=80, pause_s=0.01,
                 patience_s=PATIENCE_S):
        self.lab, self.family, self.source, self.port = lab, family, source, port
        self.pause_s, self.patience_s = pause_s, patience_s
        self.lock = threading.Lock()
        self.times_s, self.errors = [], []
        self.stopped = False
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(at_once)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.stopped:
            begun = time.monotonic()
            error = self.request()
            taken = time.monotonic() - begun
            with self.lock:
                if error:
                    self.errors.append("%s after %.1f s" % (error, taken))
                else:
                    self.times_s.append(taken)
            time.sleep(self.pause_s)

    def request(self):
        """One request; what went wrong, or nothing."""
        kind = socket.AF_INET if self.family == 4 else socket.AF_INET6
        with self.lab.socket("client", kind) as connection:
            connection.settimeout(self.patience_s)
            try:
                if self.source:
                    connection.bind((self.source, 0))
                connection.connect((address(SERVER, self.family), self.port))
                connection.sendall(REQUEST)
                return "" if read_all(connection).endswith(ANSWER) else "another answer"
            except OSError as error:
                return repr(error)

    def stop(self):
        """Begin no more, and wait for those that are under way."""
        self.stopped = True
        for thread in self.threads:
            thread.join()
        return self

    @property
    def total(self):
        return len(self.times_s) + len(self.errors)

    @property
    def share(self):
        return len(self.times_s) / self.total if self.total else math.nan

    def columns(self):
        """For Bench.record()."""
        return {"clients": self.total, "succeeded": len(self.times_s),
                "p50_ms": round(percentile(self.times_s, 0.5) * 1e3, 2),
                "p99_ms": round(percentile(self.times_s, 0.99) * 1e3, 2)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Echo:
    """Sends UDP datagrams back, in the server's node."""

    def __init__(self, lab):
        self.socket = lab.socket("server", socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.bind(("::", ECHO_PORT))
        self.socket.settimeout(0.2)
        self.stopped = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.stopped:
            try:
                data, peer = self.socket.recvfrom(2048)
                self.socket.sendto(data, peer)
            except OSError:
                continue

    def close(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


class Probes:
    """Pings, UDP datagrams and ARP requests from the client to the server, one after
    the other. One that is lost is sent again; `lost` are those of which none of
    PROBE_TRIES came back, `first` those that needed only one."""

    def __init__(self, lab, pause_s=0.02):
        self.lab, self.pause_s = lab, pause_s
        self.echo = Echo(lab)
        self.mac = bytes.fromhex(lab.mac("client").replace(":", ""))
        self.tap = Wiretap(lab, "client")
        self.sockets = {}
        for family in (4, 6):
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            self.sockets["udp", family] = lab.socket("client", kind, socket.SOCK_DGRAM)
            protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
            self.sockets["ping", family] = lab.socket("client", kind, socket.SOCK_RAW, protocol)
        self.sent = self.first = self.number = 0
        self.lost = []
        self.stopped = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        kinds = list(self.sockets) + [("arp", 4)]
        while not self.stopped:
            kind, family = kinds[self.sent % len(kinds)]
            self.sent += 1
            for attempt in range(PROBE_TRIES):
                self.number += 1
                if (self.arp() if kind == "arp" else self.ask(kind, family)):
                    self.first += attempt == 0
                    break
            else:
                self.lost.append("%s, IPv%d" % (kind, family))
            time.sleep(self.pause_s)

    def ask(self, kind, family):
        """One datagram there and back."""
        probe, token = self.sockets[kind, family], struct.pack("!QQ", id(self), self.number)
        port = ECHO_PORT if kind == "udp" else 0
        message, answer = token, token
        if kind == "ping":
            message = echo_request(token, family)
            answer = (b"\0" if family == 4 else b"\x81") + b"\0"
        probe.sendto(message, (address(SERVER, family), port))
        deadline = time.monotonic() + 1
        while True:
            probe.settimeout(max(deadline - time.monotonic(), 1e-3))
            try:
                data = probe.recv(2048)
            except OSError:
                return False
            data = data[20:] if kind == "ping" and family == 4 else data
            if data.startswith(answer) and data.endswith(token):
                return True

    def arp(self):
        """Who has the server's address? From an address of its own each time."""
        target = socket.inet_aton(address(SERVER))
        head = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1)
        frame = b"\xff" * 6 + self.mac + b"\x08\x06" + head + self.mac \
            + socket.inet_aton(address(CLIENT)) + bytes(6) + target
        self.tap.send(frame)
        return self.tap.wait(lambda got: got[12:14] == b"\x08\x06" and got[20:22] == b"\0\2"
                             and got[28:32] == target, 1)

    def stop(self):
        if not self.stopped:
            self.stopped = True
            self.thread.join()
            self.echo.close()
            self.tap.close()
            for probe in self.sockets.values():
                probe.close()
        return self

    def columns(self):
        return {"probes": self.sent, "at_once": self.first, "probes_lost": len(self.lost)}

    def __enter__(self):
        wait_for("a first probe", lambda: self.sent > 1)
        return self

    def __exit__(self, *_):
        self.stop()


def echo_request(token, family):
    """ICMP; the kernel fills in the checksum of ICMPv6."""
    message = struct.pack("!BBHHH", 8 if family == 4 else 128, 0, 0, 7, 7) + token
    if family == 6:
        return message
    total = sum(struct.unpack("!%dH" % (len(message) // 2), message))
    total = (total >> 16) + (total & 0xffff)
    total += total >> 16
    return message[:2] + struct.pack("!H", ~total & 0xffff) + message[4:]


def ports_lost(lab):
    """Frames that the engine's ports lost, before it or behind it."""
    lost = sum(lab.link_counters("box", device)["tx"]["dropped"]
               for device in ("sf-outside", "sf-inside"))
    return lost + sum(row["tx_full"] + row["port_missed"] + row["port_tx_errors"]
                      for row in lab.engine.report("ports"))
