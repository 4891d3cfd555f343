# SPDX-License-Identifier: BSD-3-Clause
"""What a scrape of `synfrontctl metrics` each second costs the throughput, and how many series it has.

Slots of a fifth of a second follow each other, four a round and in an order that is drawn for each:
without a scrape, without one again, with one, and with one after another. What packets a slot has
is held against the first kind's of its round. The second kind costs nothing, and so shows what this
machine can tell apart. One scrape after another gives the cost of one a second as the loss by their
number in a second: through so many times less noise, and that is what the bar is for.

Where control and synfrontctl have a CPU of their own they cannot keep the worker from its own, but
may slow it down (caches, interrupts between CPUs). There packets are counted by the CPU time that
the worker had, so that a machine that is busy with something else blurs less; where they share its
CPU, by the clock.
"""

import math
import random
import re
import time

from self_fed import CTL, SERVICES_MOST, SelfFed
from stage import ENGINE_CPU, GENERATOR_CPU, Stage, median, synfront

COST_MOST = 0.1  # per cent
SERIES_MOST, WORKERS = 3000, 16
SLOT_S = 0.2
OFF, AGAIN, ONE, MANY = "none", "none again", "one", "many"

# (what, CPU of the control's threads, CPU of synfrontctl)
PLACES = (("control and synfrontctl on another CPU", GENERATOR_CPU, GENERATOR_CPU),
          ("control on the worker's CPU", ENGINE_CPU, GENERATOR_CPU),
          ("control and synfrontctl on the worker's CPU", ENGINE_CPU, ENGINE_CPU))

# As many series as there can be: all services under observe, two ports.
FULL = """
ports:
  outside: { device: "net_tap0,iface=outside" }
  inside: { device: "net_tap1,iface=inside" }
workers: { count: %d, idle: auto }
memory: { connections: 64k, half_open: 8k, sources: 4k }
services:
%s
instance: @TAG@
eal:
  hugepages: off
"""
FULL_SERVICE = "  - {name: service-%d, addresses: 198.18.%d.0/24, ports: all, mode: proxy, observe: true}"


def of_middle(values):
    """The median, and the ends of its interval of 95 % by the sign test: the values that are as far
    from both ends in order as 1.96 standard deviations of a binomial half leave."""
    values = sorted(values)
    n = len(values)
    edge = max(math.floor(n / 2 - 0.98 * math.sqrt(n)), 0)
    return median(values), values[edge], values[n - 1 - edge]


class Slots:
    """Slots of one engine in one place."""

    def __init__(self, fed, cpu, apart):
        self.fed, self.cpu, self.apart = fed, cpu, apart
        self.client_s = []

    def slot(self, arm):
        """(packets per second, scrapes per second) of one slot."""
        packets, cpu_s = self.fed.worker_so_far()
        begin = time.monotonic()
        end = begin + SLOT_S
        scrapes = 0
        while arm in (ONE, MANY) and time.monotonic() < end:
            self.client_s.append(self.fed.ctl("metrics", cpu=self.cpu)[1])
            scrapes += 1
            if arm == ONE:
                break
        time.sleep(max(end - time.monotonic(), 0))
        more_packets, more_cpu_s = self.fed.worker_so_far()
        took = time.monotonic() - begin
        spent = more_cpu_s - cpu_s if self.apart else took
        return (more_packets - packets) / spent if spent > 0 else 0, scrapes / took

    def rounds(self, number):
        """A list of {arm: what its slot has}, of those rounds in which the worker ran in each slot:
        on a machine that is busy with something else it may have to wait for longer than that."""
        order, draw = [OFF, AGAIN, ONE, MANY], random.Random(number)
        found = []
        for _ in range(number):
            draw.shuffle(order)
            one = {arm: self.slot(arm) for arm in order}
            if all(rate > 0 for rate, _ in one.values()):
                found.append(one)
        if not found:
            raise RuntimeError("the worker does not get its CPU")
        return found

    def control_s(self, number):
        """CPU time of the engine's control for one scrape, in seconds."""
        before = self.fed.control_cpu()
        for _ in range(number):
            self.fed.ctl("metrics", cpu=self.cpu)
        return (self.fed.control_cpu() - before) / number


def cost(rounds, arm):
    """Per cent of the throughput that one scrape a second takes: median and interval."""
    return of_middle([100 * (1 - one[arm][0] / one[OFF][0]) / (one[arm][1] or 1)
                      for one in rounds])


def throughput(results, fed, place, number):
    what, control, client = place
    fed.place_control(control)
    apart = ENGINE_CPU not in (control, client)
    slots = Slots(fed, client, apart)
    rounds = slots.rounds(number)
    control_s, client_s = slots.control_s(20), median(slots.client_s)
    again, one, many = (cost(rounds, arm) for arm in (AGAIN, ONE, MANY))
    rate = median([each[OFF][0] for each in rounds]) / 1e6
    results.row("scrape", "cost of one each second, " + what, many[0] / COST_MOST,
                1.0 if apart else None, True, many[0], COST_MOST, "%", "what is allowed",
                "%.4f to %.4f of %.1f a second; one a slot %.2f (%.2f to %.2f), none %.2f (%.2f to %.2f);"
                " %d rounds, %.2f Mpps" % (
                    many[1], many[2], median([each[MANY][1] for each in rounds]), *one, *again,
                    len(rounds), rate),
                rounds=rounds, again=again, one=one, many=many)
    seconds = control_s + (client_s if client == ENGINE_CPU else 0)
    results.row("scrape", "CPU time of one, " + what, ours=1e3 * (control_s + client_s), unit="ms",
                note="control %.2f ms, synfrontctl %.2f ms; of the worker's CPU %.3f %%" % (
                    1e3 * control_s, 1e3 * client_s,
                    100 * seconds if control == ENGINE_CPU else 0))


def series(results, stage):
    """Of an engine with all that makes series."""
    engine = synfront(stage, "dut", "full", FULL % (WORKERS, "\n".join(
        FULL_SERVICE % (i, i) for i in range(SERVICES_MOST))))
    try:
        text = stage.run("dut", CTL, "--instance", engine.tag, "metrics")
    finally:
        engine.end()
    number = len(re.findall(r"(?m)^[^#\n]", text))
    assert 'worker="%d"' % (WORKERS - 1) in text and "service-%d" % (SERVICES_MOST - 1) in text
    results.row("scrape", "series, %d services observed, %d workers" % (SERVICES_MOST, WORKERS),
                number / SERIES_MOST, 1.0, True, number, SERIES_MOST, "", "what is allowed",
                "%d bytes" % len(text))


def run(results, quick):
    with Stage("dut") as stage:
        series(results, stage)
        fed = SelfFed(stage)
        try:
            for place in PLACES:
                throughput(results, fed, place, 5 if quick else 150)
        finally:
            fed.end()
