# SPDX-License-Identifier: BSD-3-Clause
"""What is not TCP of a service crosses; tags and header chains are kept."""

import os
import random
import socket
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrHopByHop)
from scapy.layers.l2 import ARP, Dot1Q, Ether, GRE
from scapy.packet import Raw

from bench import anywhere
from lab import CLIENT, OTHER, SERVER, address, wait_for
from raw import End, GHOST_SERVER, USUAL, Wiretap, payload
from servers import Server, ask, dial, echo


def strange_frames(source, target, own, other):
    """Frames of many kinds from one MAC and number of a host to another's."""
    def ether(**fields):
        return Ether(src=source, dst=target, **fields)

    a4, b4, a6, b6 = address(own), address(other), address(own, 6), address(other, 6)
    yield ether() / ARP(op=2, hwsrc=source, psrc=a4, hwdst=target, pdst=b4)
    yield ether() / IPv6(src=a6, dst=b6, hlim=255) / ICMPv6ND_NS(tgt=b6)
    yield ether() / IP(src=a4, dst=b4) / ICMP(type=0, id=7, seq=9) / Raw(os.urandom(1472))
    yield ether() / IPv6(src=a6, dst=b6) / ICMPv6EchoRequest(data=os.urandom(64))
    yield ether() / IP(src=a4, dst=b4, tos=0xb8) / UDP(sport=53, dport=53, chksum=0) / Raw(b"\0\1")
    yield ether() / IP(src=a4, dst=b4) / UDP(sport=9, dport=9, chksum=0x1234) / Raw(b"bad sum")
    yield ether() / IPv6(src=a6, dst=b6) / IPv6ExtHdrHopByHop() / UDP(sport=9, dport=9) / Raw(b"x")
    yield ether() / IP(src=a4, dst=b4) / GRE() / IP(src=a4, dst=b4) / TCP(dport=80)
    yield ether() / IP(src=a4, dst=b4, proto=132) / Raw(os.urandom(48))
    yield ether(type=0x88b5) / Raw(os.urandom(200))
    yield ether() / Dot1Q(vlan=7, prio=5) / ARP(psrc=a4, pdst=b4)
    yield ether(type=0x88a8) / Dot1Q(vlan=9) / Dot1Q(vlan=3) / IP(src=a4, dst=b4) / UDP(dport=99)
    for piece in fragment(IP(src=a4, dst=b4, id=77) / UDP(dport=99) / Raw(os.urandom(3000)), 800):
        yield ether() / piece


def crosses(sender, receiver, packet):
    """The very same bytes come out; sent again if the wire was full."""
    raw = bytes(packet)

    def tried():
        sender.send(raw)
        return receiver.wait(lambda frame: frame == raw, 0.5)

    wait_for("a frame to cross unchanged: " + packet.summary(), tried, 10, 0)


def all_cross(bench):
    lab = bench.lab
    macs = {"client": lab.mac("client"), "server": lab.mac("server")}
    taps = {node: Wiretap(lab, node) for node in macs}
    for tap in taps.values():
        bench.keep(tap)
    for near, far, own, other in (("client", "server", 71, 72), ("server", "client", 72, 71)):
        for packet in strange_frames(macs[near], macs[far], own, other):
            crosses(taps[near], taps[far], packet)


@anywhere
def test_everything_else_crosses(bench):
    """ARP, ND, ICMP, UDP, tunnels, tags, fragments, unknown types, byte for byte."""
    all_cross(bench)


def test_everything_else_crosses_in_a_flood(bench):
    """The same, and pings by real kernels, while SYNs pour in."""
    lab = bench.lab
    bench.nginx()
    bench.teach(80)
    bench.calm("web")
    entered = bench.counts("cookie_mode_entered")
    with bench.flood(30000, 60):
        wait_for("cookie mode", entered)
        all_cross(bench)
        lab.run("client", "ip", "neigh", "flush", "dev", "eth0", check=False)
        for family in (4, 6):
            wait_for("ping in the flood", lambda family=family: "bytes from" in lab.run(
                "client", "ping", "-c1", "-W1", "-s", "1400", address(SERVER, family),
                check=False))


@anywhere
def test_other_tcp_crosses(bench):
    """TCP of an address without services, and of a bypassed one."""
    for host, port in ((OTHER, 80 + 5000), (SERVER, bench.port("aside"))):
        bench.keep(Server(bench.lab, port, echo))
        before = bench.count("opened")
        for family in (4, 6):
            with dial(bench.lab, port, family, host=host) as connection:
                assert ask(connection, b"as is" * 1000) == b"as is" * 1000
        assert bench.count("opened") == before, "the engine opened connections of its own"


