# SPDX-License-Identifier: BSD-3-Clause
"""Connections at work: much data, many of them, every set of options, loss."""

import contextlib
import hashlib
import itertools
import os
import selectors
import socket
import time

from scapy.layers.inet import IP, TCP

from bench import anywhere, thorough
from lab import SERVER, address, prefix_address, wait_for
from raw import End, fragmentation_needed, payload
from servers import (Both, ask, dial, digest_back, echo, exchange, outcome, read, read_all,
                     say_and_close)
from traffic import curl

BULK = 100 * 1000 * 1000
SWITCHES = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling")
# Six switches, the client's three and the server's: in these rows every two of them
# take all four combinations.
PAIRWISE = ("111111", "000000", "110100", "001011", "101010", "010101", "011001", "100110")


def both_ways(bench, port, size, family=4, handler=None):
    """Send and receive `size` bytes at once and compare digests at both ends."""
    handler = handler or bench.server.handler
    handler.done.clear()
    with dial(bench.lab, port, family, timeout=120) as connection:
        sent, received = exchange(connection, size, 1)
    assert handler.done.wait(60), "the server did not get the end of the data: %s" \
        % bench.server.errors
    assert handler.received == sent, "what the server got is not what was sent"
    expected = hashlib.sha256()
    for piece in handler.pieces():
        expected.update(piece)
    assert received == expected.hexdigest(), "what the client got is not what was sent"


@anywhere
def test_pairwise_covers_all_pairs(_bench):
    """The table of rows above is what it says."""
    for first, second in itertools.combinations(range(6), 2):
        assert len({(row[first], row[second]) for row in PAIRWISE}) == 4, (first, second)


def test_100_mb_each_way_in_a_flood(bench):
    """Equal SHA-256 in both directions while SYNs pour in, on a connection
    made before the flood and on one made in it."""
    port = bench.serve("bulk", Both(BULK, 2))
    bench.calm()
    entered = bench.counts("cookie_mode_entered")
    with bench.flood(20000, 120, port=port), bench.grows("spliced"):
        wait_for("cookie mode", entered)
        both_ways(bench, port, BULK)


