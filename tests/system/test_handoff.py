# SPDX-License-Identifier: BSD-3-Clause
"""Mode handoff as far as it needs no help of the server: what passes, what is answered, and what
is lost when the engine goes. The server's kernel takes nobody over here, so whoever is to be
served comes in calm."""

import contextlib
import threading

from scapy.layers.inet import TCP

from bench import Skip, thorough
from engines import Synfront, Wire
from frames import ACK, Sender, anywhere as all_over
from lab import wait_for
from raw import End, GHOST_SERVER, PLAIN, Wiretap, option
from servers import Both, Server, ask, dial, echo, read
from test_transfer import both_ways
from traffic import Flood

BRINGS_ENGINES = True

PORT = 80
SIZE = 4 << 20
# The server's own default: a kernel's first window, whole segments of 1,460 bytes.
WINDOW = 64240
UNKNOWN_PER_S = 500


def config(bench, *lines, workers=None):
    """One service of mode handoff in place of all others."""
    text = bench.config()
    head, _, rest = text.partition("services:\n")
    service = ["  - name: handed", "    addresses: [198.51.100.0/24, \"2001:db8:1::/64\"]",
               "    ports: all", "    mode: handoff"] + ["    " + line for line in lines]
    text = head + "services:\n" + "\n".join(service) + "\n\nhandshake:\n" \
        + rest.partition("\nhandshake:\n")[2]
    if workers:
        text = text.replace("count: %d" % bench.options.workers, "count: %d" % workers)
    return text


CALM = ("calm: transparent", "calm_syn_per_s: 100k")


def start(bench, *lines, workers=None):
    bench.no_nginx()
    return bench.engine(Synfront(config(bench, *lines, workers=workers), instance="handoff"))


def nothing_of_ours(engine):
    """No state, no RST, nothing but SYN-ACKs that the engine made itself."""
    stats = engine.counters()
    for name in ("rst_sent", "challenge_sent", "opened", "half_open_made", "tracked", "spliced"):
        assert not stats[name], (name, stats[name])
    used = {row["table"]: row["used"] for row in engine.report("memory")}
    for table in ("connections", "half-open", "held"):
        assert used[table] == 0, (table, used[table])


def service_is_unknown(engine):
    """What nobody here can count is shown as such."""
    row = engine.service("handed")
    assert row["mode"] == "handoff" and row["syn"] > 0, row
    for name in ("half_open", "connections", "opened"):
        assert row[name] is None, row
    titles, cells = (line.split() for line in engine.control("services").splitlines()[:2])
    shown = dict(zip(titles, cells))
    for title in ("HALF-OPEN", "CONNS", "OPENED"):
        assert shown[title] == "-", shown


def test_calm_clients_are_served(bench):
    """Real clients of both families pass and get answers, and nothing is kept of them."""
    engine = start(bench, *CALM)
    bench.keep(Server(bench.lab, PORT, echo))
    for family in (4, 6):
        for _ in range(10):
            with dial(bench.lab, PORT, family) as connection:
                assert ask(connection, b"as is" * 3000) == b"as is" * 3000
    nothing_of_ours(engine)
    service_is_unknown(engine)
    assert bench.count("passed_syn") == 20 and bench.count("answered_syn_cookie") == 0


def test_calm_two_workers_hand_nothing_over(bench):
    """Any worker has any segment, and each passes what it gets."""
    engine = start(bench, *CALM, workers=2)
    bench.server = bench.keep(Server(bench.lab, PORT, Both(SIZE, 2)))
    for family in (4, 6):
        both_ways(bench, PORT, SIZE, family)
    nothing_of_ours(engine)
    assert bench.count("passed_handoff") > 1000
    assert engine.ask("stats")["handed_over"] == 0


def test_connections_from_before_go_on(bench):
    """A connection that is older than the engine, and one that the server makes, pass as well."""
    lab = bench.lab
    bench.no_nginx()
    bench.engine(Wire())
    bench.keep(Server(lab, PORT, echo))
    bench.keep(Server(lab, 5555, echo, node="client"))
    old = [bench.keep(contextlib.closing(dial(lab, PORT, family))) for family in (4, 6)]
    for connection in old:
        ask(connection, b"before")
    engine = start(bench, "cookies: always")
    for connection in old:
        assert ask(connection, b"and after" * 1000) == b"and after" * 1000
    for family in (4, 6):
        with dial(lab, 5555, family, host=1, node="server", own_port=81) as connection:
            assert ask(connection, b"from inside") == b"from inside"
    nothing_of_ours(engine)


