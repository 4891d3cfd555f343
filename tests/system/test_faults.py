# SPDX-License-Identifier: BSD-3-Clause
"""Things that break around a running engine: each with what it says or counts, what
clients see, and the books afterwards. Full tables are in test_tables.py, faults of a
start in test_starts.py."""

import collections
import contextlib
import os
import re
import signal
import socket
import threading
import time

from accounts import Fault, attempt, leaves_well
from bench import Skip
from engines import Synfront
from injected import (Vhost, Wall, Wrapped, hang, is_sanitized, push, stopped, thread_stopped,
                      threads_of)
from lab import address, prefix_address, wait_for
from raw import End, option
from servers import Server, ask, dial, echo, read

# DPDK serves no more at one time.
TELEMETRY_CLIENTS = 10


def stall_s(bench):
    """How long "seconds" are: longer than anything that waits in the engine."""
    return 10 if bench.options.long else 2.5


def box(bench, *argv):
    """Change a device of the engine's node."""
    return bench.lab.run("box", "ip", "link", "set", *argv)


# Ports and links

def test_link_down_and_up(bench):
    """The link of a port goes and comes back: it is logged, and connections go on."""
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "link down and up", "`ip link set sf-outside down` for 2 s")
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        box(bench, "sf-outside", "down")
        lines = [fault.logs("link of .*sf-outside is down")]
        assert bench.lab.engine.port("outside")["link"] == "down"
        connection.sendall(b"meanwhile")
        # What comes from inside finds no way out.
        bench.lab.run("server", "ping", "-c2", "-i0.2", "-W1", address(1), check=False)
        counted = fault.grows("tx_full_outside")
        box(bench, "sf-outside", "up")
        lines.append(fault.logs("link of .*sf-outside is up"))
        assert bench.lab.engine.port("outside")["link"] == "up"
        assert read(connection, 9) == b"meanwhile"
    fault.record(port, lines + [counted], meanwhile="an open connection stalled and went on")


def test_rx_stopped(bench):
    """Nothing comes in at one port: timers and the other port go on."""
    engine = bench.lab.engine
    old = engine.text
    port = bench.serve("state", echo)
    fault = Fault(bench, "rx stopped", "sf-outside taken off its bridge for 2 s")
    try:
        engine.reload(old.replace("syn_ack_retries: 2", "syn_ack_retries: 0"))
        with dial(bench.lab, port) as connection, End(bench.lab, port) as end:
            assert ask(connection, b"before") == b"before"
            end.syn()
            end.syn_ack()
            box(bench, "sf-outside", "nomaster")
            before = engine.counters()
            connection.sendall(b"meanwhile")
            assert fault.client(port, patience=1) == "silence"
            fault.grows("half_open_expired")
            bench.lab.run("server", "ping", "-c2", "-i0.2", "-W1", address(1), check=False)
            after = engine.counters()
            assert after["received_outside"] == before["received_outside"]
            assert after["received_inside"] > before["received_inside"]
            box(bench, "sf-outside", "master", "br-out")
            assert read(connection, 9) == b"meanwhile"
    finally:
        engine.reload(old)
    counted = fault.grown("half_open_expired")
    counted["received_outside"] = 0
    counted["received_inside"] = after["received_inside"] - before["received_inside"]
    fault.record(port, counted, meanwhile="an open connection stalled and went on")


def test_tx_ring_full(bench):
    """The peer of a port takes nothing: what does not fit is counted and freed, and
    the port goes on when its peer does."""
    with Vhost(bench, "txfull") as vhost:
        port = bench.serve("bulk", echo)
        fault = Fault(bench, "tx ring full", "the vhost peer of the outside port stopped")
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"before") == b"before"
            with stopped(vhost.peer):
                push(bench, 1000)
                connection.sendall(b"meanwhile")
                counted = fault.grows("tx_full_outside")
                assert fault.client(port, patience=0.5) == "silence"
            assert read(connection, 9) == b"meanwhile"
        fault.record(port, counted, vhost.slack,
                     meanwhile="an open connection stalled and went on")
        leaves_well(bench)


