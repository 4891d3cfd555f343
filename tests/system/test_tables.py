# SPDX-License-Identifier: BSD-3-Clause
"""Every table full, one after the other: what is counted, who is refused, and that room
comes back. The engine has the smallest tables that can be configured."""

import contextlib
import socket

from accounts import Fault, leaves_well, used
from engines import Synfront
from lab import CLIENT, N_PREFIXES, SERVER, address, prefix_address, wait_for
from raw import End
from servers import Server, ask, dial, echo, read
from traffic import Flood

BRINGS_ENGINES = True

SMALL = """
ports:
  outside: {device: "net_tap0,iface=sf-outside"}
  inside: {device: "net_tap1,iface=sf-inside"}
memory:
  connections: 1k
  half_open: %(half_open)s
  backends: 16
  paths: 16
  sources: 1k
  held_connections: 16
services:
  - name: one
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [7000-7099]
    mode: proxy
    half_open: {high: %(half_open)s, low: 8}
  - name: other
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [7100-7199]
    mode: proxy
    half_open: {high: %(half_open)s, low: 8}
  - name: rest
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [8000-65535]
    mode: proxy
handshake: {syn_ack_retries: %(retries)d}
limits:
  sources: {half_open_host: %(limit)d, half_open_net: 0, syn_per_s_host: 0, syn_per_s_net: 0}
  reflection: {per_net_per_s: 0}
timeouts: {connecting: 4s, probe: 1s, adopt: 0, protect: %(protect)s}
drain_timeout: 0
log: {level: info}
instance: "@INSTANCE@"
eal: {hugepages: off}
"""


def small(bench, half_open="64", retries=0, limit=0, protect="1h"):
    """An engine with small tables in place, as long as the test runs."""
    return bench.engine(Synfront(SMALL % locals(), "small"))


def is_full(engine, table):
    row = next(row for row in engine.report("memory") if row["table"] == table)
    return row["used"] >= row["entries"]


def test_half_open_full(bench):
    """More handshakes under way than entries, of services each below its watermark: the
    rest is answered by cookie."""
    engine = small(bench)
    ports = [bench.serve(service, echo) for service in ("state", "cookie")]
    fault = Fault(bench, "half-open table full", "100 SYNs to two services, 64 entries")
    for port in ports:
        with End(bench.lab, port) as end:
            for number in range(50):
                end.own_port = 10000 + number
                end.syn()
    counted = fault.grows("half_open_full")
    assert is_full(engine, "half-open") and not fault.grown("cookie_mode_entered")[
        "cookie_mode_entered"]
    for port in ports:
        assert fault.client(port) == "served"
    fault.grows("half_open_expired")
    wait_for("entries to expire", lambda: used(engine)["half-open"] == 0)
    fault.record(ports[0], counted)
    leaves_well(bench)


def open_many(bench, stack, port, number):
    """Clients that connect and say nothing. (One whose RST is quick is told so by connect().)"""
    clients = []
    for _ in range(number):
        with contextlib.suppress(ConnectionResetError):
            clients.append(stack.enter_context(dial(bench.lab, port)))
    return clients


def closed(clients):
    """How many of these have been reset or closed."""
    count = 0
    for client in clients:
        client.setblocking(False)
        try:
            count += client.recv(1) == b""
        except BlockingIOError:
            continue
        except ConnectionResetError:
            count += 1
    return count


def test_connections_full(bench):
    """As many connections as entries: one more is refused while all are active, and gets
    the place of one that never said anything when that is not protected any more."""
    engine = small(bench)
    # Greets nobody, so that only the engine can have closed something.
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "connection table full", "1,100 silent clients, 1,024 entries; "
                  "then timeouts.protect: 1s")
    with contextlib.ExitStack() as stack:
        active = stack.enter_context(dial(bench.lab, port))
        assert ask(active, b"I was first") == b"I was first"
        clients = open_many(bench, stack, port, 1100)
        refused = fault.grows("table_full")
        assert is_full(engine, "connections")
        wait_for("the refused ones to know", lambda: 1100 - len(clients) + closed(clients)
                 == fault.grown("table_full")["table_full"])
        refused = fault.grown("table_full")
        fault.clients["reset"] += refused["table_full"]
        assert not fault.grown("evicted")["evicted"]
        engine.reload(SMALL % {"half_open": "64", "retries": 0, "limit": 0, "protect": "1s"})
        wait_for("a place for one more", lambda: fault.client(port) == "served", interval=0.3)
        refused.update(fault.grows("evicted"))
        assert ask(active, b"still here") == b"still here"
        # Index lines never fill up before the tables do.
        refused.update(fault.grown("index_full"))
        assert refused["index_full"] == 0
    # Closed ones remain until their cookies have died, and give way to any newcomer. Those whose
    # server has yet to close do not.
    wait_for("a place", lambda: fault.client(port) == "served", interval=0.1)
    fault.record(port, refused, meanwhile="an active connection stayed")
    leaves_well(bench)


