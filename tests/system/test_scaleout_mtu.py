# SPDX-License-Identifier: BSD-3-Clause
"""The size of packets on a farm: what its wires carry, and who is told of what they do not."""

import contextlib
import hashlib
import itertools

from farm import CLIENT4, LAN6, WIRES
from farm_load import farm_of, only_long
from lab import SERVER, address
from servers import Both, Server, dial, exchange
from test_scaleout_secrets import COOKIES

BRINGS_ENGINES = True

JUMBO = 9000
SIZE = 1 << 20
HEADERS = {4: 28, 6: 48}
# 1900: more than an AF_PACKET port is told, less than a slot of its ring holds.
MTUS = (1400, 1500, 1900)


def test_mtu_of_wires(bench):
    """The largest packet crosses; one byte more, and the router before the wire says so."""
    only_long(bench)
    with farm_of(bench, "bird") as (farm, _, _):
        for mtu in MTUS:
            set_mtu(farm, mtu)
            for node in ("client", "server"):
                forget(farm, node)
            for family, (node, host) in itertools.product((4, 6), (("client", server_of),
                                                                   ("server", client_of))):
                told = ping(farm, node, host(family), family, mtu + 1)
                assert "0 received" in told and ("mtu = %d" % mtu in told or "mtu=%d" % mtu in told), told
                assert "1 received" in ping(farm, node, host(family), family, mtu)
            bench.record("mtu", wires=mtu, crosses=mtu, one_more="the router says so")


def server_of(family):
    return address(SERVER, family)


def client_of(family):
    return CLIENT4 if family == 4 else LAN6 + "10"


def ping(farm, node, host, family, size):
    """One packet of this size that may not be fragmented: what ping says."""
    return farm.run(node, "ping", "-%d" % family, "-c1", "-W2", "-M", "do", "-s",
                    str(size - HEADERS[family]), host, check=False)


def set_mtu(farm, wires):
    """Of the wires; everything around them carries more."""
    for node, device in (("client", "eth0"), ("attacker", "eth0"), ("outer", "to-client"),
                         ("outer", "to-attacker"), ("outer", "lan"), ("inner", "lan"),
                         ("server", "eth0")):
        farm.run(node, "ip", "link", "set", device, "mtu", str(JUMBO + 100))
    for number in WIRES:
        wire = "wire%d" % number
        for node, device in (("outer", wire), ("inner", wire), (wire, "outside"), (wire, "inside")):
            farm.run(node, "ip", "link", "set", device, "mtu", str(wires))


def test_narrow_paths(bench):
    """Where less fits through before or behind the front ends, who sends hears of it by ICMP over
    some wire, and goes on with smaller packets; by cookie, and both ways."""
    only_long(bench)
    with farm_of(bench, "bird", COOKIES) as (farm, _, agent):
        for router, hosts, told in (("inner", server_of, "client"), ("outer", client_of, "server")):
            for family in (4, 6):
                passed = farm.counted("passed_icmp")
                with narrow(farm, router, hosts(family), family):
                    both_ways(farm, family)
                    assert "mtu 1400" in farm.run(told, "ip", "-%d" % family, "route", "get", (
                        client_of if told == "server" else server_of)(family)), told
                now = farm.counted("passed_icmp")
                assert sum(now.values()) > sum(passed.values()), (router, family, now)
        assert agent.count("opened") >= 4


@contextlib.contextmanager
def narrow(farm, router, host, family):
    """A router has less room on its way to a host, as before a tunnel."""
    farm.run(router, "ip", "-%d" % family, "route", "replace", host, "dev", "lan", "mtu", "lock",
             "1400")
    yield
    farm.run(router, "ip", "-%d" % family, "route", "del", host, "dev", "lan")
    for node in ("client", "server"):
        forget(farm, node)


def forget(farm, node):
    """What a host has learned of paths."""
    for family in ("-4", "-6"):
        farm.run(node, "ip", family, "route", "flush", "cache")


def both_ways(farm, family):
    handler = Both(SIZE, 2)
    with Server(farm, 7000, handler), dial(farm, 7000, family) as connection:
        sent, received = exchange(connection, SIZE, 1)
        assert handler.done.wait(20) and handler.received == sent
        wanted = hashlib.sha256()
        for piece in handler.pieces():
            wanted.update(piece)
        assert received == wanted.hexdigest()
