# SPDX-License-Identifier: BSD-3-Clause
"""Floods, each with real clients at work, and with what is not TCP.

The rates are well below what TAP ports carry, so every client must succeed. The
exceptions are named: clients inside a prefix over its reflection cap, a service
that is full, and ports that lose frames (--long). There the share is recorded.
"""

import contextlib

from bench import Skip, thorough
from crowd import Crowd
from engines import Synfront
from frames import (ACK, FIN, LINUX, PSH, RST, SYN, URG, Sender, anywhere, drawn, every_mss, exact,
                    host, join, odd_options, within)
from lab import CLIENT, OTHER, SERVER, address, prefix_address, wait_for
from raw import End, USUAL, option
from servers import ask, dial, echo
from traffic import Flood
from witness import Clients, Probes, ports_lost

BRINGS_ENGINES = True

# Answers to one net per second; what the ports carry with ease is a multiple.
REFLECTION_CAP = 1000
ANSWERS = ("syn_ack_sent", "rst_sent", "challenge_sent")
SYN_ANSWERED = ("answered_syn_cookie", "answered_syn_state")
STRAY_ANSWERED = ("answered_rst", "drop_rst_cap", "drop_unproven_data", "drop_unproven_ack")
# The client's prefix that is flooded; others are not.
INSIDE_PREFIX = 1
N_REPLAYED = 16


def config(bench, *more, workers=None):
    """Limits as shipped, but for a reflection cap that this machine can exceed."""
    text = bench.config(replace=(
        ("half_open_host: 0", "half_open_host: 64"), ("half_open_net: 0", "half_open_net: 1k"),
        ("syn_per_s_host: 0", "syn_per_s_host: 200"), ("syn_per_s_net: 0", "syn_per_s_net: 2k"),
        ("per_net_per_s: 0", "per_net_per_s: %d" % REFLECTION_CAP)) + more)
    return text.replace("count: %d" % bench.options.workers, "count: %d" % workers) \
        if workers else text


class Floods:
    """Floods that meet one engine, one after the other. Every failure is noted, and
    all are raised at the end."""

    def __init__(self, bench, text=None):
        self.bench, self.lab = bench, bench.lab
        self.failures = []
        bench.nginx()
        self.engine = bench.engine(Synfront(text or config(bench), instance="floods"))
        bench.teach(80)
        self.sender = Sender(self.lab)
        self.rate = 20000 if bench.options.long else 8000
        self.seconds = 10 if bench.options.long else 2

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        assert not self.failures, "\n".join(self.failures)
        # Buffers and connections add up, or the status would be another.
        status = self.engine.end()
        assert status == 0, "the engine ended with status %d" % status

    def note(self, good, text):
        if not good:
            self.failures.append(text)

    def frames(self, make):
        """make(family, source) for sources all over the world, families in turn."""
        pairs = zip(anywhere(4), anywhere(6))
        return [make(family, source) for pair in pairs for family, source in zip((4, 6), pair)]

    def run(self, name, frames, expected=(), **fields):
        """A flood of frames, both families in turn."""
        with self.meanwhile(name, expected, **fields) as seen:
            with Flood(self.lab, self.rate, int(self.seconds * 4), frames=frames) as flood:
                wait_for("the flood", lambda: flood.sent() >= self.rate * self.seconds
                         or not flood.running(), self.seconds * 4 + 20, 0.2)
                seen["sent"] = flood.end()
        return seen["grown"]

    @contextlib.contextmanager
    def meanwhile(self, name, expected=(), inside=False, must_serve=True, **columns):
        """Clients and probes during a block, which notes what it `sent`. `expected`:
        counters that must account for most of it. `inside`: clients from within the
        flooded prefix, too."""
        before, lost = self.engine.counters(), ports_lost(self.lab)
        received = self.engine.port("outside")["received"]
        groups = {("other", family): Clients(self.lab, family) for family in (4, 6)}
        if inside:
            groups.update({("inside", family): Clients(
                self.lab, family, source=prefix_address(INSIDE_PREFIX, family))
                for family in (4, 6)})
        seen = {"rate": self.rate}
        with Probes(self.lab) as probes:
            try:
                yield seen
            finally:
                for clients in groups.values():
                    clients.stopped = True
                for clients in groups.values():
                    clients.stop()
        after = self.engine.counters()
        seen["grown"] = grown = {key: after[key] - before[key] for key in after
                                 if after[key] != before[key]}
        received = self.engine.port("outside")["received"] - received
        lost = ports_lost(self.lab) - lost
        for (whose, family), clients in groups.items():
            self.bench.record(
                "floods", flood=name, family=family, whose=whose, rate=seen["rate"],
                sent=seen["sent"], received=received, lost=lost,
                answered=sum(grown.get(key, 0) for key in ANSWERS), **clients.columns(),
                **probes.columns(), **columns)
            self.note(clients.total, "%s: no client at work" % name)
            self.note(whose == "inside" or not must_serve or not clients.errors,
                      "%s, IPv%d: %d of %d clients failed, %d frames lost: %s" % (
                          name, family, len(clients.errors), clients.total, lost,
                          clients.errors[:3]))
        self.note(not probes.lost, "%s: probes lost: %s" % (name, probes.lost[:5]))
        self.note(not expected or sum(grown.get(key, 0) for key in expected) > received / 2,
                  "%s: %d received, expected %s: %s" % (name, received, expected, grown))


