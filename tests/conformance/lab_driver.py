# SPDX-License-Identifier: BSD-3-Clause
"""Second and third column: over the wire through the running engine, and through a
cable alone to Linux. The client's segments are played on an AF_PACKET socket."""

import collections
import contextlib
import os
import queue
import select
import socket
import struct
import sys
import threading
import time

import frames
from frames import OUTSIDE
from language import HERE, SERVICES
from play import CLIENT, LISTENER, RAW

sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
# pylint: disable=wrong-import-position
from raw import Wiretap

PATIENCE = 5.0
POLL = 0.002
NODES = ("client", "server")
# The kernel sends no more than so many of these per second; a script that has to see that
# sets it itself.
SERVER_SYSCTLS = {"ipv4.tcp_challenge_ack_limit": 2147483647, "ipv4.tcp_invalid_ratelimit": 0,
                  "ipv4.icmp_ratelimit": 0, "ipv6.icmp.ratelimit": 0, "ipv4.tcp_fin_timeout": 10,
                  "ipv4.tcp_ecn": 2, "ipv4.tcp_rfc1337": 0}


class App:
    """What a script asks of an accepted connection."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(PATIENCE)

    def says(self, data):
        self.connection.sendall(data)

    def closes(self):
        self.connection.shutdown(socket.SHUT_WR)

    def aborts(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def reads(self, size):
        data = b""
        with contextlib.suppress(OSError):
            while len(data) < size:
                piece = self.connection.recv(size - len(data))
                if not piece:
                    break
                data += piece
        return data

    def info(self):
        """The kernel's state of it (enum in include/net/tcp_states.h)."""
        return self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    def ended(self):
        return self.info() in (8, 9, 11)  # CLOSE-WAIT, LAST-ACK, CLOSING

    def was_reset(self):
        return self.info() == 7


class Servers:
    """The listeners of all services, and whom they accepted."""

    def __init__(self, lab):
        self.accepted = {}
        self.old = []  # accepted too, and followed by others from the same ports
        self.apps = {}
        self.listeners = []
        for service, port in SERVICES.items():
            listener = lab.socket("server", socket.AF_INET6)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("::", port))
            listener.listen(1024)
            self.listeners.append(listener)
            threading.Thread(target=self.serve, args=(listener, service.startswith("respond")),
                             daemon=True).start()

    def serve(self, listener, drain):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            if drain:
                threading.Thread(target=self.drain, args=(connection,), daemon=True).start()
            host = peer[0][7:] if peer[0].startswith("::ffff:") else peer[0]
            self.accepted[frames.address(host), peer[1], connection.getsockname()[1]] = connection

    @staticmethod
    def drain(connection):
        """What mode `respond` does: take all. (When it ends the script says.)"""
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    def app(self, key):
        connection = self.accepted.get(key)
        app = self.apps.get(key)
        if connection is not None and (app is None or app.connection is not connection):
            app = self.apps[key] = App(connection)
        return app

    def forget(self):
        """End all that was accepted, without waiting for anybody."""
        for connection in [c for c in self.old if c] + list(self.accepted.values()):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
                connection.close()
        self.accepted.clear()
        self.old.clear()
        self.apps.clear()

    def close(self):
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.forget()


