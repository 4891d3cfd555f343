# SPDX-License-Identifier: BSD-3-Clause
"""What keeps a server from taking clients over: each is found by --check, said once while running,
and does what is said of it."""

import contextlib
import os
import socket

import frames
from adopt import Proven, agent, resets
from bench import Skip, anywhere, thorough
from lab import wait_for
from servers import Server, echo, say_and_close
from traffic import Flood

BRINGS_ENGINES = True

IPPROTO_MPTCP = 262
PORT = 7000


def found(server, text, status):
    """--check says it, with this exit status; and a running agent says it, once."""
    code, said = server.check()
    assert text in said and code == status, (code, said)
    wait_for("the watch to find: " + text,
             lambda: any(text in each["text"] for each in server.status()["findings"]), 30)
    assert server.process.output().count(text) == 1, server.process.output()


def try_client(server, port=PORT, **fields):
    """Does a client get an answer?"""
    with Proven(server, port, **fields) as client:
        client.send("PA", b"hello")
        packet = client.get(timeout=2, where=lambda p: bytes(p["TCP"].payload)[:5] == b"hello")
        client.reset()
        return packet is not None


@contextlib.contextmanager
def nft(bench, rules, **sysctls):
    """Rules on the server; skips where its kernel tracks no connections."""
    try:
        keep = contextlib.ExitStack()
        keep.enter_context(bench.nft("server", rules))
        keep.enter_context(bench.lab.sysctls("server", sysctls))
    except (RuntimeError, OSError) as error:
        keep.close()
        raise Skip("this kernel tracks no connections for nftables: %s" % error) from error
    with keep:
        yield


INVALID = "chain in { type filter hook input priority 0; ct state invalid drop; }"
NOT_SYN = ("chain in { type filter hook input priority 0; "
           "tcp flags & (fin|syn|rst|ack) != syn ct state new drop; }")
NOTRACK = ("chain pre { type filter hook prerouting priority raw; tcp dport %d notrack; }\n"
           "chain out { type filter hook output priority raw; tcp sport %d notrack; }\n" % (PORT, PORT))
LOOSE = {"netfilter.nf_conntrack_tcp_loose": 1}
STRICT = {"netfilter.nf_conntrack_tcp_loose": 0}


@anywhere
def test_nothing_is_found(bench):
    """With Linux's own settings, --check finds a server good."""
    bench.no_nginx()
    bench.keep(Server(bench.lab, 80, echo))
    bench.keep(Server(bench.lab, 443, echo))
    server = agent(bench)
    code, said = server.check()
    assert (code, "can take clients over" in said) == (0, True), said
    assert server.status()["findings"] == []


@anywhere
def test_syncookies_off(bench):
    """The kernel resets who was taken over."""
    server = agent(bench)
    bench.keep(Server(bench.lab, PORT, echo))
    with bench.lab.sysctls("server", {"ipv4.tcp_syncookies": 0}):
        found(server, "net.ipv4.tcp_syncookies is 0", 4)
        with Proven(server, PORT) as client:
            client.send("PA", b"hello")
            client.expect("R")
    assert try_client(server)


@anywhere
@thorough
def test_promised_options_off(bench):
    """Each of them: the segment of who was promised it is refused, and the others are served."""
    server = agent(bench)
    bench.keep(Server(bench.lab, PORT, echo))
    for name, full, timestamps in (("tcp_sack", True, False), ("tcp_timestamps", False, True),
                                   ("tcp_window_scaling", True, False)):
        with bench.lab.sysctls("server", {"ipv4." + name: 0}):
            found(server, "net.ipv4.%s is 0" % name, 0)
            with server.grows("refused"):
                assert not try_client(server, full=full, timestamps=timestamps)
            assert try_client(server, full=False, timestamps=False)
        assert try_client(server, full=full, timestamps=timestamps)


@anywhere
def test_rfc1337(bench):
    """A client does not get in over its last connection's TIME-WAIT."""
    server = agent(bench)
    bench.keep(Server(bench.lab, PORT, say_and_close))
    with bench.lab.sysctls("server", {"ipv4.tcp_rfc1337": 1}):
        found(server, "net.ipv4.tcp_rfc1337 is 1", 0)
        with Proven(server, PORT) as client:
            client.write(b"once")
            client.read(4)
            client.expect("FA")
            client.rcv_nxt += 1
            client.send("FA")
            wait_for("TIME-WAIT", lambda: bench.lab.run(
                "server", "ss", "-Htan", "state", "time-wait", "sport", "= :%d" % PORT))
            client.answer(iss=(client.iss + 100000) & 0xffffffff)
            opened = server.count("opened")
            with server.grows("takeover_late"):
                client.send("A")
            assert server.count("opened") == opened


