# SPDX-License-Identifier: BSD-3-Clause
"""Hand-off while something changes: calm begins or ends between the segments of a handshake, the
servers' agent comes, goes and is replaced. Whoever comes meanwhile is served."""

import contextlib
import itertools
import signal
import time

from scapy.layers.inet import TCP

from adopt import CONFIG, resets
from bench import Skip, thorough
from cookies import EPOCH_S
from farm_load import Newcomers
from lab import wait_for
from raw import PLAIN, USUAL, End
from servers import Server, echo
from test_adopt_engine import handed_over, prepared, text_of, url
from engines import Synfront
from traffic import curl

BRINGS_ENGINES = True

PORT = 7000
CALM = """services:
  - name: web
    addresses: [198.51.100.10, "2001:db8:1::10"]
    ports: [80, 443, 7000-9999]
    mode: handoff
    calm: transparent
    calm_syn_per_s: 400
"""
FLOOD_PER_S = 5000
OUTAGE_S = 300


class Switch:
    """Cookie mode on and off, by a flood."""

    def __init__(self, bench):
        self.bench = bench
        self.stack = contextlib.ExitStack()

    def on(self):
        entered = self.bench.counts("cookie_mode_entered")
        self.stack.enter_context(self.bench.flood(FLOOD_PER_S, 60))
        wait_for("cookie mode", entered)

    def off(self):
        left = self.bench.counts("cookie_mode_left")
        self.stack.close()
        wait_for("calm", left)

    def close(self):
        self.stack.close()


@contextlib.contextmanager
def ends(bench, number=1):
    """So many of each kind: both families, with timestamps, SACK and scale, and with MSS alone."""
    with contextlib.ExitStack() as stack:
        yield [(stack.enter_context(End(bench.lab, PORT, family=family)), options)
               for family, options in itertools.product((4, 6), (USUAL, PLAIN))
               for _ in range(number)]


def served(end):
    """The last segment of its handshake, and a request."""
    end.send("A")
    end.write(b"hello")
    assert end.read(5) == b"hello"
    end.reset()


def another_syn_ack(end, than):
    """One with another ISS than that."""
    return end.take(end.expect("SA", where=lambda p: p[TCP].seq != than))


@contextlib.contextmanager
def switched(bench):
    """An engine in calm, an agent, an echoing server: (agent, switch)."""
    agent = handed_over(bench, CALM)
    with Server(bench.lab, PORT, echo), contextlib.closing(Switch(bench)) as switch:
        yield agent, switch


@thorough
def test_syn_in_calm_ack_in_cookie_mode(bench):
    """The server's own handshake has begun, with a half-open connection or by its own cookie."""
    with switched(bench) as (agent, switch):
        for own_cookies, counter in ((1, "half_open"), (2, "own_cookie")):
            with bench.lab.sysctls("server", {"ipv4.tcp_syncookies": own_cookies}), \
                    ends(bench) as clients:
                passed = bench.count("passed_syn")
                for end, options in clients:
                    end.syn(options)
                    end.syn_ack()
                assert bench.count("passed_syn") == passed + len(clients)
                switch.on()
                before = agent.count(counter)
                for end, _ in clients:
                    served(end)
                assert agent.count(counter) >= before + len(clients), agent.status()
                switch.off()


def test_syn_by_cookie_ack_in_calm(bench):
    """The cookie is honoured when its time is over, too."""
    with switched(bench) as (agent, switch), ends(bench) as clients:
        switch.on()
        for end, options in clients:
            end.syn(options)
            end.syn_ack()
        switch.off()
        opened = agent.count("opened")
        for end, _ in clients:
            served(end)
        assert agent.count("opened") == opened + len(clients)


@thorough
def test_syn_again_in_cookie_mode(bench):
    """The server's SYN-ACK is lost, and to the SYN that is sent again a cookie answers: the client
    has another ISS than the half-open connection that the server keeps."""
    with switched(bench) as (agent, switch), ends(bench) as clients:
        first = []
        for end, options in clients:
            end.syn(options)
            first.append(end.syn_ack()[TCP].seq)
        switch.on()
        before = agent.count("takeover_half_open")
        for (end, options), seq in zip(clients, first):
            end.syn(options)
            another_syn_ack(end, seq)
            served(end)
        assert agent.count("takeover_half_open") == before + len(clients), agent.status()


