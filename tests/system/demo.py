#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The three acts of scripts/demo."""

import argparse
import contextlib
import os
import statistics
import sys
import threading
import time

from engines import Synfront, Wire
from lab import Lab, ROOT, SERVER, address, wait_for
from traffic import Flood, Nginx, curl

URL = "http://%s/hello" % address(SERVER)
MEASURE_S = 3
PATIENCE_S = 4
ATTEMPTS = 4
RATE_MIN = 1000
# A flood is ended when its act is over; this only bounds it.
FLOOD_S = 180


def say(text=""):
    print(text, flush=True)


def act(title):
    say()
    say(title)
    say("-" * len(title))


class Requests:
    """curls, some at a time, in the background; latencies and failures."""

    def __init__(self, lab, total, at_once, gap=0.0):
        self.lab, self.total, self.gap = lab, total, gap
        self.begun, self.lock = 0, threading.Lock()
        self.latencies, self.failures = [], []
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(at_once)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while True:
            with self.lock:
                if self.begun == self.total:
                    return
                self.begun += 1
            good, seconds, said = curl(self.lab, URL, seconds=PATIENCE_S)
            with self.lock:
                if good:
                    self.latencies.append(seconds)
                else:
                    self.failures.append(said)
            time.sleep(self.gap)

    def running(self):
        return any(thread.is_alive() for thread in self.threads)

    def latency(self):
        """Median and worst in ms, as text."""
        if not self.latencies:
            return "none succeeded"
        return "median %.1f ms, worst %.1f ms" % (statistics.median(self.latencies) * 1e3,
                                                  max(self.latencies) * 1e3)

    def summary(self):
        return "%d of %d succeeded (%s)" % (len(self.latencies), self.total, self.latency())