def test_mempool_empty(bench):
    """No buffer is left: packets that find none are counted, and come again as all that is
    lost does."""
    # Of each worker: rings that keep 256 + 256 + 64, one that keeps none of its 64, and 32 to
    # work with. One worker's transmit ring is filled; whose, is chance.
    number_of_syns = 200 + 200 * bench.options.workers
    with Vhost(bench, "nobuffers", ("  count: ", "  buffers: 672\n  count: "),
               ("half_open: 4k", "half_open: 16k"),
               ("iface=sf-inside", "iface=sf-inside\n    rx_descriptors: 64"
                "\n    tx_descriptors: 64")) as vhost:
        assert "workers.buffers" in bench.lab.engine.process.output()
        port = bench.serve("state", echo)
        fault = Fault(bench, "mempool empty", "workers.buffers at its least, a transmit ring that "
                      "keeps its 256, %d SYN-ACKs due in one moment" % number_of_syns)
        with dial(bench.lab, port) as connection, End(bench.lab, port) as end:
            assert ask(connection, b"before") == b"before"
            for number in range(number_of_syns):
                end.own_port = 10000 + number
                end.syn()
            wait_for("half-open entries", lambda: fault.grown("half_open_made")["half_open_made"]
                     > number_of_syns - 10)
            with stopped(vhost.peer):
                push(bench, 1000)
                fault.grows("tx_full_outside")
                with stopped(bench.lab.engine.process):
                    connection.sendall(b"meanwhile")
                    # No SYN-ACK waits longer than that for its second or third time.
                    time.sleep(2.2)
                counted = fault.grows("alloc_failed")
            assert read(connection, 9) == b"meanwhile"
        fault.record(port, counted, vhost.slack,
                     meanwhile="an open connection stalled and went on")
        leaves_well(bench)


# Time

def test_worker_stalled(bench):
    """A worker gets no CPU for seconds: it is logged, telemetry answers, nothing ends."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "worker stalled", "its thread stopped for %g s" % stall_s(bench))
    name = min(name for _, name in threads_of(engine.process.popen.pid) if "worker" in name)
    with dial(bench.lab, port) as connection:
        assert ask(connection, b"before") == b"before"
        with thread_stopped(engine.process.popen.pid, name):
            begun = time.monotonic()
            connection.sendall(b"meanwhile")
            lines = [fault.logs("worker 0 stands still")]
            assert engine.counters()["opened"] > 0
            # These have to wait for it.
            listing = threading.Thread(target=engine.control, args=("connections",),
                                       kwargs={"check": False})
            listing.start()
            engine.process.kill(signal.SIGHUP)
            time.sleep(max(0, begun + stall_s(bench) - time.monotonic()))
            assert "reloaded" not in fault.log()
        assert read(connection, 9) == b"meanwhile"
        fault.logs("reloaded")
        lines.append(fault.logs("(worker 0 runs again after|control stood still)"))
        listing.join()
    fault.record(port, lines, meanwhile="an open connection stalled and went on")


def test_process_stopped_in_a_flood(bench):
    """All of the engine stands still for seconds while SYNs come."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "process stopped in a flood", "SIGSTOP for %g s, 10,000 SYN/s"
                  % stall_s(bench))
    lost = lambda: bench.lab.link_counters("box", "sf-outside")["tx"]["dropped"]
    before = lost()
    with dial(bench.lab, port) as connection, bench.flood(10000, 20, port=port):
        assert ask(connection, b"before") == b"before"
        with stopped(engine.process):
            connection.sendall(b"meanwhile")
            time.sleep(stall_s(bench))
        assert read(connection, 9) == b"meanwhile"
        line = fault.logs("control stood still for")
        assert fault.client(port) == "served"
    fault.record(port, (line, {"dropped before sf-outside": lost() - before}),
               meanwhile="an open connection stalled and went on")


