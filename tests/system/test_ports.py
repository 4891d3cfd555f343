# SPDX-License-Identifier: BSD-3-Clause
"""What ports stand on goes: links that come back, and interfaces, devices and peers that do
not. The outside port is of each kind that a kernel or another process can take away."""

import contextlib
import json
import os
import re
import signal
import time

from accounts import attempt, leaves_well
from engines import TAPS, Synfront
from injected import Vhost, stopped, thread_stopped, threads_of
from lab import SERVER, address, wait_for
from servers import ask, dial, echo

BRINGS_ENGINES = True

PORT_LOST = 5
# From the fault to the line in the log, and the state in `synfrontctl ports`.
SEEN_S = 1.0


class Interface:
    """An interface of the engine's node that can be taken from it, joined to a bridge."""

    def __init__(self, lab, driver, side="outside"):
        self.lab = lab
        self.driver = driver
        self.side = side
        self.name = "p-" + side
        self.far = "far-" + side

    def make(self):
        self.change("add", self.name, "type", "veth", "peer", "name", self.far)
        self.join()

    def join(self):
        self.lab.join(self.far, "br-out" if self.side == "outside" else "br-in")
        self.change("set", self.name, "up")

    def delete(self):
        self.change("del", self.name)

    def replace(self):
        """Deleted and made again between two looks of the engine's."""
        self.lab.run("box", "ip", "-batch", "-", stdin="link del %s\nlink add %s type veth "
                     "peer name %s\n" % (self.name, self.name, self.far))
        self.join()

    def change(self, *argv, check=True):
        return self.lab.run("box", "ip", "link", *argv, check=check)

    def configure(self, text):
        """The engine's configuration with this port instead of its TAP."""
        tap = re.search("device: (net_tap.,iface=sf-%s)" % self.side, text).group(1)
        number = 0 if self.side == "outside" else 1
        return text.replace(tap, "%s%d,iface=%s" % (self.driver, number, self.name))

    def __enter__(self):
        self.make()
        return self

    def __exit__(self, *_):
        self.lab.remove()
        self.change("del", self.name, check=False)


class Tap(Interface):
    """The interface is the engine's own."""

    def __init__(self, lab, driver="net_tap", side="outside"):
        super().__init__(lab, driver, side)
        self.name = "sf-" + side

    def make(self):
        pass

    def replace(self):
        self.lab.run("box", "ip", "-batch", "-", stdin="link del %s\ntuntap add dev %s mode tap "
                     "multi_queue\nlink set %s up\n" % ((self.name,) * 3))

    def configure(self, text):
        return text


def taps_of(text):
    return [tap for tap in TAPS if tap[0] in text]


@contextlib.contextmanager
def started(bench, *interfaces):
    """The engine with these ports, a server and an open connection: the first interface, the
    engine, the server's port and the connection."""
    text = bench.config()
    with contextlib.ExitStack() as stack:
        for interface in interfaces:
            text = stack.enter_context(interface).configure(text)
        engine = bench.engine(Synfront(text, "lossy", taps=taps_of(text)))
        port = bench.serve("bulk", echo)
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"before") == b"before"
            yield interfaces[0], engine, port, connection


def sees(engine, pattern, begun):
    """Wait for a line of the log that matches: it comes in time."""
    found = wait_for("a log line that matches: " + pattern,
                     lambda: re.search(".*" + pattern + ".*", engine.process.output()), 10)
    assert time.monotonic() - begun < SEEN_S, (pattern, time.monotonic() - begun)
    return found.group(0)


def lost(engine, begun, side="outside"):
    """The engine says that its port is lost and ends with the status for it, its account in
    order: the lines."""
    line = sees(engine, side + ": .* is lost", begun)
    assert engine.process.wait(20) == PORT_LOST, engine.process.output()[-2000:]
    said = engine.process.output()
    assert "account:" in said and "DOES NOT HOLD" not in said, said[-3000:]
    assert said.count("is lost") == 1, said[-3000:]
    return [line, re.search("link +lost, went down .*", said).group(0)]


