# SPDX-License-Identifier: BSD-3-Clause
"""A client that is far away, on lines that jitter, reorder, lose and repeat; and whether
the element that makes the distance does what it says."""

import collections
import fcntl
import hashlib
import os
import re
import socket
import statistics
import struct
import termios
import threading
import time

from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from bench import anywhere
from engines import Wire
from lab import SERVER, address
from raw import Wiretap
from servers import Both, ask, dial, digest_back, echo, pattern, read, read_all
from test_transfer import both_ways
from traffic import capture

SERVICES = ("state", "cookie", "lazy")
# 5 % held so that others overtake them, by up to 10 ms; 1 % lost; 2 % twice.
ROUGH = "delay=20ms,jitter=5ms,reorder=5%:10ms,loss=1%,dup=2%"
# A SYN is lost with its resend, and the resend of that: 1 + 2 + 4 s, and a margin.
PATIENCE = 30
SIZE = 3000


# The element itself


def pings(bench, number, gap=0.02):
    """Round trips in milliseconds."""
    out = bench.lab.run("client", "ping", "-c%d" % number, "-i%g" % gap, "-W3", address(SERVER))
    return [float(ms) for ms in re.findall(r"time=([\d.]+) ms", out)]


@anywhere
def test_line_delays_each_way(bench):
    """A ping takes what both ways take; nothing comes early, and most of it hardly late."""
    for _ in range(4):
        with bench.delayed("delay=40ms", "delay=20ms") as line:
            taken = pings(bench, 50)
            counts = line.counts()
        near = statistics.median(pings(bench, 50))
        assert len(taken) == 50 and counts["there"]["received"] >= 50, counts
        assert min(taken) >= 60, taken
        # Of 100 us late at each passage; the rest is other people's use of the CPUs, which
        # may have kept the line from them for most of a try.
        if min(taken) < 60 + near + 1 and statistics.median(taken) < 60 + near + 5:
            break
    else:
        raise AssertionError((taken, near))
    bench.record("delay", line="60 ms", least=min(taken), median=statistics.median(taken),
                 without=near)