def test_clock_jumps(bench):
    """The wall clock is set back and forward by an hour: time never steps back, cookies
    that are out live on in the one case and die in the other, connections know nothing."""
    if is_sanitized():
        raise Skip("the library that sets the clock cannot come before ASAN's")
    wall = Wall(bench.lab)
    bench.engine(Wrapped(bench.config(), "clock", *wall.wrapper()))
    port, stateless = bench.serve("state", echo), bench.serve("cookie", echo)
    fault = Fault(bench, "clock jumping", "wall clock 1 h back, then 2 h forward")
    with dial(bench.lab, port) as connection, End(bench.lab, stateless) as before:
        assert ask(connection, b"before") == b"before"
        before.syn()
        before.syn_ack()
        wall.set(-3600)
        lines = [fault.logs("wall clock went back by 3600")]
        assert ask(connection, b"back") == b"back"
        assert [fault.client(at) for at in (port, stateless)] == ["served"] * 2
        good = bench.counts("cookies_good")
        before.write(b"still good")
        assert before.read(10) == b"still good" and good()
        before.reset()
        with End(bench.lab, stateless) as cookie, End(bench.lab, port) as state:
            for end in (cookie, state):
                end.syn()
                end.syn_ack()
            wall.set(3600)
            lines.append(fault.logs("wall clock went forward by 7200"))
            assert ask(connection, b"forward") == b"forward"
            # State needs no cookie. Without it the client is told or left to try again.
            state.write(b"by state")
            assert state.read(8) == b"by state"
            state.reset()
            checked = bench.counts("cookies_checked")
            cookie.write(b"too old")
            wait_for("its cookie to be checked", checked)
            assert cookie.get(need="A", timeout=0.3) is None
        assert [fault.client(at) for at in (port, stateless)] == ["served"] * 2
        wall.set(0)
    fault.record(port, lines, meanwhile="cookies that were out: good after the step back, refused "
               "after the step forward; state and open connections unaffected")
    leaves_well(bench)


def test_clock_set_back_where_nodes_share_a_secret(bench):
    """Other nodes would refuse its cookies for two hours: keys and TSvals follow at once."""
    if is_sanitized():
        raise Skip("the library that sets the clock cannot come before ASAN's")
    wall = Wall(bench.lab)
    text = bench.config()
    assert "shared: false" in text
    bench.engine(Wrapped(text.replace("shared: false", "shared: true"), "clock", *wall.wrapper()))
    stateless = bench.serve("cookie", echo)
    fault = Fault(bench, "clock set back", "wall clock 1 h back, secret shared")

    def stamp_off_ms(seconds):
        """What the time in a SYN-ACK's TSval (lib/cookie/cookie.h) is off a clock."""
        with End(bench.lab, stateless) as end:
            end.syn()
            tsval = option(end.syn_ack(), "Timestamp")[0]
            end.reset()
        units = ((tsval >> 17) - (int((time.time() + seconds) * 1000) >> 2)) & 0x7fff
        return 4 * (units - 0x8000 if units >= 0x4000 else units)

    assert abs(stamp_off_ms(0)) < 500
    with End(bench.lab, stateless) as before:
        before.syn()
        before.syn_ack()
        wall.set(-3600)
        line = fault.logs("wall clock went back by 3600")
        assert abs(stamp_off_ms(-3600)) < 500
        checked = bench.counts("cookies_checked")
        before.write(b"too old")
        wait_for("its cookie to be checked", checked)
        assert before.get(need="A", timeout=0.3) is None
    assert fault.client(stateless) == "served"
    wall.set(0)
    fault.record(stateless, [line], meanwhile="cookies that were out refused, new ones good")
    leaves_well(bench)


# Whoever talks to the engine