@anywhere
def test_10_mb_each_way(bench):
    """The same in quiet times, both families."""
    port = bench.serve("bulk", Both(BULK // 10, 2))
    bench.teach(port, 6)
    for family in (4, 6):
        with bench.grows("spliced"):
            both_ways(bench, port, BULK // 10, family)


def percent_lost(row):
    """What Linux recovers from in seconds with these switches, over a wire too. Without
    SACK a window with several holes costs it a timeout for each, and without timestamps
    every one of them may be twice as long as the one before."""
    return 2 if row[1] + row[4] == "11" else 0.5


@anywhere
def test_options_on_and_off(bench):
    """Timestamps, SACK and window scaling on or off at either end; some loss, so
    that SACK has something to say."""
    lab = bench.lab
    rows = ["".join(row) for row in itertools.product("01", repeat=6)] \
        if bench.options.long else PAIRWISE
    bench.calm()
    for row in rows:
        client = {"ipv4." + key: value for key, value in zip(SWITCHES, row[:3])}
        server = {"ipv4." + key: value for key, value in zip(SWITCHES, row[3:])}
        for family in (4, 6):
            with lab.sysctls("server", server), contextlib.ExitStack() as stack:
                bench.stack, outer = stack, bench.stack
                try:
                    port = bench.serve("bulk", Both(1000000, 2), teach=False)
                    bench.teach(port, family)
                    with lab.sysctls("client", client), lossy(bench, percent_lost(row)):
                        both_ways(bench, port, 1000000, family)
                except Exception as error:
                    raise AssertionError("client %s, server %s, IPv%d: %s" % (
                        row[:3], row[3:], family, error)) from error
                finally:
                    bench.stack = outer


def test_sack_stripped(bench):
    """A server without SACK that nobody knew before the flood: clients were promised
    SACK, and what they report goes no further."""
    lab = bench.lab
    flooded = bench.serve("bulk")
    bench.calm()
    entered = bench.counts_each("cookie_mode_entered")
    with lab.sysctls("server", {"ipv4.tcp_sack": 0}), bench.flood(5000, 60, port=flooded):
        wait_for("cookie mode", entered)
        for family in (4, 6):
            port = bench.serve("bulk", Both(1000000, 2), teach=False)
            with bench.grows("spliced", "sack_rewritten"), lossy(bench, 1.5, ["client"]):
                both_ways(bench, port, 1000000, family)


@anywhere
def test_window_scales(bench):
    """Two ends whose scales differ, by their buffers; large windows must come through."""
    lab = bench.lab
    small, large = "4096 16384 65536", "4096 131072 33554432"
    for client, server in ((small, large), (large, small)):
        with lab.sysctls("client", {"ipv4.tcp_rmem": client}), \
                lab.sysctls("server", {"ipv4.tcp_rmem": server}):
            port = bench.serve("bulk", Both(3000000, 2))
            both_ways(bench, port, 3000000)


def lossy(bench, percent, nodes=("client", "server")):
    """Random loss of what comes in at these nodes."""
    rule = "chain in { type filter hook prerouting priority -300; meta l4proto tcp " \
        "numgen random mod 1000 < %d drop; }" % (10 * percent)
    stack = contextlib.ExitStack()
    for node in nodes:
        stack.enter_context(bench.nft(node, rule))
    return stack


@anywhere
def test_loss(bench):
    """A few per cent lost, also of the handshake: everything arrives."""
    port = bench.serve("bulk", Both(2000000, 2))
    with lossy(bench, 3):
        both_ways(bench, port, 2000000)
        for _ in range(20):
            both_ways_small(bench)


def both_ways_small(bench):
    bench.server.handler.size, size = 20000, bench.server.handler.size
    try:
        port = bench.server.listener.getsockname()[1]
        outcome(both_ways, bench, port, 20000, patience=60)
    finally:
        bench.server.handler.size = size


@anywhere
def test_path_mtu_black_hole(bench):
    """Large packets vanish without a word: probing at both ends finds the size."""
    lab = bench.lab
    rule = "chain in { type filter hook prerouting priority -300; meta length > 1200 drop; }"
    probing = {"ipv4.tcp_mtu_probing": 1, "ipv4.tcp_base_mss": 536}
    port = bench.serve("bulk", Both(60000, 2))
    with lab.sysctls("client", probing), lab.sysctls("server", probing), \
            bench.nft("client", rule), bench.nft("server", rule):
        both_ways(bench, port, 60000)


@anywhere
def test_icmp_reaches_the_right_connection(bench):
    """"Fragmentation needed" quotes the client's numbers; the server must see its own."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.open()
        router = "198.51.100.99"
        bench.lab.run("server", "ip", "neigh", "replace", router, "lladdr", end.macs[0], "dev",
                      "eth0", "nud", "permanent")
        message = bytes(range(250)) * 12
        for start in range(0, 3000, 500):
            end.write(message[start:start + 500])
        # Nothing is acknowledged, so the server sends again, whole segments first.
        large = end.expect(where=lambda p: p[IP].len > 1000)
        end.tap.send(fragmentation_needed(large, 900, router))
        end.expect(timeout=20, where=lambda p: 500 < p[IP].len <= 900
                   and p[TCP].seq == large[TCP].seq)
        assert end.read(3000, 20)[:3000] == message
        end.reset()


@anywhere
def test_tls(bench):
    """A TLS handshake and a page, the certificate checked."""
    web = bench.nginx()
    web.write("large", os.urandom(3000000))
    bench.teach(443)
    for host in (address(SERVER), "[%s]" % address(SERVER, 6)):
        done = curl(bench.lab, "https://%s/hello" % host, "--cacert", web.cert)
        assert done[0] and done[2] == "hello from behind\n", done
        done = curl(bench.lab, "https://%s/large" % host, "--cacert", web.cert, "-o", "/dev/null",
                    seconds=60)
        assert done[0], done


@anywhere
def test_keep_alive(bench):
    """A hundred requests on one connection, with pauses in between."""
    bench.nginx()
    bench.teach(80)
    with dial(bench.lab, 80) as connection:
        for number in range(100):
            connection.sendall(b"GET /hello HTTP/1.1\r\nHost: lab\r\n\r\n")
            got = b""
            while not got.endswith(b"hello from behind\n"):
                piece = connection.recv(4096)
                assert piece, "closed after %d requests" % number
                got += piece
            if number % 25 == 24:
                time.sleep(0.3)


@anywhere
def test_half_close(bench):
    """The client has finished sending long before the server answers."""
    port = bench.serve("bulk", digest_back)
    for family in (4, 6):
        with dial(bench.lab, port, family) as connection:
            data = os.urandom(500000)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection).decode() == hashlib.sha256(data).hexdigest()


@anywhere
def test_1000_connections_at_once(bench):
    """All open at the same time, each with data of its own in both directions."""
    port = bench.serve("bulk", echo)
    connections = [bench.keep(dial(bench.lab, port, source=prefix_address(1 + number % 8)))
                   for number in range(1000)]
    for number, connection in enumerate(connections):
        connection.sendall(b"%06d" % number * 50)
    for number, connection in enumerate(connections):
        assert read(connection, 300) == b"%06d" % number * 50, number
    for number, connection in enumerate(connections):
        assert ask(connection, b"again %d" % number) == b"again %d" % number


@anywhere
@thorough
def test_20000_short_connections(bench):
    """Few client ports, and the server closes first: each port is used again while
    the entry before is still closing. None may hang."""
    total = 20000
    port = bench.serve("bulk", say_and_close)
    lab = bench.lab
    ports = list(range(20000, 20400))
    selector = selectors.DefaultSelector()
    free, begun, done, started = list(ports), 0, 0, {}
    tries = {}

    def begin():
        own = free.pop(0)
        connection = lab.socket("client")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind(("", own))
        connection.setblocking(False)
        connection.connect_ex((address(SERVER), port))
        selector.register(connection, selectors.EVENT_WRITE, (own, []))
        started[own] = time.monotonic()

    while done < total:
        while free and begun < total and len(started) < 64:
            begin()
            begun += 1
        for key, _ in selector.select(1):
            connection, (own, got) = key.fileobj, key.data
            if key.events == selectors.EVENT_WRITE:
                error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                assert not error, "connect from port %d: %s" % (own, os.strerror(error))
                connection.send(b"hi\n")
                selector.modify(connection, selectors.EVENT_READ, key.data)
                continue
            piece = connection.recv(100)
            if piece:
                got.append(piece)
                continue
            assert b"".join(got) == b"bye\n", got
            selector.unregister(connection)
            connection.close()
            del started[own]
            free.append(own)
            tries[own] = tries.get(own, 0) + 1
            done += 1
        if started:
            own, when = min(started.items(), key=lambda item: item[1])
            assert time.monotonic() - when < 30, "port %d hangs after %d of %d" % (own, done, total)
    selector.close()
    assert max(tries.values()) > 10, "ports were not used again"


@anywhere
def test_server_closes_first(bench):
    """Answer and FIN in one go; the client sees all of it and an orderly end."""
    port = bench.serve("state", say_and_close)
    with End(bench.lab, port) as end:
        end.open()
        end.write(b"hi\n")
        assert end.read(4) == b"bye\n"
        fin = end.get(need="F", timeout=1) or end.expect(need="F")
        end.rcv_nxt = (fin[TCP].seq + len(payload(fin)) + 1) & 0xffffffff
        end.send("FA")
        last = end.expect("A", where=lambda p: p[TCP].ack == (end.snd_nxt + 1) & 0xffffffff)
        assert last[TCP].seq == end.rcv_nxt