def prefix(text, family):
    """Sources in the /24 of an IPv4 address, in the /64 of an IPv6 one."""
    return within(host(text, family, 3 if family == 4 else 8), family)


def test_syns(bench):
    """SYNs from anywhere, from one prefix, to all ports, with data, odd options, every MSS."""
    with Floods(bench) as floods:
        make = floods.sender.tcp
        floods.run("SYN, random sources", floods.frames(
            lambda family, source: make(family, source, SYN, options=LINUX)), SYN_ANSWERED)
        grown = floods.run("SYN, one /24 and one /64", [
            make(family, prefix(prefix_address(INSIDE_PREFIX, family), family), SYN, options=LINUX)
            for family in (4, 6)], SYN_ANSWERED + ("drop_reflection",), inside=True)
        floods.note(grown.get("drop_reflection"), "the reflection cap was not met")
        floods.run("SYN, all ports", floods.frames(
            lambda family, source: make(family, source, SYN, options=LINUX, dport=drawn(2))),
            SYN_ANSWERED + STRAY_ANSWERED + ("passed_bypass",))
        floods.run("SYN with data", floods.frames(
            lambda family, source: make(family, source, SYN, options=LINUX, data=drawn(100))),
            SYN_ANSWERED)
        floods.run("SYN, odd options", [
            make(family, anywhere(family)[3], SYN, options=(odd,)) for odd in odd_options()
            for family in (4, 6)], SYN_ANSWERED + ("passed_syn", "drop_signed"))
        floods.run("SYN, every MSS", [
            make(family, anywhere(family)[5], SYN, options=(mss,)) for mss in every_mss()
            for family in (4, 6)], SYN_ANSWERED)


def fragments(sender, family, source):
    """First ones with a SYN, tiny ones, last ones of nothing, ones that overlap."""
    more = 0x2000
    yield sender.tcp(family, source, SYN, options=LINUX, fragment=more)
    yield sender.piece(family, source, more, 8)
    yield sender.piece(family, source, 1, 64)
    yield sender.piece(family, source, more | 2, 64)
    yield sender.piece(family, source, 8191, 64)