class Ends:
    """What comes to the hand-played ends at both nodes, verified and sorted by flow.
    Shared by all plays of a column."""

    def __init__(self, lab):
        self.taps = [Wiretap(lab, node) for node in NODES]
        self.macs = [bytes.fromhex(lab.mac(node).replace(":", "")) for node in NODES]
        self.queues = {}
        self.of_fragments = {}
        self.echoes = collections.defaultdict(threading.Event)
        self.bad = []  # (flow, what is wrong with a packet of it)
        self.forgiven = set()  # flows whose client sent wrong checksums: they stay wrong
        self.lock = threading.Lock()
        self.numbers = iter(range(1, 60000))
        self.raw_ports = {}
        self.last_echo = 0
        self.running = True
        self.threads = [threading.Thread(target=self.read, args=(side,), daemon=True)
                        for side in range(2)]
        for thread in self.threads:
            thread.start()
        ghosts = [(node, address) for node, hosts in (("server", CLIENT), ("client", RAW))
                  for address in hosts.values()]
        for node, address in ghosts:
            mac = self.macs[1 - NODES.index(node)].hex(":")
            lab.run(node, "ip", "neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud",
                    "permanent")

    def read(self, side):
        tap = self.taps[side]
        while self.running:
            select.select([tap.socket], [], [], 0.2)
            for frame in tap.frames():
                self.take(side, frame)

    def take(self, side, frame):
        packet = frames.decode(frame)
        if packet is None:
            return
        if "wrong" in packet:
            key = frames.flow_of(packet, self.of_fragments)
            if key is None or key[2:] + key[:2] not in self.forgiven:
                self.bad.append((key, "at the %s: %s: %s" % (NODES[side], packet["wrong"],
                                                            frame.hex())))
            return
        if "echo" in packet:
            self.echoes[side, packet["echo"]].set()
            return
        found = self.queues.get(frames.flow_of(packet, self.of_fragments))
        if found is not None:
            packet["at"] = time.monotonic()
            found.put(packet)

    def port(self):
        with self.lock:
            return 10000 + next(self.numbers)

    def raw_port(self, service):
        """A port of the service's whose server the engine has not heard of."""
        with self.lock:
            self.raw_ports[service] = self.raw_ports.get(service, SERVICES[service]) + 1
            return self.raw_ports[service]

    def echo(self):
        with self.lock:
            self.last_echo = self.last_echo % 65000 + 1
            return self.last_echo

    def close(self):
        self.running = False
        for thread in self.threads:
            thread.join()
        for tap in self.taps:
            tap.close()


class LabDriver:
    """For one run of one script."""

    own_clock = False

    def __init__(self, name, ends, servers):
        self.name = name
        self.ends, self.servers = ends, servers
        self.keys = []

    @property
    def bad(self):
        return [text for key, text in self.ends.bad
                if key and (key in self.keys or key[2:] + key[:2] in self.keys)]

    def close(self):
        for key in self.keys:
            self.ends.queues.pop(key, None)
        return {}

    def kill(self):
        self.close()

    def register(self, flow, raw):
        for side in (0, 1) if raw else (0,):
            self.keys.append(flow.key(side))
            self.ends.queues[flow.key(side)] = queue.Queue()

    def raw_port(self, service):
        return self.ends.raw_port(service)

    def now(self):
        return time.monotonic()

    def send(self, side, fields):
        if frames.SPOILT & set(fields):
            self.ends.forgiven.add((fields["src"], fields["sport"], fields["dst"],
                                    fields["dport"]))
        for frame in frames.encode(dict(fields, smac=self.ends.macs[side],
                                        dmac=self.ends.macs[1 - side])):
            self.ends.taps[side].socket.send(frame)

    def get(self, side, flow, within=None):
        wait = PATIENCE if within is None else within
        try:
            if wait <= 0:
                return self.ends.queues[flow.key(side)].get_nowait()
            return self.ends.queues[flow.key(side)].get(timeout=wait)
        except queue.Empty:
            return None

    def quiet(self, flow, raw):
        """A ping behind all that was sent: when it is back, so is what that caused."""
        number = self.ends.echo()
        sides = [OUTSIDE, 1] if raw else [OUTSIDE]
        for side in sides:
            arrival = self.ends.echoes[1 - side if raw else side, number]
            local, _, remote, _ = flow.key(side)
            if not raw:
                remote = frames.address(LISTENER[4 if len(local) == 4 else 6])
            self.send(side, {"src": local, "dst": remote, "echo": number, "id": number})
            if not arrival.wait(PATIENCE):
                raise RuntimeError("a ping got lost")
        for side in range(2):
            self.ends.echoes.pop((side, number), None)

    @staticmethod
    def wait(condition):
        end = time.monotonic() + PATIENCE
        while True:
            value = condition()
            if value or time.monotonic() > end:
                return value
            time.sleep(POLL)

    @staticmethod
    def sleep(seconds):
        time.sleep(seconds)

    def renew(self, key):
        """Another connection from the same ports follows: the old one is not meant."""
        self.servers.old.append(self.servers.accepted.pop(key, None))
        self.servers.apps.pop(key, None)

    def app(self, key):
        return self.servers.app(key)