@anywhere
def test_outbound_connections(bench):
    """Protected hosts connect to the outside, also from a port of a service, and
    where services cover all ports."""
    lab = bench.lab
    if bench.is_synfront:
        from engines import Synfront
        bench.engine(Synfront(bench.config(replace=(
            ("ports: [80, 443]", "ports: [1-6999, 10000-65535]"),)), instance="wide"))
    bench.keep(Server(lab, 5555, echo, node="client"))
    for family in (4, 6):
        for own_port in (0, 80 if bench.web is None else 81):
            with dial(lab, 5555, family, host=CLIENT, node="server",
                      own_port=own_port) as connection:
                assert ask(connection, b"from inside" * 500) == b"from inside" * 500


def play(bench, client, server):
    """A whole connection between two hand-played ends; the engine may or may
    not split it. Returns whether it did."""
    client.syn()
    syn = server.get("S", timeout=0.5)
    split = syn is None
    if split:
        client.syn_ack()
        client.send("A")
        syn = server.expect("S")
    server.rcv_nxt = (syn[TCP].seq + 1) & 0xffffffff
    server.tsval = 500000
    server.send("SA", seq=server.iss, options=[
        (name, (server.tsval, server.tsecr) if name == "Timestamp" else value)
        for name, value in USUAL])
    server.snd_nxt = (server.iss + 1) & 0xffffffff
    server.timestamps = True
    if not split:
        client.syn_ack()
        client.send("A")
    server.expect("A", where=lambda p: p[TCP].ack == server.snd_nxt)
    client.write(b"ping over tags")
    got = server.expect(where=payload)
    assert payload(got) == b"ping over tags"
    server.rcv_nxt = (got[TCP].seq + 14) & 0xffffffff
    server.write(b"pong over tags")
    assert client.read(14) == b"pong over tags"
    client.reset()
    server.expect(need="R")
    return split


@anywhere
def test_vlan_and_qinq(bench):
    """One tag and two: every segment bears them, on both sides, the flow's own."""
    for tags in ((5,), (100, 200)):
        for family in (4, 6):
            port = bench.port("state")
            # Each worker learns the server for itself.
            for attempt in range(4 + 10 * (bench.options.workers - 1)):
                with End(bench.lab, port, peer=GHOST_SERVER, family=family, tags=tags) as client, \
                        End(bench.lab, client.own_port, peer=77, own=GHOST_SERVER, own_port=port,
                            node="server", family=family, tags=tags) as server:
                    if play(bench, client, server) or (attempt and not bench.is_synfront):
                        break
            else:
                raise AssertionError("never split with tags %s" % (tags,))


@anywhere
def test_ipv6_extension_headers(bench):
    """Headers between IPv6 and TCP, on every segment of the client."""
    port = bench.serve("state", echo, teach=False)
    bench.teach(port, 6)
    for between in ((IPv6ExtHdrDestOpt(),), (IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt())):
        with End(bench.lab, port, family=6, between=between) as end:
            end.open()
            end.write(b"through the chain")
            assert end.read(17) == b"through the chain"
            end.reset()


@anywhere
def test_fragments_of_a_connection(bench):
    """A segment of a spliced connection that arrives in pieces is rewritten and
    put together by the server."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.open()
        end.write(b"first")
        assert end.read(5) == b"first"
        data = os.urandom(1200)
        whole = end.segment("PA", data=data)
        end.snd_nxt = (end.snd_nxt + len(data)) & 0xffffffff
        ether, ip = Ether(src=whole.src, dst=whole.dst), whole[IP]
        ip.flags = 0

        def answered():
            """All pieces, as a client sends them again: one before the first is dropped."""
            ip.id = random.getrandbits(16)
            for piece in fragment(IP(bytes(ip)), 400):
                end.tap.send(ether / piece)
            return end.get(timeout=1, where=payload)

        assert payload(wait_for("the answer", answered, interval=0)) == data
        end.reset()


def out_of_band(connection):
    try:
        return connection.recv(1, socket.MSG_OOB)
    except OSError:
        return b""


def urgent(connection):
    """Answer urgent data by what it is."""
    connection.setblocking(False)
    connection.send(wait_for("urgent data", lambda: out_of_band(connection), 10))


@anywhere
def test_urgent_data(bench):
    """The urgent pointer crosses, on a spliced connection and in early data."""
    port = bench.serve("state", echo)
    bench.server.handler = urgent
    for pause in (0.3, 0):
        with dial(bench.lab, port) as connection:
            time.sleep(pause)
            connection.send(b"U", socket.MSG_OOB)
            assert connection.recv(1) == b"U", "early" if not pause else "spliced"