class Transfer:
    """Data both ways over one connection, in the background."""

    def __init__(self, bench, family=4, size=SIZE):
        self.error = None
        self.thread = threading.Thread(target=self.run, args=(bench, family, size), daemon=True)
        self.thread.start()

    def run(self, bench, family, size):
        try:
            both_ways(bench, PORT, size, family)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.thread.join(120)
        assert not self.thread.is_alive(), "the transfer hangs"
        if self.error:
            raise self.error


def slow_server(bench, size):
    """Data both ways, slowly enough for something to happen meanwhile."""
    bench.server = bench.keep(Server(bench.lab, PORT, Both(size, 2)))
    bench.lab.run("server", "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "20mbit",
                  "burst", "64k", "latency", "100ms")
    bench.stack.callback(bench.lab.run, "server", "tc", "qdisc", "del", "dev", "eth0", "root",
                         check=False)


@thorough
def test_reload_and_restart_in_mid_transfer(bench):
    """A reload with other promises, a restart and a kill lose no connection."""
    size = 6 << 20
    for workers in (1, 2):
        engine = start(bench, *CALM, workers=workers)
        slow_server(bench, size)
        transfer = Transfer(bench, size=size)
        passed = bench.counts("passed_handoff", 200)
        wait_for("data to pass", passed)
        engine.reload(config(bench, *CALM, "group: other", "promise: {sack: false}",
                             workers=workers))
        wait_for("data to pass after the reload", bench.counts("passed_handoff", 200))
        engine.restart()
        wait_for("data to pass after the restart", bench.counts("passed_handoff", 200), 60)
        engine.restart(9)
        wait_for("data to pass after the kill", bench.counts("passed_handoff", 200), 60)
        transfer.end()
        nothing_of_ours(engine)
        bench.tidy()
        bench.renew(brings_its_own=True)


# The server's frames take the cable, all others the engine; none of them twice.
ONE_WAY = """
chain apart {
	type filter hook forward priority 0;
	ether saddr %(mac)s oifname { "sf-inside", "sf-outside" } drop
	ether saddr != %(mac)s oifname { "one-in", "one-out" } drop
}
"""


@contextlib.contextmanager
def one_way(bench):
    """Beside the engine, a cable for what the server sends."""
    lab = bench.lab
    lab.run("box", "ip", "link", "add", "one-out", "mtu", "9000", "type", "veth", "peer", "name",
            "one-in", "mtu", "9000")
    try:
        try:
            lab.run("box", "nft", "-f", "-", stdin="table bridge oneway {\n%s\n}\n" % (
                ONE_WAY % {"mac": lab.mac("server")}))
        except RuntimeError as error:
            raise Skip("no nftables on bridges: %s" % error) from error
        for device, bridge in (("one-out", "br-out"), ("one-in", "br-in")):
            lab.join(device, bridge)
        for device in ("one-out", "one-in", "sf-inside", "sf-outside"):
            lab.run("box", "bridge", "link", "set", "dev", device, "learning", "off")
        for bridge in ("br-out", "br-in"):
            lab.run("box", "ip", "link", "set", bridge, "type", "bridge", "fdb_flush")
        yield
    finally:
        lab.run("box", "ip", "link", "del", "one-out", check=False)
        lab.run("box", "nft", "delete", "table", "bridge", "oneway", check=False)