def link_goes_and_comes(bench, interface):
    with started(bench, interface) as (outside, engine, port, connection):
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
        bench.record("ports", port=interface.driver, fault="link down for 3 s",
                     says=down.partition("synfront: ")[2], end="went on")


def interface_deleted(bench, interface):
    with started(bench, interface) as (outside, engine, port, connection):
        # The server hears of it, though its clients cannot be reached any more.
        begun = time.monotonic()
        outside.delete()
        lines = lost(engine, begun)
        wait_for("the server to be told", lambda: " %d " % port not in bench.lab.run(
            "server", "ss", "-Htn", "state", "established", "sport", str(port)))
        bench.record("ports", port=interface.driver, fault="interface deleted",
                     says=lines[0].partition("synfront: ")[2], end="status %d" % PORT_LOST)


def interface_replaced(bench, interface):
    with started(bench, interface) as (outside, engine, port, connection):
        connection.close()
        begun = time.monotonic()
        outside.replace()
        lines = lost(engine, begun)
        # What a supervisor does.
        engine.launch()
        wait_for("a client to be served", lambda: attempt(bench, port, patience=1) == "served")
        leaves_well(bench)
        bench.record("ports", port=interface.driver, fault="interface deleted and made again",
                     says=lines[0].partition("synfront: ")[2],
                     end="status %d; started again, served" % PORT_LOST)


def test_tap_link_down_and_up(bench):
    """A TAP's link is down for 3 s: seen within a second, and all goes on."""
    link_goes_and_comes(bench, Tap(bench.lab))


def test_tap_deleted(bench):
    """A TAP is deleted: the loss is seen, and the process ends with its own status."""
    interface_deleted(bench, Tap(bench.lab))


def test_tap_replaced(bench):
    """Another TAP of the same name is no replacement; a new process takes it."""
    interface_replaced(bench, Tap(bench.lab))


def test_tap_in_another_namespace(bench):
    """A TAP that is given to another namespace is not lost: its link is followed there."""
    with started(bench, Tap(bench.lab)) as (outside, engine, port, connection):
        lab, link = bench.lab, lambda: engine.port("outside")["link"]
        connection.close()
        outside.change("set", outside.name, "nomaster", "netns", lab.netns("client"))
        wait_for("the link to be down", lambda: link() == "down", 2)
        lab.run("client", "ip", "link", "set", outside.name, "up")
        wait_for("the link to be up", lambda: link() == "up", 2)
        own, other = address(78), address(SERVER)
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
    link_goes_and_comes(bench, Interface(bench.lab, "net_af_packet"))


def test_af_packet_deleted(bench):
    """The interface under net_af_packet is deleted."""
    interface_deleted(bench, Interface(bench.lab, "net_af_packet"))


def test_af_packet_replaced(bench):
    """... and made again at once: the socket belongs to neither."""
    interface_replaced(bench, Interface(bench.lab, "net_af_packet"))


def test_af_xdp_link_down_and_up(bench):
    """The same with net_af_xdp."""
    link_goes_and_comes(bench, Interface(bench.lab, "net_af_xdp"))


def test_af_xdp_deleted(bench):
    """The interface under net_af_xdp is deleted."""
    interface_deleted(bench, Interface(bench.lab, "net_af_xdp"))


def test_af_xdp_replaced(bench):
    """... and made again at once."""
    interface_replaced(bench, Interface(bench.lab, "net_af_xdp"))


def test_lost_is_shown(bench):
    """As long as the process still has something to do, its ports say what happened."""
    with started(bench, Tap(bench.lab)) as (outside, engine, port, connection):
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


def test_vhost_peer_gone(bench):
    """A client of vhost-user whose peer ends has no other one to come."""
    with Vhost(bench, "left") as vhost:
        engine, port = bench.lab.engine, bench.serve("bulk", echo)
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"before") == b"before"
            begun = time.monotonic()
            bench.lab.end(vhost.peer, signal.SIGKILL)
            lost(engine, begun)