class Demo:
    def __init__(self, lab, options):
        self.lab = lab
        self.n_requests = 20 if options.short else 60
        with open(os.path.join(ROOT, "config/demo.yaml")) as file:
            self.engine = Synfront(file.read().replace("synfront-demo", "@INSTANCE@"))
        self.failed_checks = []

    def check(self, what, is_good):
        if not is_good:
            self.failed_checks.append(what)

    def watch(self, requests, row):
        """One line a second until the requests are done."""
        while requests.running():
            time.sleep(1)
            say("  " + row() + "; requests %d good, %d failed" % (len(requests.latencies),
                                                                   len(requests.failures)))

    # Before the acts

    def prepare(self):
        say("A client, an attacker and a web server (nginx), each in a network namespace;")
        say("the server's own SYN cookies are off.")
        self.lab.insert(Wire())
        self.nginx = Nginx(self.lab)
        self.lab.sysctl("server", "ipv4.tcp_syncookies", 0)
        self.calm = Requests(self.lab, 20, 1)
        wait_for("the requests", lambda: not self.calm.running(), 120)
        say("Calm, no engine in between: " + self.calm.summary())
        self.check("requests succeed on the calm network", not self.calm.failures)

    def measure(self):
        """The highest rate that the TAP ports carry without losing a frame."""
        self.lab.insert(self.engine)
        with Flood(self.lab, 0, 30) as flood:
            sent, got, begun = flood.sent(), self.received(), time.monotonic()
            time.sleep(MEASURE_S)
            seconds = time.monotonic() - begun
            sent, got = (flood.sent() - sent) / seconds, (self.received() - got) / seconds
        say("Flat out, the attacker sends %s SYN/s, and the ports of this lab bring the engine"
            % thousands(sent))
        say("%s of them. Without losing any they carry less:" % thousands(got))
        rate = rounded(got)
        while not self.carries(rate) and rate > RATE_MIN:
            rate = rounded(rate * 0.8)
        self.rate = rounded(rate / 2)
        say("The flood will be of half that: %s SYN/s." % thousands(self.rate))

    def carries(self, rate):
        """Whether the engine gets all of a short flood of that rate, and its answers out."""
        lost, got = self.losses(), self.received()
        with Flood(self.lab, rate, FLOOD_S) as flood:
            time.sleep(MEASURE_S)
            sent = flood.end()
        with contextlib.suppress(TimeoutError):
            wait_for("the last SYNs", lambda: self.received() - got >= sent, 1)
        # More is lost than the ports say where a queue of the kernel overflows before them.
        lost = max(self.losses() - lost, sent - (self.received() - got))
        say("  %8s SYN/s for %d s: %s of %s lost" % (thousands(rate), MEASURE_S, thousands(lost),
                                                     thousands(sent)))
        return lost == 0

    def received(self):
        return self.engine.counters()["syn_received"]

    # The acts

    def bare(self):
        act("Act 1: the flood meets the bare server")
        self.lab.insert(Wire())
        with Flood(self.lab, self.rate, FLOOD_S) as flood:
            wait_for("the server's backlog to fill", lambda: self.backlog() >= 64, 20)
            self.before = Requests(self.lab, 8, 8)
            speed = Speed(flood.sent)
            self.watch(self.before, lambda: "flood %8s SYN/s, backlog of the server %4d half-open"
                       % (thousands(speed()), self.backlog()))
        say("In the flood, without synfront: " + self.before.summary())
        if self.before.failures:
            say("  " + self.before.failures[0])
        self.check("the flood makes requests to the bare server fail",
                   len(self.before.failures) > self.before.total / 2)

    def backlog(self):
        return len(self.lab.run("server", "ss", "-Htn", "state", "syn-recv").splitlines())

    def protected(self):
        act("Act 2: the same flood, with synfront in front")
        # What the server holds of act 1 is not this act's.
        wait_for("the backlog of the server to empty", lambda: self.backlog() == 0, 120)
        self.lab.insert(self.engine)
        quiet = Requests(self.lab, 20, 1)
        wait_for("the requests", lambda: not quiet.running(), 120)
        say("Calm, with synfront: " + quiet.summary())
        self.check("requests succeed through synfront on the calm network", not quiet.failures)
        for attempt in range(ATTEMPTS):
            self.flooded_act()
            if self.lost == 0 or self.after.failures or attempt == ATTEMPTS - 1:
                break
            # Not the engine's doing: something else had its CPU for too long.
            say("The ports lost %s frames: half was too much for this machine at this moment."
                % thousands(self.lost))
            wait_for("the end of cookie mode",
                     lambda: not self.engine.service("demo")["cookie_mode"], 90, 0.1)
            self.rate = rounded(self.rate * 2 / 3)
            say("Again, with %s SYN/s." % thousands(self.rate))
        say("In the flood, with synfront: " + self.after.summary())
        self.check("no request fails behind synfront", not self.after.failures)
        self.check("the ports lose nothing", self.lost == 0)

    def flooded_act(self):
        self.start = self.engine.counters()
        lost = self.losses()
        with Flood(self.lab, self.rate, FLOOD_S) as flood:
            wait_for("cookie mode", lambda: self.engine.service("demo")["cookie_mode"], 20)
            self.after = Requests(self.lab, self.n_requests, 2, 0.2)
            syns, answers = Speed(self.received), Speed(
                lambda: self.engine.counters()["syn_ack_sent"])
            self.watch(self.after, lambda: "%8s SYN/s in, %8s SYN-ACK/s out, %s, server's "
                       "backlog %d" % (thousands(syns()), thousands(answers()), self.mode(),
                                       self.backlog()))
            self.flooded = flood.end()
        self.lost = self.losses() - lost

    def mode(self):
        return "cookie mode" if self.engine.service("demo")["cookie_mode"] else "state mode"

    def losses(self):
        """Frames that the ports lost, before the engine or behind it."""
        lost = 0
        for device in ("sf-outside", "sf-inside"):
            lost += self.lab.link_counters("box", device)["tx"]["dropped"]
        for row in self.engine.report("ports"):
            lost += row["tx_full"] + row["port_missed"] + row["port_tx_errors"]
        return lost

    def aftermath(self):
        act("Act 3: the flood is over")
        begun = time.monotonic()
        wait_for("the end of cookie mode",
                 lambda: not self.engine.service("demo")["cookie_mode"], 90, 0.1)
        say("The service left cookie mode after %.1f s." % (time.monotonic() - begun))
        last = Requests(self.lab, 20, 1)
        wait_for("the requests", lambda: not last.running(), 120)
        say("Calm again, with synfront: " + last.summary())
        self.check("requests succeed after the flood", not last.failures)

    def close(self):
        end = self.engine.counters()
        grown = {name: value - self.start[name] for name, value in end.items()}
        act("What the engine counted in acts 2 and 3")
        for text, value in (
                ("SYNs sent by the flood", self.flooded),
                ("SYNs received", grown["syn_received"]),
                ("SYN-ACKs sent", grown["syn_ack_sent"]),
                ("cookies checked", grown["cookies_checked"]),
                ("connections opened", grown["opened"]),
                ("frames lost by the ports", self.lost),
                ("times in cookie mode", grown["cookie_mode_entered"])):
            say("  %-34s %12s" % (text, thousands(value)))
        for text, done in (("failed requests, bare server", self.before),
                           ("failed requests, behind synfront", self.after)):
            say("  %-34s %12s" % (text, "%d of %d" % (len(done.failures), done.total)))
        say("  %-34s %s" % ("latency, calm, bare server", self.calm.latency()))
        say("  %-34s %s" % ("latency in the flood, synfront", self.after.latency()))
        self.check("all SYNs of the flood were received", grown["syn_received"] >= self.flooded)
        self.check("cookies opened the connections in the flood",
                   grown["cookies_checked"] > 0 and grown["opened"] >= len(self.after.latencies))
        self.check("cookie mode was entered and left", grown["cookie_mode_entered"]
                   == grown["cookie_mode_left"] > 0)
        say()
        for what in self.failed_checks:
            say("NOT SO: " + what)
        say("The demo %s." % ("failed" if self.failed_checks else "succeeded"))
        return not self.failed_checks

    def stay(self):
        """--keep."""
        def inside(node):
            return "ip netns exec %s" % self.lab.netns(node)

        control = os.path.join(os.environ.get("SYNFRONT_BUILD", "build"), "app/synfrontctl")
        say()
        say("The lab stays until Ctrl-C. In another terminal, from this directory:")
        say("  %s curl %s" % (inside("client"), URL))
        say("  %s timeout 30 trafgen --no-sock-mem --notouch-irq --cpus 1 --conf %s --dev eth0"
            " --rate %dpps" % (inside("attacker"), os.path.join(self.lab.work, "flood1.cfg"),
                               self.rate))
        say("  %s --instance %s --watch 1 stats" % (control, self.engine.tag))
        say("  %s --instance %s services" % (control, self.engine.tag))
        say("  dpdk-telemetry.py -f %s" % self.engine.tag)
        say("  %s tcpdump -ni eth0 tcp" % inside("server"))
        while True:
            time.sleep(3600)


class Speed:
    """How fast a count grows, since it was last asked."""

    def __init__(self, count):
        self.count = count
        self.last = count(), time.monotonic()

    def __call__(self):
        now = self.count(), time.monotonic()
        speed = (now[0] - self.last[0]) / max(now[1] - self.last[1], 1e-6)
        self.last = now
        return speed


def rounded(rate):
    """A rate in whole thousands, but never none."""
    return max(RATE_MIN, int(rate) // 1000 * 1000)


def thousands(number):
    return "{:,}".format(int(number))


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    with Lab() as lab:
        demo = Demo(lab, options)
        demo.prepare()
        demo.measure()
        demo.bare()
        demo.protected()
        demo.aftermath()
        good = demo.close()
        if options.keep:
            demo.stay()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
