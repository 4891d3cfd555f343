#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/demo: a SYN flood against a web server, bare and behind synfront.

The engine's worker has the last CPU; flood, clients, server and this program share the first.
Clients and server have it whenever they want it, and leave the flood most of it. The engine has
a nice value instead: a worker that is never out of work would be taken off its CPU for 50 ms of
each second if it were a realtime thread (sched(7), sched_rt_runtime_us), and frames are lost
in that time.
"""

import signal

# Until there is a lab, and with it something to remove, Ctrl-C just ends this.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse  # noqa: E402
import contextlib  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import shlex  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))

import closing  # noqa: E402
from clients import REALTIME  # noqa: E402
from engines import BUILD, Wire  # noqa: E402
from fast_flood import CPUS, SHARED_CPU, FastFlood, command, count, prepare  # noqa: E402
from lab import SERVER, Lab, address, wait_for  # noqa: E402
from load import Load  # noqa: E402
from picture import picture  # noqa: E402
from ports import engine, reason, steer  # noqa: E402
from screen import Screen, table  # noqa: E402
from search import Search, Trial  # noqa: E402
from story import Act, Sample, point, thousands  # noqa: E402
from traffic import Nginx  # noqa: E402

URL = "http://%s/hello" % address(SERVER)
PACE = 50  # requests per second
PATIENCE_S = 4
SAMPLE_S = 0.5
# The bare server gets a hundredth of the flood.
FRACTION = 100
BACKLOG_FULL = 64
ARRIVALS = 1000

# Seconds: of each act, and for finding out what the ports carry.
LONG = {"calm": 3, "bare": 12, "cookies": 8, "guarded": 25, "after": 8, "search": 10}
SHORT = {"calm": 1, "bare": 3, "cookies": 4, "guarded": 7, "after": 4, "search": 5}


def realtime(pid, number, policy=os.SCHED_FIFO):
    """A process has the CPU whenever it wants it, where that may be asked for."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(pid, policy, os.sched_param(number))


@contextlib.contextmanager
def on(cpus):
    """What starts in this block keeps to these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Clients:
    """clients.py in the client's namespace, and what has become of its requests."""

    def __init__(self, lab, number):
        self.process = lab.spawn(
            "client", "clients", "/usr/bin/python3", os.path.join(HERE, "clients.py"),
            address(SERVER), "80", "/hello", str(PACE), str(number), str(PATIENCE_S))
        self.log = open(self.process.log, errors="replace")
        self.log.seek(self.process.begin)
        self.rest = ""

    def news(self):
        """Requests that have ended since: what the good ones took, and what the others say."""
        lines = (self.rest + self.log.read()).split("\n")
        self.rest = lines.pop()
        rows = [line.split(" ", 2) for line in lines]
        for row in rows:
            if len(row) != 3 or not row[0][:1].isdigit():
                raise RuntimeError("the clients say: " + " ".join(row))
        return ([float(row[1]) for row in rows if row[2] == "good"],
                [row[2] for row in rows if row[2] != "good"])

    def running(self):
        return self.process.running()

    def close(self, lab):
        lab.end(self.process)
        self.log.close()


class Speed:
    """How fast a count grows, since it was last asked."""

    def __init__(self, read):
        self.read = read
        self.last = read(), time.monotonic()

    def __call__(self):
        now = self.read(), time.monotonic()
        speed = (now[0] - self.last[0]) / max(now[1] - self.last[1], 1e-6)
        self.last = now
        return speed