def test_vhost_peer_returns(bench):
    """A server of vhost-user is down while it has no peer, and takes the next one."""
    with Vhost(bench, "visited", server=True) as vhost:
        engine, port = bench.lab.engine, bench.serve("bulk", echo)
        with dial(bench.lab, port) as connection:
            assert ask(connection, b"before") == b"before"
            begun = time.monotonic()
            bench.lab.end(vhost.peer, signal.SIGKILL)
            sees(engine, "link of .* is down", begun)
            vhost.begin()
            wait_for("the link", lambda: engine.port("outside")["link"] == "up")
            assert ask(connection, b"after") == b"after"
        assert "is lost" not in leaves_well(bench)


def moved_and_back(bench, driver):
    """The interface is somewhere else for a moment that the engine does not see, and has its
    name and number again: its sockets have left it."""
    with started(bench, Interface(bench.lab, driver)) as (outside, engine, _, connection):
        connection.close()
        index = interface_index(outside)
        with stopped(engine.process):
            outside.change("set", outside.name, "netns", bench.lab.netns("attacker"))
            bench.lab.run("attacker", "ip", "link", "set", outside.name, "netns",
                          bench.lab.netns("box"))
            outside.change("set", outside.name, "up")
            assert interface_index(outside) == index
        lost(engine, time.monotonic())


def interface_index(interface):
    return json.loads(interface.lab.run("box", "ip", "-j", "link", "show", "dev",
                                        interface.name))[0]["ifindex"]


def test_af_packet_moved_and_back(bench):
    """An interface was in another namespace for a moment: net_af_packet has lost it."""
    moved_and_back(bench, "net_af_packet")


def test_af_xdp_moved_and_back(bench):
    """... and so has net_af_xdp."""
    moved_and_back(bench, "net_af_xdp")


def two_of_a_kind(bench, driver):
    """Both ports are of one kind: the one that is lost is named, and no other."""
    inside, outside = (Interface(bench.lab, driver, side) for side in ("inside", "outside"))
    with started(bench, inside, outside) as (_, engine, _, connection):
        begun = time.monotonic()
        inside.delete()
        lost(engine, begun, "inside")
        # The client hears of it.
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass


def test_af_packet_twice(bench):
    """Two ports of net_af_packet, one of which is lost."""
    two_of_a_kind(bench, "net_af_packet")


def test_af_xdp_twice(bench):
    """Two ports of net_af_xdp, one of which is lost."""
    two_of_a_kind(bench, "net_af_xdp")


def test_lost_while_draining(bench):
    """A port is lost while connections are waited for: they are reset at once."""
    with started(bench, Tap(bench.lab, side="inside")) as (inside, engine, _, connection):
        engine.write(engine.text.replace("drain_timeout: 2s", "drain_timeout: 60s"))
        engine.process.kill(signal.SIGHUP)
        wait_for("the reload", lambda: "reloaded" in engine.process.output())
        engine.process.kill(signal.SIGTERM)
        wait_for("the drain", lambda: "draining" in engine.process.output())
        begun = time.monotonic()
        inside.delete()
        lost(engine, begun, "inside")
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass


# What else can be taken from under a port

def test_af_xdp_program_taken_off(bench):
    """Somebody takes the XDP program off: nothing will come in any more."""
    with started(bench, Interface(bench.lab, "net_af_xdp")) as (outside, engine, _, _):
        begun = time.monotonic()
        outside.change("set", outside.name, "xdp", "off")
        lost(engine, begun)


