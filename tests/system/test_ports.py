# SPDX-License-Identifier: BSD-3-Clause
"""What ports stand on goes: links that come back, and interfaces, devices and peers that do
not. The outside port is of each kind that a kernel or another process can take away."""

import contextlib
import re
import time

from accounts import attempt, leaves_well
from engines import TAPS, Synfront
from injected import Vhost, thread_stopped, threads_of
from lab import SERVER, address, wait_for
from servers import ask, dial, echo

PORT_LOST = 5
# From the fault to the line in the log, and the state in `synfrontctl ports`.
SEEN_S = 1.0
FAR = "p-far"


class Outside:
    """An interface of the engine's node that can be taken from it, joined to the bridge."""

    name = "p-outside"

    def __init__(self, lab, driver):
        self.lab = lab
        self.driver = driver

    def make(self):
        """As somebody else would, who knows the name alone."""
        self.change("add", self.name, "type", "veth", "peer", "name", FAR)
        self.lab.join(FAR, "br-out")
        self.change("set", self.name, "up")

    def delete(self):
        self.change("del", self.name)

    def replace(self):
        """Deleted and made again between two looks of the engine's."""
        self.lab.run("box", "ip", "-batch", "-", stdin="link del %s\nlink add %s type veth "
                     "peer name %s\nlink set %s up\n" % (self.name, self.name, FAR, self.name))
        self.lab.join(FAR, "br-out")

    def change(self, *argv, check=True):
        return self.lab.run("box", "ip", "link", *argv, check=check)

    def engine(self, bench):
        text = bench.config(replace=(("device: net_tap0,iface=sf-outside",
                                      "device: %s0,iface=%s" % (self.driver, self.name)),))
        return Synfront(text, "lossy", taps=TAPS[1:])

    def __enter__(self):
        self.make()
        return self

    def __exit__(self, *_):
        self.lab.remove()
        self.change("del", self.name, check=False)


class Tap(Outside):
    """The interface is the engine's own."""

    name = "sf-outside"

    def make(self):
        pass

    def replace(self):
        self.lab.run("box", "ip", "-batch", "-", stdin="link del %s\ntuntap add dev %s mode tap "
                     "multi_queue\nlink set %s up\n" % (self.name, self.name, self.name))

    def engine(self, bench):
        return Synfront(bench.config(), "lossy")


def kinds(lab):
    return {"tap": Tap(lab, "net_tap"), "af_packet": Outside(lab, "net_af_packet"),
            "af_xdp": Outside(lab, "net_af_xdp")}


@contextlib.contextmanager
def started(bench, kind):
    """The engine with its outside port of that kind, a server and an open connection: all of
    these, and the port."""
    with kinds(bench.lab)[kind] as outside:
        engine = bench.engine(outside.engine(bench))
        port = bench.serve("bulk", echo)
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"before") == b"before"
            yield outside, engine, port, connection


def sees(engine, pattern, begun):
    """Wait for a line of the log that matches: it comes in time."""
    found = wait_for("a log line that matches: " + pattern,
                     lambda: re.search(".*" + pattern + ".*", engine.process.output()), 10)
    assert time.monotonic() - begun < SEEN_S, (pattern, time.monotonic() - begun)
    return found.group(0)


def lost(engine, begun):
    """The engine says that its port is lost and ends with the status for it, its account in
    order: the lines."""
    line = sees(engine, "outside: .* is lost", begun)
    assert engine.process.wait(20) == PORT_LOST, engine.process.output()[-2000:]
    said = engine.process.output()
    assert "account:" in said and "DOES NOT HOLD" not in said, said[-3000:]
    return [line, re.search("link +lost, went down .*", said).group(0)]


def link_goes_and_comes(bench, kind):
    with started(bench, kind) as (outside, engine, port, connection):
        state = lambda: [engine.port("outside")[name] for name in ("link", "link_downs")]
        assert state() == ["up", 0]
        begun = time.monotonic()
        outside.change("set", outside.name, "down")
        down = sees(engine, "link of .* is down", begun)
        assert state() == ["down", 1]
        connection.sendall(b"meanwhile")
        # What comes from inside finds no way out.
        bench.lab.run("server", "ping", "-c2", "-i0.2", "-W1", address(1), check=False)
        time.sleep(max(0, begun + 3 - time.monotonic()))
        begun = time.monotonic()
        outside.change("set", outside.name, "up")
        sees(engine, "link of .* is up again", begun)
        assert state() == ["up", 1]
        assert connection.recv(64) == b"meanwhile"
        connection.close()
        assert [attempt(bench, port, family) for family in (4, 6)] == ["served"] * 2
        said = leaves_well(bench)
        assert "is lost" not in said and "link                         up, went down 1" in said
        bench.record("ports", port=kind, fault="link down for 3 s",
                     says=down.partition("synfront: ")[2], end="went on")


