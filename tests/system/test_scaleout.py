# SPDX-License-Identifier: BSD-3-Clause
"""Front ends on parallel wires between two routers: any of them may go at any time, and no
connection with it."""

import os
import shutil
import signal
import time

from engines import BUILD
from farm import BFD_MS, ENGINE, OUTER4, WIRES
from farm_load import FLOOD_PER_S, N_REGULARS, Regulars, crowded, farm_of, gap, only_long, settle
from lab import wait_for
from traffic import Flood

BRINGS_ENGINES = True

# What an upgrade brings: a second service.
NEXT = ENGINE.replace("limits:\n", """  - name: next
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [8080]
    mode: handoff
limits:
""")


def goes_and_comes_back(bench, farm, regulars, number, leave, routing):
    gap(regulars)
    begun = time.time()
    come_back = leave(farm, number)
    wait_for("wire %d to be out of use" % number, lambda: not farm.uses(number))
    settle(regulars)
    gone = farm.losses(begun)
    # By the router and family that noticed last; and other wires, which nobody touched.
    bench.record("scaleout", routing=routing, how=leave.__name__, wire=number,
                 out_of_use_s=round(max(loss[0] for loss in gone if loss[3] == number) - begun, 3),
                 others=sum(loss[3] != number for loss in gone), gap_s=round(gap(regulars), 3),
                 lost=sum(len(all_of_them.lost) for all_of_them in regulars))
    come_back()
    farm.wait_in_use(number)
    settle(regulars)


def killed(farm, number):
    farm.engines[number].end(signal.SIGKILL)
    return farm.engines[number].launch


def stopped(farm, number):
    farm.engines[number].end()
    return farm.engines[number].launch


def unplugged(farm, number):
    """The link of a front end to one of the routers goes down."""
    node, side = "wire%d" % number, "inside" if number % 2 else "outside"
    farm.run(node, "ip", "link", "set", side, "down")
    return lambda: farm.run(node, "ip", "link", "set", side, "up")


WAYS = (killed, stopped, unplugged)


def test_front_ends_go(bench):
    """Each front end goes and comes back, each in another way; --long: in every way, and
    by FRR too."""
    for routing in ("bird", "frr") if bench.options.long else ("bird",):
        ways = [WAYS] * len(WIRES) if bench.options.long else [(way,) for way in WAYS]
        with crowded(bench, routing) as (farm, regulars, _):
            for number, these in zip(WIRES, ways):
                for leave in these:
                    goes_and_comes_back(bench, farm, regulars, number, leave, routing)


def test_no_wire_is_left(bench):
    """For some seconds no wire is in use, as when a router is too busy for BFD: clients go on when
    they are back, and nobody has been told of another way."""
    for routing in ("bird", "frr") if bench.options.long else ("bird",):
        with farm_of(bench, routing) as (farm, _, _), Regulars(farm, 40) as regulars:
            regulars.settle()
            plugs = [unplugged(farm, number) for number in WIRES]
            for number in WIRES:
                wait_for("wire %d to be out of use" % number, lambda: not farm.uses(number))
            time.sleep(1)
            for plug in plugs:
                plug()
            for number in WIRES:
                farm.wait_in_use(number)
            regulars.settle()
            assert not regulars.lost, regulars.lost
            said = farm.run("client", "ip", "route", "get", "198.51.100.10")
            assert "via " + OUTER4 in said, said


def test_bfd_intervals(bench):
    """What other intervals of BFD than the samples' gain and cost: how soon a dead front end is out of
    use, and how often wires are that nobody touched. No connection is lost by any of them."""
    only_long(bench)
    for bfd_ms in (10, 20, BFD_MS, 100, 300):
        with farm_of(bench, "bird", bfd_ms=bfd_ms) as (farm, _, _), \
                Flood(farm, FLOOD_PER_S, 300), Regulars(farm, N_REGULARS) as regulars:
            regulars.settle()
            begun = time.time()
            time.sleep(15)
            untouched = len(farm.losses(begun))
            regulars.gap()
            begun = time.time()
            farm.engines[1].end(signal.SIGKILL)
            wait_for("wire 1 to be out of use", lambda: not farm.uses(1))
            regulars.settle()
            gone = max(loss[0] for loss in farm.losses(begun) if loss[3] == 1)
            bench.record("bfd", interval_ms=bfd_ms, out_of_use_s=round(gone - begun, 3),
                         gap_s=round(regulars.gap(), 3), untouched_in_15_s=untouched)
            assert not regulars.lost, regulars.lost


def test_agent_starts_again(bench):
    """The servers' agent is replaced while clients come by cookie."""
    with crowded(bench, "bird") as (_, regulars, agent):
        for number in (signal.SIGTERM, signal.SIGKILL):
            agent.end(number)
            settle(regulars)
            agent.begin()
            settle(regulars)


def test_rolling_upgrade(bench):
    """Every front end is replaced by another build with another configuration, in a flood, one
    after the other: the routers take its wire out of use, it is stopped, and the new one comes."""
    only_long(bench)
    for routing in ("bird", "frr"):
        with crowded(bench, routing) as (farm, regulars, _):
            build = os.path.join(farm.work, "next")
            os.makedirs(os.path.join(build, "app"))
            shutil.copy(os.path.join(BUILD, "app/synfront"), os.path.join(build, "app"))
            for number in WIRES:
                gap(regulars)
                begun = time.time()
                upgrade(farm, number, build)
                settle(regulars)
                others = sum(loss[3] != number for loss in farm.losses(begun))
                bench.record("upgrade", routing=routing, wire=number, others=others,
                             gap_s=round(gap(regulars), 3),
                             lost=sum(len(all_of_them.lost) for all_of_them in regulars))


def upgrade(farm, number, build):
    front = farm.engines[number]
    farm.drain(number)
    wait_for("wire %d to have nothing more of the services" % number, at_rest(front), 10, 0.5)
    assert front.end() == 0, front.process.output()
    front.build = build
    front.write(NEXT)
    front.launch()
    assert os.readlink("/proc/%d/exe" % front.process.popen.pid).startswith(build)
    assert front.service("next")["mode"] == "handoff"
    farm.put_back(number)
    wait_for("wire %d to have something of the services" % number,
             lambda: front.counters()["passed_handoff"] > 0)


def at_rest(front):
    """A function that is true when nothing has passed since it was asked before."""
    last = [None]

    def rests():
        before, last[0] = last[0], front.counters()["passed_handoff"]
        return before == last[0]

    return rests