def test_outbound_share_full(bench):
    """Servers open more connections than their share of the table: the rest must wait,
    clients must not."""
    engine = small(bench)
    port = bench.serve("bulk", echo)
    far = bench.keep(Server(bench.lab, 9999, echo, node="client"))
    fault = Fault(bench, "outbound share full", "140 connections of the server's own, a share of "
                  "1,024 / 8")
    with contextlib.ExitStack() as stack:
        for number in range(140):
            own = stack.enter_context(bench.lab.socket("server"))
            own.bind((address(SERVER), 20000 + number))
            own.setblocking(False)
            own.connect_ex((address(CLIENT), 9999))
            # One at a time, or it is their order that decides.
            if number < 100:
                wait_for("an outbound connection", lambda n=number: far.accepted > n)
        counted = fault.grows("table_full", "drop_stray_syn_ack")
        assert 100 <= far.accepted <= 128, far.accepted
        assert fault.client(port) == "served"
        assert not is_full(engine, "connections")
    fault.record(port, counted, meanwhile="%d outbound connections crossed" % far.accepted)
    leaves_well(bench)


def test_paths_full(bench):
    """SYNs from more MAC addresses than path records: they are answered without state, and
    who is known goes on."""
    engine = small(bench, half_open="1k", retries=1)
    port = bench.serve("state", echo)
    fault = Fault(bench, "path table full", "SYNs from 40 MAC addresses, 16 records")
    with dial(bench.lab, port) as connection, End(bench.lab, port) as end:
        assert ask(connection, b"before") == b"before"
        own = end.macs
        for number in range(40):
            end.macs = ("02:00:00:00:02:%02x" % number, own[1])
            end.own_port = 10000 + number
            end.syn()
        counted = fault.grows("path_full")
        assert used(engine)["paths"] >= 15
        assert ask(connection, b"goes on") == b"goes on"
        assert fault.client(port) == "served"
        # A newcomer's proof finds no record either: it is told.
        end.macs = ("02:00:00:00:03:01", own[1])
        end.own_port = 11000
        end.syn()
        end.syn_ack()
        end.write(b"hello")
        end.expect("R")
        fault.clients["reset"] += 1
    wait_for("records to come back", lambda: used(engine)["paths"] < 15)
    fault.record(port, counted, meanwhile="an open connection went on")
    leaves_well(bench)


def test_held_full(bench):
    """More clients wait for a server than records: those that have waited longest get RST; the
    others get in when the server answers."""
    engine = small(bench)
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "held-data table full", "24 clients of a server that is cut off for a "
                  "second, 16 records")
    with contextlib.ExitStack() as stack:
        rules = "chain in { type filter hook input priority 0; tcp dport %d drop; }" % port
        with bench.nft("server", rules):
            clients = []
            for _ in range(24):
                try:
                    client = stack.enter_context(dial(bench.lab, port))
                    client.sendall(b"early")
                    clients.append(client)
                except OSError:
                    fault.clients["reset"] += 1
            counted = fault.grows("pending_evicted")
            assert is_full(engine, "held")
        for client in clients:
            try:
                fault.clients["served" if read(client, 5) == b"early" else "closed"] += 1
            except ConnectionResetError:
                fault.clients["reset"] += 1
    assert fault.clients == {"served": 16, "reset": 8}, fault.clients
    fault.record(port, counted)
    leaves_well(bench)


def test_backends_full(bench):
    """More servers than places: those that were asked last are known, the others are learned
    again when somebody comes."""
    engine = small(bench)
    ports = [bench.serve("bulk", echo) for _ in range(40)]
    fault = Fault(bench, "backend table full", "40 servers, asked in turn 2 times, 16 places")
    for _ in range(2):
        for number, port in enumerate(ports):
            source = prefix_address(1 + number % N_PREFIXES)
            assert fault.client(port, source=source) == "served"
    # Sets of four: chance may leave a place in one of them.
    counted = fault.grows("backend_forgotten", "learned")
    assert used(engine)["backends"] > 12
    fault.record(ports[0], counted)
    leaves_well(bench)


def test_sources_full(bench):
    """More sources than records: those are not counted, and all are answered."""
    engine = small(bench, half_open="4k", limit=64)
    port = bench.serve("state", echo)
    fault = Fault(bench, "source table full", "3,000 SYNs of random sources, limits by source, "
                  "1,024 records")
    with Flood(bench.lab, 3000, 1, port=port) as flood:
        assert fault.client(port) == "served"
        flood.process.wait(60)
    counted = fault.grows("source_full", "half_open_made")
    wait_for("entries to expire", lambda: used(engine)["half-open"] == 0)
    fault.record(port, counted)
    leaves_well(bench)
