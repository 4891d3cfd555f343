# SPDX-License-Identifier: BSD-3-Clause
"""Hand-off from end to end: clients, an engine of mode handoff, synfront-adopt, servers."""

import hashlib
import itertools
import os
import queue
import signal
import socket
import struct

from adopt import Agent, group_secret, resets
from bench import Skip, thorough
from engines import Synfront
from lab import SERVER, address, wait_for
from servers import Server, ask, dial, echo, pattern, read_all
from traffic import curl

BRINGS_ENGINES = True

TCP_REPAIR = 19
SERVICES = """services:
  - name: web
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [80, 443]
    mode: handoff
    cookies: always
  - name: some
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [7000-9999]
    mode: handoff
    cookies: always
"""


def text_of(bench, services=SERVICES):
    """The configuration of the lab's engine with these services."""
    text = bench.config()
    return text[:text.index("services:")] + services + text[text.index("\nhandshake:"):]


def prepared(bench, engine, **fields):
    """The agent, not begun, with the group's secret of an engine that is not begun either."""
    engine.lab, engine.tag = bench.lab, bench.lab.id + "-" + engine.instance
    engine.path = os.path.join(bench.lab.work, engine.instance + ".yaml")
    engine.write(engine.text)
    return Agent(bench, secret=group_secret(bench.lab, engine.path), **fields)


def handed_over(bench, services=SERVICES, **fields):
    """Engine and agent in their places, with the secret of a group between them: the agent."""
    engine = Synfront(text_of(bench, services), "handoff")
    agent = bench.keep(prepared(bench, engine, **fields))
    bench.engine(engine)
    return agent


def url(family, path="hello", port=80):
    return "http://%s:%d/%s" % (address(SERVER) if family == 4 else "[%s]" % address(SERVER, 6),
                                port, path)


def test_all_options(bench):
    """16 combinations of timestamps, SACK, window scaling and family against nginx."""
    web = bench.nginx()
    web.write("large", bytes(1 << 20))
    agent = handed_over(bench)
    before = agent.count("opened")
    for family, stamps, sack, scale in itertools.product((4, 6), (1, 0), (1, 0), (1, 0)):
        with bench.lab.sysctls("client", {"ipv4.tcp_timestamps": stamps, "ipv4.tcp_sack": sack,
                                          "ipv4.tcp_window_scaling": scale}):
            for path, size in (("hello", len("hello from behind\n")), ("large", 1 << 20)):
                good, taken, body = curl(bench.lab, url(family, path), "-o", "/dev/stdout")
                assert good and len(body) == size, (family, stamps, sack, scale, path, taken, body[:80])
    assert agent.count("opened") == before + 32


def test_flood_of_syns(bench):
    """All real clients are served, and the server sees nothing of it."""
    bench.nginx()
    agent = handed_over(bench)
    opened, before = agent.count("opened"), resets(bench)
    with bench.flood(20000, 60) as flood:
        for number in range(40):
            good, taken, body = curl(bench.lab, url(4 if number % 2 else 6))
            assert good, (number, taken, body)
        assert flood.running(), "the flood ended early:\n" + flood.process.output()
        assert not bench.lab.run("server", "ss", "-Htan", "state", "syn-recv")
    assert agent.count("opened") == opened + 40
    assert resets(bench) == before


def least_round_trip_ms(connection):
    """What a connection's kernel takes for it: tcpi_min_rtt of struct tcp_info."""
    raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 152)
    return struct.unpack_from("=I", raw, 148)[0] / 1000


@thorough
def test_far_client(bench):
    """A client 100 ms away downloads 2 MB (--long: 20) under BBR, which lives by the round trip that
    the server's kernel measures: it never takes it for less than it is."""
    size = 20000000 if bench.options.long else 2000000
    digest = hashlib.sha256()
    for piece in pattern(size, 1):
        digest.update(piece)
    samples = queue.Queue()

    def handler(connection):
        for piece in pattern(size, 1):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        samples.put(least_round_trip_ms(connection))

    agent = handed_over(bench)
    server = bench.keep(Server(bench.lab, 7002, handler))
    try:
        server.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
    except FileNotFoundError as error:
        raise Skip("this kernel has no BBR") from error
    opened = agent.count("opened")
    with bench.delayed("delay=50ms,rate=200mbit,queue=1s"):
        for family, stamps in itertools.product((4, 6), (1, 0)):
            with bench.lab.sysctls("client", {"ipv4.tcp_timestamps": stamps}), \
                    dial(bench.lab, 7002, family) as client:
                assert hashlib.sha256(read_all(client)).digest() == digest.digest()
            least = samples.get(timeout=20)
            # The kernel's clock for timestamps counts milliseconds.
            assert least >= 99, (family, stamps, least)
    assert agent.count("opened") == opened + 4


def test_again_from_the_same_port(bench):
    """The server closes first each time, so that each client but the first comes over its last
    connection's TIME-WAIT; every third one keeps its connection and has it taken over."""
    agent = handed_over(bench)

    def handler(connection):
        data = connection.recv(100)
        connection.sendall(data)
        if data != b"stay":
            connection.shutdown(socket.SHUT_WR)
        connection.recv(100)

    bench.keep(Server(bench.lab, 7000, handler))
    for number in range(30):
        family = 4 if number % 2 else 6
        with dial(bench.lab, 7000, family, own_port=33000, timeout=3) as client:
            if number % 3:
                client.sendall(b"once")
                assert read_all(client) == b"once"
            else:
                assert ask(client, b"stay") == b"stay"
                # It dies and tells nobody.
                client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    ended = agent.count("takeover_time_wait", "takeover_connected")
    assert ended == 28, ended


def test_engine_dies(bench):
    """Connections go on, those that begin meanwhile get in when it is back."""
    agent = handed_over(bench)
    bench.keep(Server(bench.lab, 7001, echo))
    kept = [bench.keep(dial(bench.lab, 7001, 4 if number % 2 else 6)) for number in range(20)]
    for number, client in enumerate(kept):
        assert ask(client, b"%d" % number) == b"%d" % number
    bench.lab.engine.restart(signal.SIGKILL)
    bench.lab.wait_for_path()
    for number, client in enumerate(kept):
        assert ask(client, b"and %d" % number) == b"and %d" % number
    with dial(bench.lab, 7001) as client:
        assert ask(client, b"fresh") == b"fresh"
    assert agent.count("opened") == 21


def test_agent_restarts_under_load(bench):
    """With --linger nobody notices."""
    bench.nginx()
    agent = handed_over(bench, linger=True)
    for _ in range(3):
        agent.end()
        good, taken, body = curl(bench.lab, url(4))
        assert good, (taken, body)
        agent.begin()
        good, taken, body = curl(bench.lab, url(6))
        assert good, (taken, body)
    wait_for("all to be counted", lambda: agent.count("opened") == 6)