def interface_deleted(bench, kind):
    with started(bench, kind) as (outside, engine, port, connection):
        # The server hears of it, though its clients cannot be reached any more.
        begun = time.monotonic()
        outside.delete()
        lines = lost(engine, begun)
        wait_for("the server to be told", lambda: " %d " % port not in bench.lab.run(
            "server", "ss", "-Htn", "state", "established", "sport", str(port)))
        bench.record("ports", port=kind, fault="interface deleted",
                     says=lines[0].partition("synfront: ")[2], end="status %d" % PORT_LOST)


def interface_replaced(bench, kind):
    with started(bench, kind) as (outside, engine, port, connection):
        connection.close()
        begun = time.monotonic()
        outside.replace()
        lines = lost(engine, begun)
        # What a supervisor does.
        engine.launch()
        wait_for("a client to be served", lambda: attempt(bench, port, patience=1) == "served")
        leaves_well(bench)
        bench.record("ports", port=kind, fault="interface deleted and made again",
                     says=lines[0].partition("synfront: ")[2],
                     end="status %d; started again, served" % PORT_LOST)


def test_tap_link_down_and_up(bench):
    """A TAP's link is down for 3 s: seen within a second, and all goes on."""
    link_goes_and_comes(bench, "tap")


def test_tap_deleted(bench):
    """A TAP is deleted: the loss is seen, and the process ends with its own status."""
    interface_deleted(bench, "tap")


def test_tap_replaced(bench):
    """Another TAP of the same name is no replacement; a new process takes it."""
    interface_replaced(bench, "tap")


def test_tap_in_another_namespace(bench):
    """A TAP that is given to another namespace is not lost: its link is followed there."""
    with started(bench, "tap") as (outside, engine, port, connection):
        lab, link = bench.lab, lambda: engine.port("outside")["link"]
        connection.close()
        outside.change("set", outside.name, "nomaster", "netns", lab.netns("client"))
        wait_for("the link to be down", lambda: link() == "down", 2)
        lab.run("client", "ip", "link", "set", outside.name, "up")
        wait_for("the link to be up", lambda: link() == "up", 2)
        own, other = address(77), address(SERVER)
        lab.run("client", "ip", "addr", "add", own + "/32", "dev", outside.name)
        lab.run("client", "ip", "route", "add", other, "dev", outside.name, "src", own)
        assert attempt_from(bench, port, own, other) == "served"
        # Longer than it takes to see that something is lost.
        time.sleep(2 * SEEN_S)
        assert link() == "up" and engine.port("outside")["link_downs"] == 1
        said = leaves_well(bench)
        assert "is lost" not in said


def attempt_from(bench, port, source, server):
    """One client at that address asks a server at that one."""
    with dial(bench.lab, port, source=source, host=server) as connection:
        return "served" if ask(connection, b"anybody?") == b"anybody?" else "closed"


def test_af_packet_link_down_and_up(bench):
    """The same with net_af_packet, whose driver never tells of a link."""
    link_goes_and_comes(bench, "af_packet")


def test_af_packet_deleted(bench):
    """The interface under net_af_packet is deleted."""
    interface_deleted(bench, "af_packet")


def test_af_packet_replaced(bench):
    """... and made again at once: the socket belongs to neither."""
    interface_replaced(bench, "af_packet")


def test_af_xdp_link_down_and_up(bench):
    """The same with net_af_xdp."""
    link_goes_and_comes(bench, "af_xdp")


def test_af_xdp_deleted(bench):
    """The interface under net_af_xdp is deleted."""
    interface_deleted(bench, "af_xdp")


def test_af_xdp_replaced(bench):
    """... and made again at once."""
    interface_replaced(bench, "af_xdp")


def test_lost_is_shown(bench):
    """As long as the process still has something to do, its ports say what happened."""
    with started(bench, "tap") as (outside, engine, port, connection):
        pid = engine.process.popen.pid
        workers = [name for _, name in threads_of(pid) if "worker" in name]
        with contextlib.ExitStack() as stack:
            for name in workers:
                stack.enter_context(thread_stopped(pid, name))
            begun = time.monotonic()
            outside.delete()
            sees(engine, "outside: .* is lost", begun)
            row = engine.port("outside")
            assert (row["link"], row["link_downs"]) == ("lost", 1), row
            table = engine.control("ports")
            assert re.search(r"LINK +DOWNS", table) and re.search(r" lost +1 ", table), table
            assert engine.port("inside")["link"] == "up"
        lost(engine, time.monotonic())
