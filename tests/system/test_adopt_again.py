# SPDX-License-Identifier: BSD-3-Clause
"""A client comes again from the same ports, over what the server still has of the connection before;
and what only looks like that ends nothing."""

import random
import time

from adopt import Proven, agent, serve
from bench import anywhere
from cookies import EPOCH_S
from lab import wait_for

BRINGS_ENGINES = True


def fresh_iss():
    return random.getrandbits(32)


def each(server, port, trial):
    """The trial with a proven client of each family, with timestamps and without."""
    for family in (4, 6):
        for timestamps in (True, False):
            with Proven(server, port, timestamps, family=family) as client:
                trial(client)
                client.reset()


def again(server, client, counter):
    """The client comes again from the same ports, and is served at once."""
    with server.grows(counter), server.grows("opened"):
        client.answer(iss=fresh_iss())
        client.written.clear()
        client.send("A")
        client.exchange(b"again")


@anywhere
def test_over_time_wait(bench):
    """The server has closed first."""
    server = agent(bench)

    def handler(connection):
        data = connection.recv(100)
        connection.sendall(data)

    port, _ = serve(bench, handler)

    def trial(client):
        client.write(b"once")
        client.read(4)
        client.expect("FA")
        client.rcv_nxt += 1
        client.send("FA")
        client.snd_nxt += 1
        client.expect("A")
        wait_for("TIME-WAIT", lambda: bench.lab.run(
            "server", "ss", "-Htan", "state", "time-wait", "sport", "= :%d" % port))
        again(server, client, "takeover_time_wait")

    each(server, port, trial)


@anywhere
def test_over_established(bench):
    """The client has lost its state; the server has not noticed."""
    server = agent(bench)
    port, _ = serve(bench)

    def trial(client):
        client.send("A")
        client.exchange(b"once")
        again(server, client, "takeover_connected")

    each(server, port, trial)


@anywhere
def test_over_half_open(bench):
    """A SYN had passed, and its handshake was not completed."""
    server = agent(bench)
    port, _ = serve(bench)
    for family in (4, 6):
        with Proven(server, port, family=family) as client:
            client.syn()
            client.expect("SA")
            again(server, client, "takeover_half_open")
            client.reset()


@anywhere
def test_late_duplicate_ends_nothing(bench):
    """Of the incarnation before: its cookie has opened a connection, so it takes none over."""
    server = agent(bench)
    port, _ = serve(bench)
    with Proven(server, port) as client:
        old = client.iss + 1, client.cookie + 1, client.tsecr
        client.send("A")
        client.exchange(b"once")
        again(server, client, "takeover_connected")
        stamps = [("NOP", None), ("NOP", None), ("Timestamp", (client.tsval, old[2]))]
        with server.grows("connected"):
            client.send("PA", b"once", seq=old[0], ack=old[1], options=stamps)
        client.exchange(b"still here")
        client.reset()


@anywhere
def test_stale_echo_ends_nothing(bench):
    """A take-over of a live connection must echo a fresh timestamp."""
    server = agent(bench)
    port, _ = serve(bench)
    with Proven(server, port) as client:
        client.send("A")
        client.exchange(b"once")
        state = client.iss, client.snd_nxt, client.rcv_nxt, client.tsecr
        # Too old; and from further in the future than clocks may be apart, within its epoch.
        time.sleep(-time.time() % EPOCH_S if time.time() % EPOCH_S > 20 else 0)
        for at in (-15, 4):
            client.answer(at=time.time() + at, iss=fresh_iss())
            with server.grows("takeover_limited"):
                client.send("A")
        client.iss, client.snd_nxt, client.rcv_nxt, client.tsecr = state
        client.exchange(b"still here")
        # By a front end whose clock is ahead as far as it may be.
        client.answer(at=time.time() + 1.9, iss=fresh_iss())
        client.written.clear()
        with server.grows("takeover_connected"), server.grows("opened"):
            client.send("A")
        client.exchange(b"again")
        client.reset()