def test_asymmetric_return_path(bench):
    """The server's answers take another way, which no engine sees."""
    engine = start(bench, *CALM)
    with one_way(bench):
        inside = engine.port("inside")["received"]
        bench.server = bench.keep(Server(bench.lab, PORT, Both(SIZE // 4, 2)))
        for family in (4, 6):
            both_ways(bench, PORT, SIZE // 4, family)
        assert engine.port("inside")["received"] - inside < 100, "the server's frames came"
        assert bench.count("passed_handoff") > 100
        nothing_of_ours(engine)


def test_flood_answered_with_the_promise(bench):
    """In a flood SYNs get cookies that promise what is configured, and nothing of it reaches
    the server; its connections of before go on."""
    lab = bench.lab
    engine = start(bench, "calm: transparent", "calm_syn_per_s: 500",
                   "promise: {mss: 1400, mss6: 1380, wscale: 5}")
    bench.keep(Server(lab, PORT, echo))
    old = bench.keep(contextlib.closing(dial(lab, PORT)))
    ask(old, b"before")
    entered = bench.counts("cookie_mode_entered")
    with Flood(lab, 10000, 30):
        wait_for("cookie mode", entered)
        for family, mss, window in ((4, 1400, 65535 - 65535 % 1400), (6, 1380, 65535 - 65535 % 1380)):
            with End(lab, PORT, family=family) as end:
                end.syn()
                answer = end.syn_ack()[TCP]
                assert option_of(answer, "MSS") == mss and option_of(answer, "WScale") == 5
                assert option_of(answer, "SAckOK") is not None
                assert option_of(answer, "Timestamp")[1] == 1000
                assert answer.window == window, answer.window
            with End(lab, PORT, family=family) as end:
                end.syn(PLAIN)
                assert [name for name, _ in end.syn_ack()[TCP].options] == ["MSS"]
        passed = bench.count("passed_syn")
        assert ask(old, b"in the flood" * 500) == b"in the flood" * 500
        assert bench.count("passed_syn") == passed, "SYNs pass in cookie mode"
    nothing_of_ours(engine)
    assert bench.count("answered_syn_cookie") > 1000


def option_of(tcp, name):
    return dict(tcp.options).get(name)


def test_secret_is_shared_by_nodes_and_restarts(bench):
    """The same SYN gets the same cookie after a restart in the same epoch: the group's key is of the
    master's file."""
    engine = start(bench, "cookies: always")
    with End(bench.lab, PORT) as end:
        for _ in range(3):
            end.syn()
            first = end.syn_ack()[TCP].seq
            engine.restart()
            end.syn()
            if end.syn_ack()[TCP].seq == first:
                return
    raise AssertionError("another cookie after each restart")


def test_strangers_pass_without_a_shield(bench):
    """ACKs of nobody reach the server as they are, in a flood too."""
    lab = bench.lab
    engine = start(bench, "cookies: always")
    tap = bench.keep(Wiretap(lab, "server"))
    with End(lab, PORT, peer=GHOST_SERVER) as end:
        end.snd_nxt, end.rcv_nxt = 12345, 67890
        frame = bytes(end.segment("PA", data=b"out of nowhere"))
        end.tap.send(frame)
        assert tap.wait(lambda got: got == frame, 5), "it did not pass unchanged"
    nothing_of_ours(engine)


def test_shield_thins_strangers(bench):
    """Above the rate of a shield strangers are dropped, and known connections lose nothing."""
    lab = bench.lab
    engine = start(bench, *CALM, "unknown_per_s: %d" % UNKNOWN_PER_S)
    bench.keep(Server(lab, PORT, echo))
    known = [bench.keep(contextlib.closing(dial(lab, PORT, family))) for family in (4, 6)]
    for connection in known:
        ask(connection, b"before")
    sender = Sender(lab)
    frames = [sender.tcp(family, source, ACK) for family in (4, 6) for source in all_over(family)]
    dropped = bench.counts("drop_unknown", 5000)
    passed = engine.port("inside")["sent"]
    with Flood(lab, 8000, 30, frames=frames):
        wait_for("strangers to be dropped", dropped)
        for connection in known:
            assert ask(connection, b"still here" * 5000) == b"still here" * 5000
        for family in (4, 6):
            with dial(lab, PORT, family) as connection:
                assert ask(connection, b"new") == b"new"
    stats = engine.counters()
    assert stats["drop_unknown"] > stats["passed_handoff"] - 1000, stats
    assert engine.port("inside")["sent"] - passed < stats["drop_unknown"]
    nothing_of_ours(engine)


def test_shield_forged_syns_buy_nothing(bench):
    """Flows that the server has answered in calm, because their SYNs were forged, are as strange in a
    flood as all others; who acknowledges the server's answer passes."""
    lab, n_ends, n_blind = bench.lab, 8, 250
    engine = start(bench, *CALM, "unknown_per_s: %d" % UNKNOWN_PER_S)
    bench.keep(Server(lab, PORT, echo))
    ends = [bench.keep(contextlib.closing(End(lab, PORT, family=family)))
            for family in (4, 6) for _ in range(n_ends // 2)]
    for end in ends:
        end.syn()
        end.syn_ack()
        # A second one, out of the window of what the server has: it says where it is.
        end.send("S", seq=end.iss + (1 << 30), options=[])
        end.expect("A", where=lambda p, end=end: p[TCP].flags == "A"
                   and p[TCP].ack == end.snd_nxt)
    sender = Sender(lab)
    frames = [sender.tcp(family, source, ACK) for family in (4, 6) for source in all_over(family)]
    dropped = bench.counts("drop_unknown", 5000)
    tap = bench.keep(Wiretap(lab, "server"))
    with Flood(lab, 8000, 30, frames=frames):
        wait_for("strangers to be dropped", dropped)
        blind = [bytes(end.segment("PA", data=b"forged", ack=end.rcv_nxt + 5000, options=[]))
                 for end in ends]
        # Faster than the rate that is everybody's.
        for frame in blind * n_blind:
            ends[0].tap.send(frame)
        for end in ends:
            end.echoes(b"seen")
    passed = sum(b"forged" in frame for frame in tap.frames())
    assert passed < len(blind) * n_blind / 2, passed
    nothing_of_ours(engine)