class Demo:
    def __init__(self, lab, options, screen):
        self.lab, self.screen = lab, screen
        self.seconds = SHORT if options.short else LONG
        self.ports = "TAP" if options.tap else "AF_XDP"
        self.asked_cookies = options.cookies
        self.n_acts = 6 if options.cookies else 5
        self.acts = {}
        self.failed_checks = []
        self.engine = None

    def check(self, what, is_good):
        if not is_good:
            self.failed_checks.append(what)

    # Before the acts

    def prepare(self):
        self.screen.say("A client, an attacker and a web server, each in a network namespace.",
                        "bold")
        self.screen.wait("starting them")
        prepare(self.lab)
        self.nginx = Nginx(self.lab)
        self.favour_nginx()
        self.lab.sysctl("server", "ipv4.tcp_syncookies", 0)
        self.guard()
        self.rate = self.find_rate()
        self.screen.scale = self.rate * 1.1

    def favour_nginx(self):
        pid = self.nginx.process.popen.pid
        children = "/proc/%d/task/%d/children" % (pid, pid)
        with open(children) as file:
            for child in [pid] + [int(each) for each in file.read().split()]:
                realtime(child, REALTIME)

    def guard(self):
        """Put synfront in front of the server."""
        self.screen.wait("starting synfront")
        with on(CPUS):
            if self.ports == "AF_XDP":
                try:
                    self.engine = self.lab.insert(engine(self.ports))
                    return
                except (RuntimeError, TimeoutError) as error:
                    self.lab.remove()
                    self.screen.say("AF_XDP cannot be had here, so the ports are TAPs, which carry"
                                    " less. It said: %s" % reason(error), "yellow")
                    self.ports = "TAP"
            self.engine = self.lab.insert(engine(self.ports))

    def restart_server(self):
        """What it holds half-open would stay for a minute, and is no matter of the next acts."""
        self.screen.wait("restarting the server")
        self.nginx.end()
        # Where the kernel cannot do this, the connections go at their next timeout.
        self.lab.run("server", "ss", "-K", "state", "syn-recv", check=False)
        self.nginx.begin()
        self.favour_nginx()
        wait_for("the server's backlog to empty", lambda: not self.half_open(), 60, 0.1)

    def find_rate(self):
        """What the flood will be: a part of what the ports carry."""
        begun = time.monotonic()
        self.screen.wait("finding out what the ports of this machine carry")
        if not self.screen.is_live:
            self.screen.say("Finding out what the ports of this machine carry, in %d s at most."
                            % self.seconds["search"])
        with FastFlood(self.lab, self.ports, 0):
            wait_for("the flood to arrive", lambda: self.received() > ARRIVALS)
            speed = Speed(self.received)
            time.sleep(1.2)
            most = speed()
        found = Search(most, self.attempt, begun + self.seconds["search"] - time.monotonic())
        self.screen.say(found.says())
        return found.rate

    def attempt(self, rate):
        with FastFlood(self.lab, self.ports, rate) as flood:
            begun, sent, arrived = time.monotonic(), flood.sent(), self.received()
            clients = Clients(self.lab, PACE)
            time.sleep(1.2)
            sent, arrived = flood.sent() - sent, self.received() - arrived
            due = rate * (time.monotonic() - begun)
            taken, failures = clients.news()
            clients.close(self.lab)
        return Trial(due, sent, arrived, point(taken, 0.95), len(taken), len(failures))

    def calm_down(self):
        wait_for("the end of cookie mode",
                 lambda: not self.engine.service("demo")["cookie_mode"], 90, 0.1)

    def received(self):
        return self.engine.counters()["syn_received"]

    def answered(self):
        return self.engine.counters()["syn_ack_sent"]

    def sent(self):
        return count(self.lab, "attacker", "tx")

    def back(self):
        return count(self.lab, "attacker", "rx")

    def half_open(self):
        """Connections in SYN-RECEIVED at the server, from its own table."""
        with self.lab.inside("server"), open("/proc/thread-self/net/tcp") as file:
            return sum(line.split()[3] == "03" for line in file)

    # The acts

    def play(self, act, seconds, note):
        """Requests for some seconds, until the last one has ended; a sample each half second."""
        self.acts[act.key] = act
        act.title = "%d of %d: %s" % (len(self.acts), self.n_acts, act.title)
        if not self.screen.is_live:
            self.screen.say()
            self.screen.say(act.title)
            self.screen.say("  " + note)
        syns, answers = (self.received, self.answered) if act.is_guarded else (self.sent, self.back)
        load = Load(self.engine.process.popen.pid) if act.is_guarded else None
        clients = Clients(self.lab, int(PACE * seconds))
        counts = syns(), self.sent(), self.back()
        speeds = Speed(syns), Speed(answers)
        begun = due = last = time.monotonic()
        running = True
        while running:
            due = max(due + SAMPLE_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            running = clients.running()
            taken, failures = clients.news()
            now = time.monotonic()
            act.failures += failures
            act.samples.append(Sample(now - begun, speeds[0](), speeds[1](), self.half_open(),
                                      taken, len(failures), now - last))
            last = now
            self.screen.show(act, note)
        act.n_arrived, act.n_sent, act.n_back = (
            now - before for now, before in zip((syns(), self.sent(), self.back()), counts))
        if load:
            act.waited, act.stolen = load.waited(), load.stolen()
        clients.close(self.lab)
        self.conclude(act)

    def conclude(self, act):
        """What remains of an act when the next one begins."""
        text = "%s: %s of %s requests answered" % (act.title, thousands(act.n_good),
                                                   thousands(act.n_requests))
        self.screen.say(text, "red" if act.n_failed else "green")

    def bare(self):
        self.screen.wait("taking synfront away")
        self.engine = None
        self.lab.insert(Wire())
        self.play(Act("bare-calm", "the bare server, calm", False, False),
                  self.seconds["calm"], "No flood, and nothing in front of the server.")
        with FastFlood(self.lab, self.ports, max(100, self.rate / FRACTION)):
            wait_for("the server's backlog to fill", lambda: self.half_open() >= BACKLOG_FULL, 20)
            self.play(Act("bare", "the bare server in a small flood", False, True,
                          "SYN cookies off"), self.seconds["bare"], "Without SYN cookies it keeps "
                      "each SYN of a source that does not exist for a minute.")
        calm, flooded = self.acts["bare-calm"], self.acts["bare"]
        self.check("requests succeed on the calm network", not calm.failures)
        self.check("the flood makes requests to the bare server fail",
                   flooded.n_failed > flooded.n_requests / 2)

    def cookies(self):
        """What the server's kernel does by itself, with as much CPU as synfront has after it."""
        self.restart_server()
        if not steer(self.lab, "w-in", CPUS[-1]):
            self.n_acts -= 1
            self.screen.say("The act with the server's SYN cookies is left out: here it cannot be "
                            "told which CPU they have (rps_cpus).", "yellow")
            return
        with self.lab.sysctls("server", {"ipv4.tcp_syncookies": 1}), \
                FastFlood(self.lab, self.ports, self.rate):
            wait_for("the server's backlog to fill", lambda: self.half_open() >= BACKLOG_FULL, 20)
            self.play(Act("cookies", "the bare server by its own SYN cookies", False, True,
                          "SYN cookies on"), self.seconds["cookies"],
                      "All that the attacker can send. The kernel answers by cookies, and has the "
                      "CPU for it that synfront will have.")

    def guarded(self):
        self.restart_server()
        self.guard()
        self.play(Act("calm", "behind synfront, calm", True, False), self.seconds["calm"],
                  "synfront answers each SYN, and opens the server when the client has proved "
                  "itself.")
        self.before = self.engine.counters()
        with FastFlood(self.lab, self.ports, self.rate):
            wait_for("cookie mode", lambda: self.engine.service("demo")["cookie_mode"], 20)
            self.play(Act("flood", "behind synfront, %d times that flood" % FRACTION,
                          True, True), self.seconds["guarded"],
                      "Cookie mode: nothing is kept of a SYN, and the server never sees one.")
        self.play(Act("after", "behind synfront, the flood is over", True, False),
                  self.seconds["after"], "It leaves cookie mode when the half-open connections of "
                  "the flood's beginning have expired.")
        self.calm_down()
        self.check("requests succeed through synfront on the calm network",
                   not self.acts["calm"].failures)
        self.check("no request fails behind synfront", not self.acts["flood"].failures)
        self.check("requests succeed after the flood", not self.acts["after"].failures)

    # The end

    def close(self):
        """The table of both, and whether all was as it should be."""
        end = self.engine.counters()
        grown = {name: value - self.before[name] for name, value in end.items()}
        flood = self.acts["flood"]
        self.check("every SYN was answered", grown["syn_ack_sent"] >= 0.999 * grown["syn_received"])
        self.check("cookies opened the connections in the flood",
                   grown["cookies_checked"] > 0 and grown["opened"] >= flood.n_good)
        self.check("cookie mode was entered and left",
                   grown["cookie_mode_entered"] == grown["cookie_mode_left"] > 0)
        self.screen.say()
        for line in table(closing.rows(self.acts)):
            self.screen.put(line)
        self.screen.say()
        for line in closing.account(self.acts, grown, self.asked_cookies):
            self.screen.say(line)
        for what in self.failed_checks:
            self.screen.say("NOT SO: " + what, "red")
        self.screen.say("The demo %s." % ("failed" if self.failed_checks else "succeeded"), "bold")
        return not self.failed_checks

    def footer(self):
        return "scripts/demo on %d CPUs, Linux %s, %s ports, %s" % (
            len({CPUS[0], CPUS[-1]}), platform.release().split("-")[0], self.ports,
            time.strftime("%Y-%m-%d"))

    def stay(self):
        """--keep."""
        def inside(node):
            return "ip netns exec %s" % self.lab.netns(node)

        control = os.path.join(BUILD, "app/synfrontctl")
        for line in (
                "", "The lab stays until Ctrl-C. In another terminal, from this directory:",
                "  %s curl %s" % (inside("client"), URL),
                "  %s env LIBXDP_SKIP_DISPATCHER=1 %s" % (inside("attacker"), shlex.join(
                    command(self.lab, self.ports, self.rate, seconds=30))),
                "  %s --instance %s --watch 1 stats" % (control, self.engine.tag),
                "  %s --instance %s services" % (control, self.engine.tag),
                "  dpdk-telemetry.py -f %s" % self.engine.tag,
                "  %s tcpdump -ni eth0 tcp" % inside("server")):
            self.screen.put(line)
        with contextlib.suppress(SystemExit):  # by Ctrl-C
            while True:
                time.sleep(3600)


def run(options, screen):
    # What is drawn comes in time, too; what this starts does not inherit it.
    realtime(0, 1, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK)
    with on({SHARED_CPU}), Lab() as lab:
        demo = Demo(lab, options, screen)
        demo.prepare()
        demo.bare()
        if options.cookies:
            demo.cookies()
        demo.guarded()
        good = demo.close()
        if options.svg:
            with open(options.svg, "w") as file:
                file.write(picture(demo.acts.values(), demo.footer()))
        if options.keep:
            demo.stay()
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--cookies", action="store_true")
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--svg", metavar="FILE")
    options = parser.parse_args()
    screen = Screen(sys.stdout)
    try:
        return run(options, screen)
    except SystemExit as end:
        screen.say("Stopped. The lab is removed.")
        return end.code
    except (RuntimeError, TimeoutError) as error:
        screen.put("The demo cannot go on: %s" % error, "red")
        return 1
    finally:
        screen.close()


if __name__ == "__main__":
    sys.exit(main())