def test_no_syns(bench):
    """Blind ACK, RST, FIN, reflected SYN-ACK, impossible flags, fragments; a connection
    that stands, and whose ports they hit, lives on."""
    with Floods(bench) as floods:
        make = floods.sender.tcp
        port = bench.serve("bulk", echo)
        bench.teach(port, 6)
        standing = {family: bench.keep(dial(bench.lab, port, family)) for family in (4, 6)}

        def hit(flags, **fields):
            """At a connection that stands, as its client."""
            return [make(family, host(address(CLIENT, family), family), flags, dport=port,
                         sport=connection.getsockname()[1], **fields)
                    for family, connection in standing.items()]

        def run(name, frames, expected):
            floods.run(name, frames, expected)
            for family, connection in standing.items():
                floods.note(ask(connection, b"still here") == b"still here",
                            "%s: the standing connection, IPv%d" % (name, family))

        run("blind ACK", floods.frames(lambda *who: make(*who, ACK)) + hit(ACK), STRAY_ANSWERED)
        run("blind ACK with data",
            floods.frames(lambda *who: make(*who, ACK | PSH, data=drawn(100))), STRAY_ANSWERED)
        run("RST", floods.frames(lambda *who: make(*who, RST)) + hit(RST) * 8
            + hit(RST | ACK) * 8, ("drop_stray_rst", "drop_rst_window"))
        run("FIN", floods.frames(lambda *who: make(*who, FIN | ACK)) + hit(FIN | ACK)
            + [make(family, anywhere(family)[1], FIN) for family in (4, 6)],
            STRAY_ANSWERED + ("drop_stray",))
        run("SYN-ACK, reflected", floods.frames(
            lambda *who: make(*who, SYN | ACK, options=LINUX, sport=443)) + hit(SYN | ACK),
            ("drop_stray_syn_ack",))
        run("FIN+URG+PSH", floods.frames(lambda *who: make(*who, FIN | URG | PSH))
            + hit(FIN | URG | PSH), ("drop_flags",))
        run("no flags", floods.frames(lambda *who: make(*who, 0)) + hit(0), ("drop_flags",))
        run("SYN at a live connection", hit(SYN, options=LINUX),
            ("answered_ack", "drop_challenge_cap"))
        run("fragments", [frame for family in (4, 6) for source in anywhere(family)[:8]
                          for frame in fragments(floods.sender, family, source)],
            ("drop_fragment", "passed_fragment"))


# Floods of real hosts


def test_replayed_proofs(bench):
    """ACKs that proved their clients, again and again: of connections that are over and
    of some that are not. The server hears of none."""
    with Floods(bench) as floods:
        port = bench.serve("cookie", echo)
        bench.teach_uncounted(port, 6)
        attacker = bytes.fromhex(bench.lab.mac("attacker").replace(":", ""))
        frames, standing = [], []
        for number_of in range(N_REPLAYED):
            end = bench.keep(End(bench.lab, port, family=4 + number_of % 2 * 2))
            end.syn()
            end.syn_ack()
            for proof in (end.segment("A"), end.segment("PA", data=b"prove it")):
                # From the attacker's port, or the bridge would take it for the client.
                frames.append(exact(bytes(proof)[:6] + attacker + bytes(proof)[12:]))
            end.write(b"prove it")
            assert end.read(8) == b"prove it"
            if number_of % 4 < 2:
                standing.append(end)
            else:
                end.reset()
                last = end
        # The last that was reset: until its linger is over, a replay crosses to the server.
        spent = bench.counts("spent_replayed")

        def replayed():
            last.tap.send(proof)
            return spent()

        wait_for("a replay to be recognized", replayed, interval=0.2)
        before = bench.count("spent_replayed")
        floods.run("proving ACKs, replayed", frames, ("answered_rst", "drop_rst_cap", "spliced",
                                                      "drop_unproven_data"))
        floods.note(bench.count("spent_replayed") > before, "no replay was recognized")
        floods.note(bench.server.accepted == N_REPLAYED, "the server heard of %d clients, not %d"
                    % (bench.server.accepted, N_REPLAYED))
        for end in standing:
            for _ in end.tap.frames():  # what others were sent meanwhile
                pass
            end.write(b"still here")
            assert end.read(10) == b"still here"
            end.reset()


def crowd(floods, name, rate, ports, **fields):
    """A crowd at work for the length of a flood; what was counted meanwhile."""
    outer = {key: fields.pop(key) for key in ("must_serve", "expected", "until")
             if key in fields}
    until = outer.pop("until", ())
    with floods.meanwhile(name, **outer) as seen:
        seen["rate"] = rate
        with Crowd(floods.lab, rate, ports, **fields) as hosts:
            before = {key: floods.bench.count(key) for key in until}
            wait_for("so many handshakes", lambda: hosts.sent() >= rate * floods.seconds, 60)
            for key in until:
                wait_for(key, lambda key=key: floods.bench.count(key) > before[key], 20)
            seen["sent"] = hosts.stop()
    return seen["grown"]