@anywhere
def test_line_counts_what_it_does(bench):
    """Numbered datagrams: what is missing, double or overtaken is what was counted."""
    number = 4000
    receiver = bench.lab.socket("server", kind=socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    receiver.bind((address(SERVER), 5000))
    receiver.settimeout(1)
    sender = bench.lab.socket("client", kind=socket.SOCK_DGRAM)
    there = "delay=5ms,reorder=5%:10ms,loss=3%,dup=2%"
    with receiver, sender, bench.delayed(there, "wire") as line:
        sender.sendto(b"", (address(SERVER), 5000))  # so that ARP is over
        time.sleep(0.1)
        before = line.counts()["there"]
        for sent in range(1, number + 1):
            sender.sendto(struct.pack("!I", sent), (address(SERVER), 5000))
            if sent % 8 == 0:
                time.sleep(0.002)
        came = []
        try:
            while True:
                piece = receiver.recv(100)
                if piece:
                    came.append(struct.unpack("!I", piece)[0])
        except socket.timeout:
            pass
        after = line.counts()["there"]
    counts = {key: after[key] - before[key] for key in after}
    # A stray frame of the kernel's may be among them: it is never in our numbers.
    assert counts["received"] - number in range(4), counts
    assert abs(number - len(set(came)) - counts["lost"]) <= 3, counts
    assert abs(len(came) - len(set(came)) - counts["duplicated"]) <= 3, counts
    highest = overtaken = 0
    for mark in came:
        overtaken += mark < highest
        highest = max(highest, mark)
    assert abs(overtaken - counts["reordered"]) <= 3 and overtaken > 0.03 * number, \
        (overtaken, counts)
    # Standard deviations: 11 and 9.
    assert 0.02 * number < counts["lost"] < 0.04 * number, counts
    assert 0.01 * number < counts["duplicated"] < 0.03 * number, counts


@anywhere
def test_line_keeps_rate(bench):
    """A line of 20 Mbit/s carries 20 Mbit/s, one without a limit more than 200, and drops
    none; small segments come by the ten thousand in a second. A machine that is busy with
    other things gets five tries."""
    port = bench.serve("bulk", digest_back)
    for spec, size, segment, least, most in (
            ("delay=5ms,rate=20mbit,queue=100k", 4000000, None, 10, 20),
            ("delay=5ms", 40000000, None, 200, 1e9), ("delay=5ms", 2000000, 100, 20, 1e9)):
        for last in (False, False, False, False, True):
            with bench.delayed(spec) as line:
                rate = upload(bench, port, size, segment)
                counts = line.counts()
            assert rate <= most, (spec, rate)
            dropped = [way[key] for way in counts.values() for key in (
                "socket_dropped", "too_long", "unsummed", "no_room", "unsent")]
            if rate >= least and not any(dropped):
                break
            assert not last, (spec, rate, counts)
        bench.record("delay", line=spec, segment=segment, mbit_per_s=rate)


def upload(bench, port, size, segment):
    """Mbit/s of data at which a client sends, in segments of at most so many bytes."""
    with dial(bench.lab, port, timeout=60) as connection:
        if segment:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        begun = time.monotonic()
        connection.sendall(bytes(size))
        connection.shutdown(socket.SHUT_WR)
        assert len(read_all(connection)) == 64
        return 8e-6 * size / (time.monotonic() - begun)


@anywhere
def test_line_carries_jumbo_frames(bench):
    """9000 bytes, as long as an engine is not in between."""
    if bench.options.engine != "wire":
        bench.engine(Wire())
    lab = bench.lab
    port = bench.serve("bulk", digest_back, teach=False)
    for node in ("client", "server"):
        lab.set_mtu(node, 9000)
    try:
        with bench.delayed("delay=5ms") as line:
            rate = max(upload(bench, port, 40000000, None) for _ in range(2))
            counts = line.counts()["there"]
    finally:
        for node in ("client", "server"):
            lab.set_mtu(node, 1500)
    bench.record("delay", line="delay=5ms, MTU 9000", segment=None, mbit_per_s=rate)
    assert counts["received"] < 80e6 / 8000, counts
    assert not counts["too_long"] and not counts["socket_dropped"], counts


@anywhere
def test_line_keeps_frames_whole(bench):
    """VLAN tags and lengths come out as they went in."""
    lab = bench.lab
    macs = bytes.fromhex((lab.mac("server") + lab.mac("client")).replace(":", ""))
    frames = [macs + head + b"\x88\xb5" + os.urandom(size)
              for head in (b"", b"\x81\x00\x20\x07", b"\x88\xa8\x00\x05\x81\x00\x00\x06")
              for size in (46, 777, 1480)]
    path = os.path.join(lab.work, "whole.pcap")
    with bench.delayed("delay=10ms"), Wiretap(lab, "client") as tap:
        with capture(lab, "server", path):
            for frame in frames:
                tap.send(Ether(frame))
            time.sleep(1)
    # The capture keeps 200 bytes of each.
    came = {bytes(packet): packet.wirelen for packet in rdpcap(path)}
    for frame in frames:
        assert came.get(frame[:200]) == len(frame), (frame[:20].hex(), len(frame))


# Handshakes and transfers over a distance


@anywhere
def test_far_handshakes_and_transfers(bench):
    """100 ms: connect, ask, send and fetch much; IPv4 and IPv6, state and cookie."""
    for service in SERVICES:
        port = bench.serve(service, echo)
        bulk = bench.serve(service, Both(2000000, 2))
        with bench.delayed("delay=50ms"):
            for family in (4, 6):
                begun = time.monotonic()
                with dial(bench.lab, port, family) as connection:
                    assert ask(connection, b"x" * 5000) == b"x" * 5000
                assert time.monotonic() - begun >= 0.2
                both_ways(bench, bulk, 2000000, family)


@anywhere
def test_far_server_speaks_first(bench):
    """A greeting comes without a word from the client."""
    def greet(connection):
        connection.sendall(b"hello, who is there?\n" * 200)
        echo(connection)

    for service in ("state", "cookie"):
        port = bench.serve(service, greet)
        with bench.delayed("delay=50ms"):
            for family in (4, 6):
                with dial(bench.lab, port, family) as connection:
                    assert read(connection, 4200) == b"hello, who is there?\n" * 200
                    assert ask(connection, b"it is me") == b"it is me"


class Requests:
    """A server's handler: answers each request, SIZE bytes that begin with its number, with
    its digest; notes how often each one came."""

    def __init__(self):
        self.seen = collections.Counter()
        self.lock = threading.Lock()

    def __call__(self, connection):
        data = read(connection, SIZE)
        if len(data) < SIZE:  # a connection that only made the engine learn
            return
        with self.lock:
            self.seen[struct.unpack("!I", data[:4])[0]] += 1
        connection.sendall(hashlib.sha256(data).digest() * 100)
        read_all(connection)


def one_request(bench, port, number, family, slow):
    """Connect, ask, check the answer, close; adds what went wrong to `slow`."""
    data = struct.pack("!I", number) + os.urandom(SIZE - 4)
    begun = time.monotonic()
    try:
        with dial(bench.lab, port, family, timeout=PATIENCE) as connection:
            connection.sendall(data)
            answer = read(connection, 3200)
            assert answer == hashlib.sha256(data).digest() * 100, \
                "%d bytes of an answer" % len(answer)
    except (OSError, AssertionError) as error:
        slow.append("request %d after %.1f s: %r" % (number, time.monotonic() - begun, error))


@anywhere
def test_rough_line_opens_each_connection_once(bench):
    """Reordered, lost and doubled segments in the handshake and after: every connection
    opens, the server sees each request once and accepts no connection twice, none hangs."""
    number_of = 600 if bench.options.long else 120
    for service in SERVICES:
        handler = Requests()
        port = bench.serve(service, handler)
        bench.server.accepted = 0
        wrong = []
        with bench.delayed(ROUGH, seed=7) as line:
            threads = []
            for number in range(number_of):
                threads.append(threading.Thread(target=one_request, daemon=True, args=(
                    bench, port, number, 4 + number % 2 * 2, wrong)))
                threads[-1].start()
                time.sleep(0.01)
            for thread in threads:
                thread.join(3 * PATIENCE)
            hanging = sum(thread.is_alive() for thread in threads)
            counts = line.counts()
        assert not wrong and not hanging, (service, hanging, wrong, counts)
        assert handler.seen == collections.Counter(range(number_of)), \
            (service, handler.seen.most_common(3), len(handler.seen))
        assert bench.server.accepted == number_of, (service, bench.server.accepted)
        for way in ("there", "back"):
            for what in ("lost", "duplicated", "reordered"):
                assert counts[way][what] > 0, counts


# The client's SYN comes again after a second, before the answer does, and one overtakes another.
FAR_AND_ROUGH = "delay=400ms,jitter=100ms,reorder=30%:1500ms,loss=2%,dup=20%"


@anywhere
def test_rough_line_where_cookies_come_and_go(bench):
    """A transparent service on the verge of cookie mode: of two SYNs of one client one is answered
    by cookie and the other passes to the server, which answers as well. None of them is reset,
    whichever answer comes first."""
    handler = Requests()
    port = bench.serve("calm", handler, teach=False)
    wrong = []
    with bench.grows("cookie_mode_entered", "passed_syn"), \
            bench.delayed(FAR_AND_ROUGH, seed=1):
        threads = [threading.Thread(target=one_request, daemon=True,
                                    args=(bench, port, number, 4 + number % 2 * 2, wrong))
                   for number in range(320)]
        for number, thread in enumerate(threads):
            thread.start()
            if number % 40 == 39:
                time.sleep(0.25)
        for thread in threads:
            thread.join(3 * PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
    assert not [error for error in wrong if "Reset" in error], wrong
    assert max(handler.seen.values()) == 1 and len(handler.seen) >= 316, (handler.seen, wrong)


@anywhere
def test_rough_line_greets_every_client(bench):
    """The same where the server speaks first, with state: the greeting comes whatever is
    lost, and each connection is accepted once."""
    number_of = 60
    def greet(connection):
        connection.sendall(b"hello, who is there?\n")
        read_all(connection)

    port = bench.serve("state", greet)
    bench.server.accepted = 0
    wrong = []

    def be_greeted(number):
        begun = time.monotonic()
        try:
            with dial(bench.lab, port, 4 + number % 2 * 2, timeout=PATIENCE) as connection:
                assert read(connection, 21) == b"hello, who is there?\n"
        except (OSError, AssertionError) as error:
            wrong.append("client %d after %.1f s: %r" % (number, time.monotonic() - begun, error))

    with bench.delayed(ROUGH, seed=8):
        threads = [threading.Thread(target=be_greeted, args=(number,), daemon=True)
                   for number in range(number_of)]
        for thread in threads:
            thread.start()
            time.sleep(0.01)
        for thread in threads:
            thread.join(3 * PATIENCE)
    assert not wrong, wrong
    assert bench.server.accepted == number_of, bench.server.accepted


@anywhere
def test_rough_line_carries_transfers(bench):
    """2 MB each way at once over the same line, digests equal."""
    for service in ("state", "cookie"):
        port = bench.serve(service, Both(2000000, 2))
        with bench.delayed(ROUGH, seed=9):
            for family in (4, 6):
                both_ways(bench, port, 2000000, family)


LARGE = {"ipv4.tcp_rmem": "4096 16777216 67108864", "ipv4.tcp_wmem": "4096 33554432 67108864",
         "ipv4.tcp_congestion_control": "reno"}  # whose slow start does not end by itself
SIOCOUTQNSD = 0x894b  # linux/sockios.h


class LargeAnswer:
    """A server's handler: reads to the client's FIN, sends much, and notes how much of it was
    unacknowledged when its own FIN left."""

    def __init__(self, size):
        self.size = size
        self.in_flight = 0

    def __call__(self, connection):
        if not read_all(connection):  # a connection that only made the engine learn
            return
        for piece in pattern(self.size, 3):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while outstanding(connection, SIOCOUTQNSD):
            time.sleep(0.001)
        self.in_flight = outstanding(connection, termios.TIOCOUTQ)
        while outstanding(connection, termios.TIOCOUTQ):
            time.sleep(0.01)


def outstanding(connection, what):
    return struct.unpack("i", fcntl.ioctl(connection, what, bytes(4)))[0]


@anywhere
def test_far_half_closed_client_gets_a_large_answer(bench):
    """A client closes its half with its request. When the server's FIN passes, more than
    4 MiB of the answer are on their way, which the client acknowledges then: nobody is reset."""
    size = 30000000
    expected = hashlib.sha256(b"".join(pattern(size, 3))).hexdigest()
    with bench.lab.sysctls("client", LARGE), bench.lab.sysctls("server", LARGE):
        for service in ("state", "cookie"):
            handler = LargeAnswer(size)
            port = bench.serve(service, handler)
            for _ in range(5):  # other programs may have slowed it down
                with bench.delayed("delay=100ms"), \
                        dial(bench.lab, port, timeout=60) as connection:
                    before = bench.count("rst_sent")
                    connection.sendall(b"all of it, please\n")
                    connection.shutdown(socket.SHUT_WR)
                    digest = hashlib.sha256()
                    while piece := connection.recv(1 << 18):
                        digest.update(piece)
                    assert digest.hexdigest() == expected, (service, handler.in_flight)
                    time.sleep(0.5)
                    assert bench.count("rst_sent") == before, (service, handler.in_flight)
                if handler.in_flight > 6 << 20:
                    break
            else:
                raise AssertionError("no more than %d bytes in flight" % handler.in_flight)
