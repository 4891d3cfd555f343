# SPDX-License-Identifier: BSD-3-Clause
"""synfront-adopt on a machine that has guests: a service without addresses is this machine's, and
what goes to a guest passes, though a listener on all addresses is here for the same port."""

import contextlib
import os

from adopt import Proven, agent
from bench import Skip, anywhere
from lab import remove_netns
from servers import Server, echo
from test_adopt import serve

BRINGS_ENGINES = True

GUEST, HOST = {4: "203.0.113.9", 6: "2001:db8:77::9"}, {4: "203.0.113.1", 6: "2001:db8:77::1"}
LENGTH = {4: 24, 6: 64}


@contextlib.contextmanager
def guest(lab, *link):
    """A namespace behind the server's, by this link, whose end there is `inner`."""
    lab.make_netns("guest")
    try:
        try:
            lab.run("server", "ip", "link", "add", *link)
        except RuntimeError as error:
            raise Skip("this kernel has no such link: %s" % error) from error
        lab.run("server", "ip", "link", "set", "inner", "netns", lab.netns("guest"))
        lab.sysctl("guest", "ipv6.conf.all.accept_dad", 0)
        lab.sysctl("guest", "ipv6.conf.inner.accept_dad", 0)
        lab.run("guest", "ip", "link", "set", "inner", "up")
        yield
    finally:
        os.close(lab.fds.pop("guest"))
        remove_netns(lab.netns("guest"))


def number(lab, node, device, addresses):
    for family, one in addresses.items():
        lab.run(node, "ip", "addr", "add", "%s/%d" % (one, LENGTH[family]), "dev", device)


def both_are_served(bench, server, mac=None):
    """The guest and the server, at the same port: the one by its kernel's own handshake, whose ACK
    the program sees, the other by cookie."""
    port, own = serve(bench)
    theirs = bench.keep(Server(bench.lab, port, echo, node="guest"))
    for family in (4, 6):
        with Proven(server, port, family=family, peer=GUEST[family]) as client:
            client.macs = client.macs[0], mac or client.macs[1]
            if mac:
                bench.lab.run("guest", "ip", "neigh", "replace", client.own, "lladdr",
                              client.macs[0], "dev", "inner", "nud", "permanent")
            forwarded, unproven = server.count("forwarded"), server.count("unproven")
            client.open()
            client.exchange(b"is it the guest?")
            client.reset()
            assert server.count("forwarded") > forwarded
            assert server.count("unproven") == unproven
        with server.grows("opened"), Proven(server, port, family=family) as client:
            client.send("A")
            client.exchange()
            client.reset()
    assert own.accepted == 2 and theirs.accepted == 2, (own.accepted, theirs.accepted)


@anywhere
def test_forwarded_to_a_guest(bench):
    """By routing; for IPv6 also where only all/forwarding says so."""
    lab, server = bench.lab, agent(bench)
    with lab.sysctls("server", {"ipv4.ip_forward": 1, "ipv6.conf.all.forwarding": 1}), \
            guest(lab, "outer", "type", "veth", "peer", "name", "inner"):
        lab.sysctl("server", "ipv6.conf.outer.accept_dad", 0)
        lab.run("server", "ip", "link", "set", "outer", "up")
        number(lab, "server", "outer", HOST)
        number(lab, "guest", "inner", GUEST)
        for family in (4, 6):
            lab.run("guest", "ip", "-%d" % family, "route", "add", "default", "via", HOST[family])
        both_are_served(bench, server)
        lab.sysctl("server", "ipv6.conf.eth0.forwarding", 0)
        both_are_served(bench, server)


@anywhere
def test_beside_a_guest(bench):
    """By macvlan, on the server's own interface and with a MAC address of its own; nothing is
    forwarded."""
    lab, server = bench.lab, agent(bench)
    with guest(lab, "link", "eth0", "name", "inner", "type", "macvlan", "mode", "bridge"):
        number(lab, "guest", "inner", GUEST)
        for family, own in ((4, "198.51.100.0/24"), (6, "2001:db8:1::/64")):
            lab.run("guest", "ip", "-%d" % family, "route", "add", own, "dev", "inner")
        both_are_served(bench, server, lab.mac("guest", "inner"))