def test_close_at_once(bench):
    """Handshakes that are closed as soon as they stand, by FIN and by RST. No server is
    taken for down, and nothing is left of them."""
    with Floods(bench) as floods:
        for name, reset in (("FIN", False), ("RST", True)):
            grown = crowd(floods, "handshakes closed at once by " + name, 600, [80], stay=0.03,
                          reset=reset, expected=())
            floods.note(not grown.get("backend_down"), "a server was taken for down")
            floods.note(grown.get("opened", 0) > 600, "few were opened: %s" % grown)
        wait_for("the connections to be over",
                 lambda: floods.engine.service("web")["connections"] == 0, 60, 0.2)


def silent_config(bench, protect="1s", held="2k"):
    """Small limits behind the handshake."""
    return config(
        bench, ("  connections: 128k", "  connections: 4k"),
        ("  held_connections: 2k", "  held_connections: " + held),
        ("    syn_per_s_net: 2k", "    syn_per_s_net: 2k\n    connections_net: 200"
         "\n    new_per_s_net: 400"),
        ("  adopt: 0", "  adopt: 0\n  protect: " + protect),
        ("ports: [7100-7199]", "ports: [7100-7199]\n    max_new_per_s: 50"),
        ("ports: [7000-7099]", "ports: [7000-7099]\n    max_connecting: 16"))


def silent_server(bench, port):
    """A server whose port hears nothing."""
    return bench.nft("server", "chain in { type filter hook input priority 0; tcp dport %d "
                               "tcp flags syn drop; }" % port)


@thorough
def test_silent_handshakes(bench):
    """Handshakes of many real addresses that say nothing, until each limit behind the
    handshake is met; clients of other services and prefixes do not feel it."""
    with Floods(bench, silent_config(bench)) as floods:
        full, eager, slow = (bench.serve(name, echo) for name in ("few", "cookie", "state"))
        for port in (full, eager, slow):
            bench.teach(port, 6)
        web = [80]
        for name, ports, limit, fields in (
                ("max_connections", [full], "limit_service_connections", {}),
                ("max_new_per_s", [eager], "limit_service_new", {}),
                ("connections_net", web, "limit_source_connections",
                 {"one_net": True, "families": (4,)}),
                ("new_per_s_net", web, "limit_source_new",
                 {"one_net": True, "stay": 0.1, "families": (4,)})):
            crowd(floods, "silent handshakes until " + name, 800, ports, until=(limit,), **fields)
        with silent_server(bench, slow):
            crowd(floods, "silent handshakes until max_connecting", 400, [slow],
                  until=("limit_connecting",))
        crowd(floods, "silent handshakes until the table is full, evicting", 1000, [80, 443],
              until=("evicted",))


@thorough
def test_silent_handshakes_without_room(bench):
    """The two tables that all services share, without what guards them: the pending
    records with no limit on connecting ones, the connections with all of them
    protected. The share of clients that are served is recorded."""
    text = silent_config(bench, "30s", "16")
    with Floods(bench, text) as floods:
        slow = bench.serve("bulk", echo)
        bench.teach(slow, 6)
        with silent_server(bench, slow):
            crowd(floods, "silent handshakes until no pending record is left", 400, [slow],
                  until=("pending_evicted",))
        crowd(floods, "silent handshakes until the table is full, all protected", 1500, [80, 443],
              until=("table_full",), must_serve=False)


# Floods that aim


def offer_of(bench, port, family, host_number=SERVER):
    """What a SYN-ACK offers to a client that offers all."""
    with End(bench.lab, port, peer=host_number, family=family) as end:
        end.syn(USUAL)
        answer = end.syn_ack()
        end.reset()
        return {"mss": option(answer, "MSS"), "scale": option(answer, "WScale"),
                "sack": option(answer, "SAckOK") is not None,
                "timestamps": option(answer, "Timestamp") is not None}