@anywhere
def test_mptcp(bench):
    """A listener by MPTCP takes no client over, and is named."""
    bench.no_nginx()
    server = agent(bench)
    try:
        listener = bench.keep(bench.lab.socket("server", socket.AF_INET6, protocol=IPPROTO_MPTCP))
        listener.bind(("::", 80))
        listener.listen(16)
    except OSError as error:
        raise Skip("this kernel has no MPTCP: %s" % error) from error
    found(server, "port 80 (service web) is listened to by MPTCP", 4)
    with Proven(server, 80) as client, server.grows("mptcp"):
        client.send("A")
        client.silence()


@anywhere
def test_folder_of_others(bench):
    """A folder under the instance's name that no agent has made keeps it from starting, with its
    name and at once, and stays as it is."""
    server = agent(bench, linger=True)
    server.end()
    server.detach()
    place = os.path.join(bench.lab.work, "bpf", server.instance)
    os.makedirs(os.path.join(place, "x"))
    try:
        for words in (("--linger", "run"), ("run",), ("detach",)):
            process = bench.lab.spawn("server", "refused", *server.argv(*words))
            assert process.wait(20) == 3, process.output()
            assert place in process.output(), process.output()
            bench.lab.end(process)
        assert os.listdir(place) == ["x"]
    finally:
        os.rmdir(os.path.join(place, "x"))
        os.rmdir(place)
    server.begin()


@anywhere
def test_nobody_listens(bench):
    """A warning; the kernel resets the clients."""
    bench.no_nginx()
    server = agent(bench)
    found(server, "nobody listens on port 443 (service web)", 0)


@anywhere
def test_rules_against_the_invalid(bench):
    """`ct state invalid drop` is deadly without nf_conntrack_tcp_loose, and only so."""
    server = agent(bench)
    bench.keep(Server(bench.lab, PORT, echo))
    with nft(bench, INVALID, **LOOSE):
        assert try_client(server)
        assert "ct state" not in server.check()[1]
    with nft(bench, INVALID, **STRICT):
        assert not try_client(server)
        assert "drops `ct state invalid`" in server.check()[1]
    with nft(bench, NOTRACK + INVALID, **STRICT):
        # What is not tracked is "untracked".
        assert try_client(server)
        assert "ct state" not in server.check()[1]


@anywhere
def test_rules_that_want_syn(bench):
    """Of new connections: deadly with either setting; `notrack` cures."""
    server = agent(bench)
    bench.keep(Server(bench.lab, PORT, echo))
    for loose in (LOOSE, STRICT):
        with nft(bench, NOT_SYN, **loose):
            if loose is LOOSE:
                assert not try_client(server)
            assert "looks for flags of `ct state new`" in server.check()[1]
    with nft(bench, NOTRACK + NOT_SYN, **LOOSE):
        assert try_client(server)


@anywhere
def test_blind_acks(bench):
    """A flood of them, with data and without, in both families: no RST, no backlog, and all real
    clients are served."""
    server = agent(bench)
    listener = bench.keep(Server(bench.lab, PORT, echo))
    sender = frames.Sender(bench.lab)
    flood = [sender.tcp(family, source, frames.ACK, dport=PORT, data=data)
             for family in (4, 6) for source in frames.anywhere(family) for data in ((), (1, 2, 3))]
    before, unproven = resets(bench), server.count("unproven")
    with Flood(bench.lab, 20000, 20, frames=flood) as running:
        for number in range(20):
            with Proven(server, PORT, number % 2 == 0, family=4 if number % 4 < 2 else 6) as client:
                client.send("A")
                client.exchange()
                client.send("FA")
                client.expect("FA")
                client.rcv_nxt += 1
                client.snd_nxt += 1
                client.send("A")
        assert running.running(), "the flood ended early:\n" + running.process.output()
        for state in ("syn-recv",):
            assert not bench.lab.run("server", "ss", "-Htan", "state", state)
        row = bench.lab.run("server", "ss", "-Htln", "sport", "= :%d" % PORT).split()
        assert row[1] == "0", row
        sent = running.sent()
    assert listener.accepted == 20
    assert resets(bench) == before, resets(bench) - before
    seen = server.count("unproven") - unproven
    bench.record("blind_acks", sent=sent, dropped=seen, clients=20, served=listener.accepted)
    assert seen > sent / 2, (seen, sent)