def test_syn_again_in_calm(bench):
    """A cookie was late or lost, so that the SYN comes again and passes: the client may take
    either answer."""
    with switched(bench) as (agent, switch), ends(bench, 2) as clients:
        switch.on()
        first = []
        for end, options in clients:
            end.syn(options)
            first.append(end.syn_ack())
        switch.off()
        opened = agent.count("opened")
        for number, ((end, options), packet) in enumerate(zip(clients, first)):
            end.syn(options)
            another_syn_ack(end, packet[TCP].seq)
            if number % 2:
                end.take(packet)
            served(end)
        assert agent.count("opened") == opened + len(clients) // 2


def test_calm_comes_and_goes(bench):
    """Real clients, one after another, over several changes."""
    bench.nginx()
    handed_over(bench, CALM)
    before = resets(bench)
    with contextlib.closing(Switch(bench)) as switch, Newcomers(bench.lab) as clients:
        for _ in range(10 if bench.options.long else 2):
            switch.on()
            more(clients, 20)
            switch.off()
            more(clients, 20)
    assert not clients.failed, clients.failed
    assert resets(bench) == before


def more(clients, number):
    """Until so many more are served."""
    want = clients.served + number
    wait_for("clients to be served; not: %s" % clients.failed, lambda: clients.served >= want, 60)


@thorough
def test_agent_comes_and_goes_in_calm(bench):
    """It is attached, taken out and attached while clients come whose SYNs pass; then cookies
    answer."""
    bench.nginx()
    engine = Synfront(text_of(bench, CALM), "handoff")
    agent = prepared(bench, engine)
    bench.engine(engine)
    with Newcomers(bench.lab) as clients:
        more(clients, 10)
        for _ in range(2):
            with agent:
                more(clients, 10)
            more(clients, 10)
        with agent, contextlib.closing(Switch(bench)) as switch:
            switch.on()
            more(clients, 20)
            switch.off()
    assert not clients.failed, clients.failed


@thorough
def test_agent_is_replaced_in_a_flood(bench):
    """An upgrade: it ends, or is killed, and another takes its program over, with the same maps and
    with some of another size; clients come by cookie all the time."""
    bench.nginx()
    agent = handed_over(bench, linger=True)
    with bench.flood(FLOOD_PER_S, 60), Newcomers(bench.lab) as clients:
        for number, config in ((signal.SIGTERM, CONFIG), (signal.SIGKILL, CONFIG),
                               (signal.SIGTERM, CONFIG + "spent: 128k\n")):
            agent.end(number)
            more(clients, 10)
            agent.write(config)
            agent.begin()
            more(clients, 10)
            assert ("took over" in agent.process.output()) == (config is CONFIG)
    assert not clients.failed, clients.failed


def test_agent_is_away(bench):
    """Without --linger: clients who come by cookie are reset, and served as soon as it is back."""
    agent = handed_over(bench)
    bench.keep(Server(bench.lab, PORT, echo))
    for family in (4, 6):
        agent.end()
        with End(bench.lab, PORT, family=family) as end:
            end.open()
            end.expect("R")
        agent.begin()
        with End(bench.lab, PORT, family=family) as end:
            end.syn()
            end.syn_ack()
            served(end)


def test_agent_is_dead_for_minutes(bench):
    """Killed, with --linger, for five minutes: clients are served in each epoch of them and in the
    two that follow, and each is counted. (--long)"""
    if not bench.options.long:
        raise Skip("it waits for six minutes: --long")
    bench.nginx()
    agent = handed_over(bench, linger=True)
    opened, asked = agent.count("opened"), 0

    def until(deadline):
        nonlocal asked
        while time.time() < deadline:
            good, taken, said = curl(bench.lab, url(4 if asked % 2 else 6))
            assert good, (asked, taken, said)
            asked += 1
            time.sleep(2)

    agent.end(signal.SIGKILL)
    until(time.time() + OUTAGE_S)
    agent.begin()
    assert "took over" in agent.process.output()
    # Two epochs begin after its return.
    until((time.time() // EPOCH_S + 2) * EPOCH_S + 5)
    assert agent.count("opened") == opened + asked, (agent.status(), asked)
    bench.record("agent_away", seconds=OUTAGE_S, clients=asked, served=asked)