@thorough
def test_poisoned_learning(bench):
    """SYNs with nothing or little in their options, while a server is unknown and when it
    is known; SYN-ACKs that claim to be the server's; proofs of clients that vanish. What
    clients are promised is what the server has, as it says itself at an address that is
    not protected; and nothing worse than can be kept, before it was asked for all."""
    with Floods(bench) as floods:
        make, port = floods.sender.tcp, bench.serve("cookie", echo, teach=False)
        poor = [make(family, source, SYN, options=(options,), dport=port)
                for family in (4, 6) for source in anywhere(family)[:12]
                for options in ((), (2, 4, 0, 64), (2, 4, 2, 24))]
        server = {family: host(address(SERVER, family), family) for family in (4, 6)}
        forged = [make(family, server[family], SYN | ACK, to=to, sport=port, dport=dport,
                       options=((2, 4, 0, 64),)) for family in (4, 6)
                  for to, dport in ((address(CLIENT, family), drawn(2)), (SERVER, port))]

        def promised(when):
            for family in (4, 6):
                own = offer_of(bench, port, family, OTHER)
                bench.teach(port, family)
                offer = offer_of(bench, port, family)
                floods.note(offer == own, "%s, IPv%d: promised %s, the server has %s"
                            % (when, family, offer, own))

        floods.run("poor SYNs to an unknown server", poor, SYN_ANSWERED + ("passed_syn",))
        promised("after poor SYNs")
        floods.run("poor SYNs and forged SYN-ACKs of a known server", poor + forged * 12)
        crowd(floods, "proofs that are reset before the server answers", 600, [port], stay=0)
        promised("after forged SYN-ACKs")
        floods.note(not bench.count("backend_down"), "a server was taken for down")
        floods.note(not bench.count("promise_broken"), "a promise was broken")


def test_one_queue(bench):
    """Two workers: SYNs of one flow, so for one queue and one bucket, and of consecutive
    sources and ports."""
    with Floods(bench, config(bench, workers=2)) as floods:
        make = floods.sender.tcp

        def aim(name, frames, **fields):
            before = [floods.engine.ask("stats,%d" % worker) for worker in range(2)]
            floods.run(name, frames, SYN_ANSWERED + ("drop_reflection",), **fields)
            after = [floods.engine.ask("stats,%d" % worker) for worker in range(2)]
            loads = [new["syn_received"] - old["syn_received"]
                     for new, old in zip(after, before)]
            for row in bench.figures["floods"][-2:]:
                row["busiest_worker"] = round(max(loads) / max(1, sum(loads)), 2)

        aim("SYN, all of one flow", [
            make(family, host(address_of, family), SYN, options=LINUX, sport=1234)
            for family, address_of in ((4, "192.0.2.77"), (6, "2a0b::77"))])
        aim("SYN, consecutive sources and ports", [
            make(family, join(first, ("dinc(0, 255, 1)", 1)), SYN, options=LINUX,
                 sport=join((high,), ("dinc(0, 255, 1)", 1)))
            for family, first in ((4, (77, 1, 2)), (6, (0x2a, 0x0b) + (0,) * 13))
            for high in range(16, 32)])


def test_saturation(bench):
    """More than the ports carry: the share of clients served is at least the share of
    frames that the port keeps. (--long)"""
    if not bench.options.long:
        raise Skip("it takes all of the machine: --long")
    with Floods(bench) as floods:
        floods.rate = 0
        with floods.meanwhile("SYN, as fast as it goes", SYN_ANSWERED, must_serve=False) as seen:
            with Flood(bench.lab, 0, 20, frames=floods.frames(
                    lambda *who: floods.sender.tcp(*who, SYN, options=LINUX))) as flood:
                flood.wait()
                seen["sent"] = flood.sent()
        rows = bench.figures["floods"][-2:]
        for row in rows:
            kept = min(1, row["received"] / row["sent"])
            share = row["succeeded"] / row["clients"]
            bench.record("saturation", flood=row["flood"], family=row["family"],
                         sent=row["sent"], kept_by_port=round(kept, 3), clients=row["clients"],
                         served=round(share, 3))
            floods.note(share >= kept, "IPv%d: %.3f of clients served, the port kept %.3f"
                        % (row["family"], share, kept))
