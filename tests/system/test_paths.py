# SPDX-License-Identifier: BSD-3-Clause
"""Routers inside that choose among several paths, and what they choose by."""

import contextlib
import os

from bench import anywhere
from lab import SERVER, address, remove_netns, wait_for
from servers import Server, ask, dial, echo

SHARED = 30  # the host that both servers are
N_CONNECTIONS = 40


@contextlib.contextmanager
def two_servers(lab):
    """The server becomes a router before two others that have one address, in IPv6: it shares
    flows out by what the kernel goes by if nobody says otherwise, addresses and flow label."""
    nodes = ("left", "right")
    shared = address(SHARED, 6)
    with lab.sysctls("server", {"ipv6.conf.all.forwarding": 1,
                                "ipv6.fib_multipath_hash_policy": 0}):
        try:
            hops = []
            for number, node in enumerate(nodes, 0xa1):
                lab.make_netns(node)
                near, far = ("2001:db8:%x::%d" % (number, host) for host in (1, 2))
                lab.run("server", "ip", "link", "add", "to-" + node, "type", "veth",
                        "peer", "name", "eth0", "netns", lab.netns(node))
                lab.run("server", "ip", "link", "set", "to-" + node, "up")
                lab.run("server", "ip", "addr", "add", near + "/64", "dev", "to-" + node, "nodad")
                for device in ("lo", "eth0"):
                    lab.run(node, "ip", "link", "set", device, "up")
                lab.run(node, "ip", "addr", "add", far + "/64", "dev", "eth0", "nodad")
                lab.run(node, "ip", "addr", "add", shared + "/128", "dev", "lo", "nodad")
                lab.run(node, "ip", "-6", "route", "add", "default", "via", near)
                hops += ["nexthop", "via", far]
            lab.run("server", "ip", "-6", "route", "add", shared + "/128", *hops)
            lab.run("client", "ip", "-6", "route", "add", shared + "/128", "via",
                    address(SERVER, 6))
            yield nodes
        finally:
            lab.run("client", "ip", "-6", "route", "del", shared + "/128", check=False)
            for node in nodes:
                if node in lab.fds:
                    os.close(lab.fds.pop(node))
                    remove_netns(lab.netns(node))


@anywhere
def test_router_that_hashes_flow_labels(bench):
    """What is sent for a client meets the server that its own segments meet."""
    port = bench.port("state")
    with contextlib.ExitStack() as stack:
        nodes = stack.enter_context(two_servers(bench.lab))
        servers = [stack.enter_context(Server(bench.lab, port, echo, node=node)) for node in nodes]
        wait_for("the routes to be in use", lambda: "1 received" in bench.lab.run(
            "client", "ping", "-6", "-c1", "-W1", address(SHARED, 6), check=False))
        before = bench.count("connected")
        lost = []
        for number in range(N_CONNECTIONS):
            try:
                with dial(bench.lab, port, 6, host=SHARED, timeout=10) as connection:
                    for _ in range(3):
                        ask(connection, b"x" * 3000)
            except OSError as error:
                lost.append((number, error))
        assert not lost, lost
        assert all(server.accepted > N_CONNECTIONS / 8 for server in servers), \
            [server.accepted for server in servers]
        if bench.is_synfront:
            assert bench.count("connected") - before > N_CONNECTIONS / 2