def test_cable_unplugged(bench):
    """The interface stays up and its carrier goes, while frames are sent: as when it is down."""
    for driver in ("net_af_packet", "net_af_xdp"):
        with started(bench, Interface(bench.lab, driver)) as (outside, engine, _, connection):
            begun = time.monotonic()
            outside.change("set", outside.far, "down")
            sees(engine, "link of .* is down", begun)
            bench.lab.run("server", "ping", "-c20", "-i0.02", "-W1", address(1), check=False)
            begun = time.monotonic()
            outside.change("set", outside.far, "up")
            sees(engine, "link of .* is up again", begun)
            assert ask(connection, b"after") == b"after"
            assert "stands still" not in leaves_well(bench)


def test_af_xdp_every_buffer(bench):
    """What the engine says that it sent was sent, from whichever of its buffers: most of
    them take their turn in frames that it makes itself, as many a connection has."""
    ports = [Interface(bench.lab, "net_af_xdp", side) for side in ("outside", "inside")]
    with started(bench, *ports) as (_, engine, server, _):
        sent = lambda: [(engine.port(port.side)["sent"],
                         bench.lab.link_counters("box", port.name)["tx"]["packets"])
                        for port in ports]
        before = sent()
        for _ in range(100):
            with contextlib.ExitStack() as stack:
                connections = [stack.enter_context(dial(bench.lab, server)) for _ in range(20)]
                for connection in connections:
                    assert ask(connection, b"hello") == b"hello"
        moved = [[n - m for m, n in zip(*pair)] for pair in zip(before, sent())]
        assert all(engine_sent > 2000 and engine_sent == kernel_sent
                   for engine_sent, kernel_sent in moved), moved


def test_af_packet_long_frames(bench):
    """What the driver's ring cuts off is named at the start, and what is said to help does."""
    lab = bench.lab
    outside, inside = (Interface(lab, "net_af_packet", side) for side in ("outside", "inside"))
    text = bench.config()
    with outside, inside, contextlib.ExitStack() as stack:
        for port in (outside, inside):
            text = port.configure(text)
            for name in (port.name, port.far):
                port.change("set", name, "mtu", "9000")
        for node in ("client", "server"):
            lab.set_mtu(node, 9000)
            stack.callback(lab.set_mtu, node, 1500)
        engine = bench.engine(Synfront(text, "cut", taps=taps_of(text)))
        said = re.findall(r"(\w+): net_af_packet.*: its interface has an MTU of 9000, and frames of more"
                          r" than 1982 bytes are cut off: give the device (\S+)",
                          engine.process.output())
        assert [side for side, _ in said] == ["outside", "inside"], engine.process.output()
        for port, (_, better) in zip((outside, inside), said):
            text = text.replace("iface=" + port.name, "iface=%s,%s" % (port.name, better))
        engine = bench.engine(Synfront(text, "whole", taps=taps_of(text)))
        assert "cut off" not in engine.process.output()
        for family in (4, 6):
            lab.run("client", "ping", "-c3", "-i0.2", "-Mdo", "-s8900", address(SERVER, family))


def test_promiscuous_mode_taken_off(bench):
    """Frames to others would stay outside: it is said, when it begins and when it is over."""
    with started(bench, Interface(bench.lab, "net_af_packet")) as (outside, engine, _, connection):
        for state, line in (("off", "promiscuous mode of .* was taken off"),
                            ("on", "promiscuous mode of .* is on again")):
            begun = time.monotonic()
            outside.change("set", outside.name, "promisc", state)
            sees(engine, line, begun)
        assert ask(connection, b"after") == b"after"
        leaves_well(bench)


def test_telemetry_socket_deleted(bench):
    """Nobody reaches it any more: it is said once, and all else goes on."""
    text = bench.config() + "\nuser: nobody\n"
    engine = bench.engine(Synfront(text, "unreachable"))
    port = bench.serve("bulk", echo)
    begun = time.monotonic()
    os.unlink("/run/dpdk/%s/dpdk_telemetry.v2" % engine.tag)
    sees(engine, "telemetry: its socket was deleted", begun)
    assert attempt(bench, port) == "served"
    time.sleep(SEEN_S)
    assert leaves_well(bench).count("its socket was deleted") == 1