def test_telemetry_client_hangs(bench):
    """Clients that ask and never read, ask half or nothing: others are answered as long as DPDK
    has a place, then refused at once; reloads and packets do not wait for them."""
    engine = bench.lab.engine
    port = bench.serve("bulk", echo)
    path = "/run/dpdk/%s/dpdk_telemetry.v2" % engine.tag
    fault = Fault(bench, "telemetry client hangs", "%d clients that never read, send half a "
                  "request, or say nothing" % TELEMETRY_CLIENTS)
    with contextlib.ExitStack() as stack:
        for number in range(TELEMETRY_CLIENTS - 2):
            stack.enter_context(hang(path, ("never reads", "half a request", "")[number % 3]))
        assert engine.report("info")["pid"] == engine.process.popen.pid
        for _ in range(3):
            stack.enter_context(hang(path, ""))
        refused = engine.control("info", check=False)
        assert "closed the connection" in refused, refused
        assert "not reloaded" not in engine.reload(engine.text)
        assert fault.client(port) == "served"
    wait_for("an answer to the next", lambda: "pid" in engine.control("info", check=False))
    fault.record(port, "synfrontctl: " + refused.strip().replace(engine.tag, "..."))


def test_reloads_under_load(bench):
    """The configuration is replaced ten times a second, sometimes by nonsense, while clients
    come and go and one transfers."""
    engine = bench.lab.engine
    old = engine.text
    port, busy = bench.serve("bulk", echo), bench.serve("state", echo)
    bench.nginx()
    bench.teach(80)
    seconds = 30 if bench.options.long else 4
    fault = Fault(bench, "configuration replaced", "SIGHUP 10 times a second for %d s, every "
                  "fifth file unusable, in a flood" % seconds)
    stop = threading.Event()
    outcomes = collections.Counter()

    def clients():
        number = 0
        while not stop.is_set():
            number += 1
            outcomes[attempt(bench, port, source=prefix_address(1 + number % 8))] += 1

    texts = [old.replace("high: 512, low: 128", "high: %d, low: 100" % high)
             .replace("idle: 1h", "idle: %ds" % (3600 + high)) for high in (200, 300, 400, 512)]
    texts.append(old.replace("mode: bypass", "mode: nonsense"))
    resident = lambda: int(re.search(r"VmRSS:\s+(\d+)", open(
        "/proc/%d/status" % engine.process.popen.pid).read()).group(1))
    generation = engine.report("info")["generation"]
    try:
        with dial(bench.lab, busy) as connection, bench.flood(3000, seconds + 20, port=80):
            thread = threading.Thread(target=clients)
            thread.start()
            begun, size, n = time.monotonic(), 0, 0
            while time.monotonic() < begun + seconds:
                engine.write(texts[n % len(texts)])
                engine.process.kill(signal.SIGHUP)
                n += 1
                if n == 10:
                    size = resident()
                assert ask(connection, b"x" * 5000) == b"x" * 5000
                time.sleep(max(0, begun + n / 10 - time.monotonic()))
            stop.set()
            thread.join()
            grown = resident() - size
    finally:
        stop.set()
        engine.reload(old)
    made = engine.report("info")["generation"] - generation
    refused = fault.log().count("not reloaded")
    assert made > n / 4 and refused >= 1, (n, made, refused)
    assert set(outcomes) == {"served"}, outcomes
    # (A leak of each configuration would be some hundreds of kB a second.)
    assert grown < 2048 or is_sanitized(), "%d kB more in %d reloads" % (grown, n)
    fault.clients.update(outcomes)
    fault.record(port, {"reloads": n, "generations": made, "not reloaded": refused,
                      "kB more": grown}, meanwhile="a transfer went on")


# Servers

def test_backend_flapping(bench):
    """A server that comes and goes: clients are told at once, and get in when it is up."""
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "backend flapping", "listener closed and opened 6 times")
    number, down = 0, bench.down()
    for _ in range(6):
        bench.server.close()
        for _ in range(4 * bench.options.workers):
            number += 1
            assert fault.client(port, source=prefix_address(1 + number % 8)) in (
                "refused", "reset")
        bench.server = bench.keep(Server(bench.lab, port, echo))
        # One that is down is tried once a probe interval, by each worker that found it so.
        wait_for("the server to be up again", lambda: attempt(
            bench, port, source=prefix_address(1)) == "served" and bench.down() == down,
            interval=0.1)
        fault.clients["served"] += 1
    fault.record(port, fault.grows("refused_by_server", "backend_down", "backend_up"))


