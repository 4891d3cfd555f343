# SPDX-License-Identifier: BSD-3-Clause
"""A whole attack as an operator goes through it: see before switching on, be told, look who it is,
act, ask why, and see it end. Clients are served all the while."""

import contextlib
import json
import os
import re
import threading
import time

from bench import thorough
from lab import prefix_address, wait_for
from servers import Server, ask, dial, echo
from test_capture import dissected
from test_control import ctl, health
from test_events import Told, paired
from test_lists import listed, said
from test_metrics import metrics_socket, prometheus
from test_observe import nothing_done, would
from traffic import ANYWHERE

BRINGS_ENGINES = True

SERVICE = "state"
NET = "203.0.113.0/24"
# A third of the flood is of the net, the rest of anywhere.
SOURCES = ANYWHERE + ["203, 0, 113, drnd(1)"] * (len(ANYWHERE) // 2)
RATE = 3000
DENIED_S = 20
# What is between the engine and who counts its answers is empty after this time.
UNDER_WAY_S = 1


class Clients:
    """Real ones, one after the other for the length of a block: each asks once and is served."""

    def __init__(self, bench, port):
        self.lab, self.port = bench.lab, port
        self.served, self.errors = 0, []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.is_over.wait(0.1):
            source = prefix_address(1 + self.served % 7)
            try:
                with dial(self.lab, self.port, source=source) as connection:
                    assert ask(connection, b"a client") == b"a client"
                self.served += 1
            except (OSError, AssertionError) as error:
                self.errors.append("%s after %d: %r" % (source, self.served, error))

    def well(self, step):
        """More of them have been served since, and not one was refused."""
        before = self.served
        wait_for("clients to be served: " + step,
                 lambda: self.errors or self.served > before + 1, 60)
        assert not self.errors, (step, self.errors)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(60)


def config(bench, observe):
    """`low` is so low that a second in which little comes does not end the flood."""
    return bench.config(replace=(
        ("  - name: state ", "  - name: state\n    observe: %s\n    denied: drop\n"
         "    half_open: {high: 512, low: 8}\n    #" % ("true" if observe else "false")),
        ("@WORK@/lists", "@WORK@/lists-of-attack")))


@contextlib.contextmanager
def steady_flood(bench, port):
    """trafgen sends what is due in a second at once and then waits: two of them, half a second
    apart, leave no second without a SYN, which would end cookie mode."""
    with bench.flood(RATE // 2, 150, port=port, sources=SOURCES):
        time.sleep(0.5)
        with bench.flood(RATE // 2, 150, port=port, sources=SOURCES):
            yield


@contextlib.contextmanager
def answers_counted(bench):
    """How many SYN-ACKs have come to the net that attacks."""
    with bench.nft("attacker", "counter answers {}\nchain come {\ntype filter hook prerouting "
                   "priority raw;\nip daddr %s tcp flags & (syn | ack) == (syn | ack) "
                   "counter name answers\n}"
                   % NET):
        yield lambda: int(re.search(r"packets (\d+)", bench.lab.run(
            "attacker", "nft", "list", "counters")).group(1))


def switch_on(told, fresh):
    """`check` says what the reload would change, and the reload returns when it has."""
    engine = told.engine
    engine.write(fresh)
    words = said(engine, "check", engine.path)
    assert "service %s: observe becomes false (was true)" % SERVICE in words, words
    assert len(words.splitlines()) == 2, words
    assert engine.service(SERVICE)["observe"] == 1
    assert "in force" in said(engine, "reload")
    assert engine.service(SERVICE)["observe"] == 0


def who_is_it(engine):
    """The heaviest prefixes of what is answered."""
    for pair in json.loads(said(engine, "--json", "talkers", "--service", SERVICE)):
        if pair["outcome"] == "answered_syn_cookie":
            return [talker["prefix"] for talker in pair["talkers"]]
    return []


def deny(bench, engine, answers, clients):
    """The net gets nothing any more, and why is said in a capture and by `explain`; until its time
    is over."""
    began = time.monotonic()
    said(engine, "deny", "add", NET, "--for", "%ds" % DENIED_S, "--why", "floods us")
    row, = listed(engine)
    assert row["prefix"] == NET and row["why"] == "floods us" and row["in_force"], row
    time.sleep(UNDER_WAY_S)
    before, dropped = answers(), engine.counters()["drop_denied"]
    file = os.path.join(bench.lab.work, "denied.pcapng")
    status, _, complaint = ctl(engine.tag, "capture", "--outcome", "drop_denied", "--count", "20",
                               "--seconds", "10", "-w", file)
    assert status == 0 and "20 frames written" in complaint, complaint
    words = json.loads(said(engine, "--json", "explain", "203.0.113.77", SERVICE))
    assert not words["admitted"] and words["syn"]["outcome"] == "drop_denied", words
    assert "lists      refuse it" in said(engine, "explain", "203.0.113.77", SERVICE)
    after, more = answers(), engine.counters()["drop_denied"]
    assert time.monotonic() - began < DENIED_S, "too slow to say anything"
    assert after == before and more > dropped + 20, (before, after, dropped, more)
    packets = dissected(file, "ip.src", "frame.comment")
    assert len(packets) == 20, packets
    for source, comment in packets:
        assert source.startswith("203.0.113."), packets
        assert re.match(r"drop_denied; row \S+; service %s; .*why: source in deny" % SERVICE,
                        comment), comment
    clients.well("with the net denied")
    wait_for("the end of what was denied", lambda: not listed(engine), DENIED_S + 10, 0.2)
    assert time.monotonic() - began > DENIED_S - 1
    wait_for("answers to the net again", lambda: answers() > after + 20)


@thorough
def test_a_whole_attack(bench):
    """Observe, switch on, flood, alert, hook, talkers, deny, capture, explain, the end; a client of
    each step is served, and one connection lives through all."""
    told = Told(bench, "attack", text=config(bench, True))
    lab, engine = bench.lab, told.engine
    port = bench.port(SERVICE)
    bench.keep(Server(lab, port, echo))
    on = told.text(**told.keys).replace("observe: true", "observe: false")

    with contextlib.ExitStack() as stack:
        api = [stack.enter_context(block) for block in
               (metrics_socket(lab, engine.tag), prometheus(lab))][1]
        answers = stack.enter_context(answers_counted(bench))
        clients = stack.enter_context(Clients(bench, port))
        held = stack.enter_context(dial(lab, port))

        def firing():
            return {alert["labels"]["alertname"] for alert in api("alerts")["alerts"]
                    if alert["state"] == "firing"}

        def lives():
            assert ask(held, b"still there?") == b"still there?"

        def green(step):
            wait_for("health to be green " + step,
                     lambda: health(engine.tag) == {"state": "ready", "reasons": []})

        # 1. What would it do?
        lives()
        clients.well("under observe")
        nothing_done(engine)
        assert would(engine, "answered_syn_state") + would(engine, "passed_syn") >= 3
        assert engine.counters()["passed_observed"] > 10
        green("under observe")

        # 2. On.
        switch_on(told, on)
        lives()
        clients.well("switched on")
        assert not told.of("flood") and not firing()

        # 3. The attack, of which the operator is told.
        with steady_flood(bench, port):
            first = told.until("flood", "begin", service=SERVICE)
            assert first["prefixes"][0]["prefix"] == NET, first
            clients.well("in the flood")
            lives()
            wait_for("the alert", lambda: "SynfrontFlood" in firing(), 60, 0.5)

            # 4. Who is it? What can be done? Why is it refused?
            wait_for("the net to be named", lambda: who_is_it(engine)[:1] == [NET])
            green("in the flood")
            deny(bench, engine, answers, clients)
            clients.well("in the flood, with nothing denied any more")
            assert engine.service(SERVICE)["cookie_mode"] == 1

        # 5. It is over.
        last = told.until("flood", "end", service=SERVICE, timeout=90)
        assert last["begin"] == first["number"] and last["syns"] > 5 * RATE, last
        wait_for("the alert to end", lambda: "SynfrontFlood" not in firing(), 30, 0.5)
        assert not firing(), firing()
        clients.well("after the flood")
        lives()
        green("after all")
    assert not clients.errors and clients.served > 20, (clients.served, clients.errors)
    events = told.everywhere()
    paired(events, all_over=True)
    # A worker that waited for a CPU of a busy machine is none of this.
    assert [(each["event"], each["state"]) for each in events
            if each["event"] != "worker_stalled"] == [
                ("reload", "once"), ("flood", "begin"), ("flood", "end")], events
    bench.record("a whole attack", clients=clients.served, syns=last["syns"],
                 seconds=last["seconds"])
    print("      %d clients served; %d SYNs in %.0f s" % (clients.served, last["syns"],
                                                        last["seconds"]))
