# SPDX-License-Identifier: BSD-3-Clause
"""One port and no server: the engine itself is at home where its services are."""

import socket

from engines import Synfront, TAPS
from lab import NET4, NET6, address
from servers import dial, outcome, read

HOME, NOBODY = 40, 41

CONFIG = """
ports:
  outside:
    device: net_tap0,iface=sf-outside
workers:
  count: 1
memory:
  connections: 4k
  half_open: 1k
services:
  - name: discard
    addresses: [%s, "%s"]
    ports: [7, 9]
    mode: respond
limits:
  reflection:
    per_net_per_s: 0
instance: @INSTANCE@
""" % (address(HOME), address(HOME, 6))


class Responder(Synfront):
    """With one TAP, at whose other end is nobody's home: the kernel gives that end the
    port's address, and a bridge keeps what is for an address of its own members."""

    home = HOME

    def __init__(self):
        super().__init__(CONFIG, "responder", taps=TAPS[:1])

    def begin(self, lab):
        super().begin(lab)
        lab.run("box", "ip", "link", "set", TAPS[0][0], "address", "02:00:00:00:00:01")


def neighbours(bench, family):
    """What the client knows of its link, as {address: state}."""
    lines = bench.lab.run("client", "ip", "-%d" % family, "neigh", "show", "dev", "eth0")
    return {line.split()[0]: line.split()[-1] for line in lines.splitlines() if line}


def test_resolved_by_arp_and_nd(bench):
    """A client with no entry for it finds the service, pings it and talks to it."""
    engine = bench.engine(Responder())
    bench.lab.run("client", "ip", "neigh", "flush", "dev", "eth0")
    for family in (4, 6):
        host = address(HOME, family)
        assert host not in neighbours(bench, family)
        assert ", 0% packet loss" in bench.lab.run("client", "ping", "-c", "3", "-i", "0.2", "-W",
                                                   "2", "-s", "1000", host)
        assert neighbours(bench, family)[host] in ("REACHABLE", "DELAY", "STALE")
        for port in (7, 9):
            with outcome(dial, bench.lab, port, family, host=host) as connection:
                connection.sendall(b"q" * 50000)
                connection.shutdown(socket.SHUT_WR)
                assert read(connection, 1) == b""
        try:
            dial(bench.lab, 8, family, host=host).close()
            raise AssertionError("a closed port took a connection")
        except ConnectionRefusedError:
            pass
    assert engine.counters()["connected"] == 4


def test_silent_for_others(bench):
    """Addresses that are no service's stay unanswered: they may be somebody else's."""
    bench.engine(Responder())
    for family, net in ((4, NET4), (6, NET6)):
        host = address(NOBODY, family)
        assert host.startswith(net)
        lost = bench.lab.run("client", "ping", "-c", "2", "-i", "0.2", "-W", "1", host,
                             check=False)
        assert "100% packet loss" in lost, lost
        assert neighbours(bench, family).get(host, "FAILED") in ("FAILED", "INCOMPLETE")