def test_backend_backlog_full(bench):
    """A server that accepts nothing: clients beyond its backlog get RST in time, and it is not
    taken for down while only one net says so."""
    engine = bench.lab.engine
    old = engine.text
    port = bench.serve("bulk", echo)
    fault = Fault(bench, "backend with a full backlog", "listen(1) and no accept()")
    bench.server.close()
    with bench.lab.socket("server", socket.AF_INET6) as listener, contextlib.ExitStack() as stack:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("::", port))
        listener.listen(1)
        try:
            engine.reload(old.replace("connecting: 5s", "connecting: 1s"))
            clients = [stack.enter_context(dial(bench.lab, port)) for _ in range(8)]
            fault.grows("server_silent")
            reset = 0
            for client in clients:
                client.settimeout(0.2)
                try:
                    assert client.recv(1) == b""
                except ConnectionResetError:
                    reset += 1
                except TimeoutError:
                    pass
            assert 0 < reset < 8, reset
            counted = fault.grown("server_silent", "backend_down")
            assert not counted["backend_down"]
        finally:
            engine.reload(old)
    bench.keep(Server(bench.lab, port, echo))
    fault.clients.update(reset=reset, waiting=8 - reset)
    fault.record(port, counted)


# The log

def test_disk_full_for_the_log(bench):
    """The log's disk is full: the engine goes on, and says later how many lines are missing."""
    place = os.path.join(bench.lab.work, "full")
    os.makedirs(place)
    wrapper = ("unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=16k none %s && exec "
               "\"$@\" 2>>%s/log" % (place, place), "sh")
    engine = bench.engine(Wrapped(bench.config(), "logging", *wrapper))
    port = bench.serve("bulk", echo)
    there = "/proc/%d/root%s/" % (engine.process.popen.pid, place)
    said = lambda: open(there + "log").read()
    wait_for("the log", lambda: "running" in said())
    fault = Fault(bench, "disk full for the log", "a tmpfs of 16 kB that is full, 5 reloads")
    for name in ("filler", "log"):
        with open(there + name, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 64):
                pass
    for _ in range(5):
        generation = engine.report("info")["generation"]
        engine.process.kill(signal.SIGHUP)
        wait_for("the reload", lambda g=generation: engine.report("info")["generation"] > g)
        assert fault.client(port) == "served"
    os.unlink(there + "filler")
    engine.process.kill(signal.SIGHUP)
    line = wait_for("the log to speak of what is missing", lambda: re.search(
        r".*log lines before this one could not be written.*", said())).group(0)
    assert "No space left" in line, line
    fault.record(port, line)
    engine.process.kill(signal.SIGTERM)
    assert engine.process.wait(60) == 0


def test_log_reader_hangs(bench):
    """Who reads the log through a pipe does not: nothing waits for it."""
    fifo = os.path.join(bench.lab.work, "pipe")
    os.mkfifo(fifo)
    # Keeps the other end open; reads when it is told to.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        engine = bench.engine(Wrapped(bench.config(), "piping", "sh", "-c",
                                      'exec "$@" 2>%s' % fifo, "sh"))
        port = bench.serve("bulk", echo)
        fault = Fault(bench, "log reader hangs", "a pipe that nobody reads, full")
        writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, b"-" * 4096):
                pass
        os.close(writer)
        for _ in range(3):
            generation = engine.report("info")["generation"]
            engine.process.kill(signal.SIGHUP)
            wait_for("the reload", lambda g=generation: engine.report("info")["generation"] > g)
            assert fault.client(port) == "served"
        said = b""
        while b"log lines before" not in said:
            engine.process.kill(signal.SIGHUP)
            time.sleep(0.3)
            with contextlib.suppress(BlockingIOError):
                said += os.read(reader, 1 << 20).replace(b"-", b"")
        line = re.search(r".*log lines before.*", said.decode()).group(0)
        fault.record(port, line)
        engine.process.kill(signal.SIGTERM)
        assert engine.process.wait(60) == 0
    finally:
        os.close(reader)
