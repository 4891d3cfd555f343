# SPDX-License-Identifier: BSD-3-Clause
"""The ways in which a handshake goes wrong, each by its name, and right."""

import socket
import time

from scapy.layers.inet import TCP

from bench import anywhere
from lab import SERVER, address, prefix_address, wait_for
from raw import End, PLAIN, USUAL, option
from servers import ask, dial, echo, greet, read
from traffic import curl

GREETING = b"hello, who is there?\n"


@anywhere
def test_plain(bench):
    """Connect, ask, close; both families, state and cookie."""
    for service in ("state", "cookie", "lazy"):
        port = bench.serve(service, echo)
        for family in (4, 6):
            with dial(bench.lab, port, family) as connection:
                assert ask(connection, b"x" * 5000) == b"x" * 5000


def test_options_are_those_promised(bench):
    """The SYN-ACK offers only what the client offered, of what the server has."""
    for service in ("state", "cookie"):
        port = bench.serve(service, echo)
        for offer in (USUAL, PLAIN, [], [("MSS", 1460), ("NOP", None), ("WScale", 3)],
                      [("MSS", 1200), ("SAckOK", b"")]):
            with End(bench.lab, port) as end:
                end.syn(offer)
                answer = end.syn_ack()
                names = {name for name, _ in offer}
                got = {name for name, _ in answer[TCP].options} - {"NOP", "EOL"}
                assert got <= names | {"MSS"}, (service, offer, answer[TCP].options)
                assert option(answer, "MSS") == 1460, answer[TCP].options
                assert not names & {"WScale", "Timestamp"} or got & {"WScale", "Timestamp"}, got
                assert answer[TCP].window > 0
                end.send("A")
                end.echoes()
                end.reset()


# The nine of them


@anywhere
def test_1_duplicate_syn(bench):
    """The same SYN again gets the same SYN-ACK again."""
    for service in ("state", "cookie"):
        port = bench.serve(service, echo)
        with End(bench.lab, port) as end:
            end.syn()
            first = end.syn_ack()
            end.syn()
            second = end.syn_ack()
            assert first[TCP].seq == second[TCP].seq, "another ISS for the same SYN"
            end.send("A")
            end.echoes()
            end.reset()


@anywhere
def test_2_lost_syn_ack(bench):
    """A SYN-ACK that nobody acknowledges comes again, by itself."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end, bench.grows("syn_ack_again"):
        end.syn()
        first = end.syn_ack()
        second = end.syn_ack()
        assert first[TCP].seq == second[TCP].seq
        end.send("A")
        end.echoes()
        end.reset()


@anywhere
def test_3_lost_ack(bench):
    """The third segment is lost: the data after it proves the client as well."""
    for service in ("state", "cookie"):
        port = bench.serve(service, echo)
        with End(bench.lab, port) as end:
            end.syn()
            end.syn_ack()
            end.echoes()
            end.reset()


@anywhere
def test_3_lost_ack_server_speaks_first(bench):
    """With state the SYN-ACK is repeated, so the greeting arrives all the same."""
    port = bench.serve("state", greet)
    with End(bench.lab, port) as end:
        end.syn()
        end.syn_ack()
        end.syn_ack()
        end.send("A")
        assert end.read(len(GREETING)) == GREETING
        end.reset()


def test_3_lost_ack_server_speaks_first_by_cookie(bench):
    """The known limit: by cookie nothing is repeated, and nothing is broken."""
    port = bench.serve("cookie", greet)
    with End(bench.lab, port) as end:
        end.syn()
        end.syn_ack()
        end.silence(2.5)
        assert bench.server.accepted == 0
        end.send("A")
        assert end.read(len(GREETING)) == GREETING
        end.reset()


def test_4_spoofed_syn_flood(bench):
    """Real clients get in; cookie mode comes with the flood and goes after it."""
    bench.nginx()
    bench.teach(80)
    modes = bench.count("cookie_mode_entered"), bench.count("cookie_mode_left")
    with bench.flood(20000, 60):
        wait_for("cookie mode", lambda: bench.count("cookie_mode_entered") > modes[0])
        for number in range(20):
            for family in (4, 6):
                host = address(SERVER, family)
                host = "[%s]" % host if family == 6 else host
                done = curl(bench.lab, "http://%s/hello" % host, seconds=30)
                assert done[0], "request %d: %s" % (number, done[2])
    wait_for("the end of cookie mode", lambda: bench.count("cookie_mode_left") > modes[1], 60)
    assert curl(bench.lab, "http://%s/hello" % address(SERVER))[0]


def test_5_syn_to_wrong_port(bench):
    """Refused as by a closed port: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>."""
    for family in (4, 6):
        with End(bench.lab, 6999, family=family) as end:
            end.syn(data=b"12345")
            packet = end.expect("RA")
            assert packet[TCP].seq == 0
            assert packet[TCP].ack == (end.iss + 6) & 0xffffffff
        try:
            dial(bench.lab, 6999, family).close()
            raise AssertionError("connected to a closed port")
        except ConnectionRefusedError:
            pass


def test_6_client_restart_in_handshake(bench):
    """A SYN with another sequence number: a fresh handshake."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.syn()
        old = end.syn_ack()
        end.iss = (end.iss + 123456789) & 0xffffffff
        end.syn()
        new = end.syn_ack()
        assert new[TCP].seq != old[TCP].seq
        end.send("A")
        end.echoes()
        end.reset()


@anywhere
def test_6_client_restart_when_established(bench):
    """A SYN on a live connection: challenge ACK, RST, and then a new start."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.open()
        end.echoes()
        old_snd, old_rcv = end.snd_nxt, end.rcv_nxt
        end.timestamps, end.iss = False, (end.iss + 0x40000000) & 0xffffffff
        end.syn()
        challenge = end.expect("A")
        assert (challenge[TCP].ack, challenge[TCP].seq) == (old_snd, old_rcv), "no challenge ACK"
        end.send("R", seq=challenge[TCP].ack)

        def again():
            end.syn()
            return end.get("SA", timeout=1)

        answer = wait_for("a SYN-ACK after the reset", again)
        end.take(answer)
        end.send("A")
        end.echoes()
        end.reset()


@anywhere
def test_7_mss_mismatch(bench):
    """Neither side is sent more than it can take, whichever has the larger MTU."""
    lab = bench.lab
    for client, server in ((9000, 1500), (1500, 9000), (1400, 1500)):
        lab.set_mtu("client", client)
        lab.set_mtu("server", server)
        try:
            port = bench.serve("state", echo)
            for family in (4, 6):
                with dial(lab, port, family) as connection:
                    data = bytes(range(256)) * 400
                    assert ask(connection, data) == data
        finally:
            lab.set_mtu("client", 1500)
            lab.set_mtu("server", 1500)


@anywhere
def test_7_small_mss_reaches_the_server(bench):
    """What the client can take is what the server keeps to."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.open([("MSS", 600)])
        for _ in range(3):
            end.write(b"z" * 500)
        assert end.read(1500, most=600) == b"z" * 1500
        end.reset()


def test_8_client_vanishes_before_its_ack(bench):
    """The half-open entry expires; the server never hears of the client."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end, bench.grows("half_open_expired", timeout=40):
        end.syn()
        end.syn_ack()
    assert bench.server.accepted == 0


def test_8_client_resets_its_half_open(bench):
    """An exact RST removes the entry at once; another changes nothing."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.syn()
        end.syn_ack()
        removed = bench.counts("half_open_reset")
        end.send("R", seq=end.snd_nxt + 1000)
        end.syn()
        end.syn_ack()
        assert not removed(), "a RST that is not exact removed the entry"
        end.send("R")
        wait_for("the entry to go", removed)


def test_8_client_vanishes_while_connecting(bench):
    """The client resets before the server has answered: nothing is left there."""
    lab = bench.lab
    port = bench.serve("state", echo)
    with End(lab, port) as end:
        with bench.nft("server", "chain in { type filter hook input priority 0; tcp dport %d "
                                 "tcp flags syn drop; }" % port):
            end.open()
            gone = bench.counts("client_gone")
            end.reset()
            wait_for("the engine to hear the RST", gone)
        wait_for("the server to be clean", lambda: not lab.run(
            "server", "ss", "-Htn", "state", "established", "state", "syn-recv", "sport", "=",
            ":%d" % port).strip())


def test_9_refused_by_policy(bench):
    """A denied prefix hears RST or nothing, as configured; others get in."""
    lab = bench.lab
    port = bench.serve("deny-reset", echo)
    for family in (4, 6):
        try:
            dial(lab, port, family, source=prefix_address(8, family)).close()
            raise AssertionError("a denied source connected")
        except ConnectionRefusedError:
            pass
        with dial(lab, port, family, source=prefix_address(7, family)) as connection:
            assert ask(connection, b"in") == b"in"
    port = bench.serve("deny-drop", echo)
    with bench.grows("drop_denied"):
        try:
            dial(lab, port, source=prefix_address(8), timeout=1.5).close()
            raise AssertionError("a denied source connected")
        except (TimeoutError, socket.timeout):
            pass


def test_9_refused_by_limit(bench):
    """Over max_connections a proven client gets RST; below it all is well."""
    port = bench.serve("few", echo)
    wait_for("the first connections to be over",
             lambda: bench.lab.engine.service("few")["connections"] == 0)
    held = []

    def refused():
        connection = bench.keep(dial(bench.lab, port))
        try:
            if not ask(connection, b"one of four"):
                return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        held.append(connection)
        return False

    with bench.grows("limit_service_connections"):
        for _ in range(5):
            try:
                if refused():
                    break
            except ConnectionResetError:
                break
    # Each worker has its share of the four; whose share a connection takes is chance.
    share = 4 // bench.lab.engine.workers()
    assert share <= len(held) <= 4, "%d connections work" % len(held)
    for connection in held:
        assert ask(connection, b"still here") == b"still here"


def test_9_refused_by_overload(bench):
    """`cookies: never` with all state taken: RST, and in again afterwards."""
    port = bench.serve("never", echo)

    def refused():
        with End(bench.lab, port) as end:
            end.syn()
            return end.get(where=lambda p: str(p[TCP].flags) == "RA", timeout=0.5)

    with bench.flood(20000, 60, port=port):
        wait_for("a SYN to be refused", refused)
    assert bench.server.accepted == 0

    def enters():
        try:
            with dial(bench.lab, port) as connection:
                return ask(connection, b"room") == b"room"
        except ConnectionRefusedError:
            return False

    wait_for("room for a client", enters, 60)


# Around them


def test_spoofed_syn_over_half_open(bench):
    """A spoofed SYN on the same ports replaces the entry; the client still gets in."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        end.syn()
        end.syn_ack()
        mine = end.iss, end.snd_nxt, end.rcv_nxt
        end.send("S", seq=end.iss + 0x1234567, options=PLAIN)
        end.expect("SA", where=lambda p: p[TCP].ack != mine[1])
        end.iss, end.snd_nxt, end.rcv_nxt = mine
        end.send("A")
        end.echoes()
        end.reset()


def test_restart_in_mid_handshake(bench):
    """The next run with the same secret accepts the cookies of the one before."""
    for service in ("state", "cookie"):
        port = bench.serve(service, echo)
        with End(bench.lab, port) as end:
            end.syn()
            end.syn_ack()
            bench.lab.engine.restart()
            bench.lab.wait_for_path()
            end.send("A")
            end.echoes()
            end.reset()


def test_replay_after_reset(bench):
    """A cookie opens one connection: the replayed request is not served again."""
    for service in ("state", "cookie"):
        port = bench.serve(service, echo)
        with End(bench.lab, port) as end:
            end.syn()
            end.syn_ack()
            request = b"GET / HTTP/1.1\r\n\r\n"
            replay = end.segment("PA", data=request)
            end.write(request)
            assert end.read(len(request)) == request
            end.reset()
            served = bench.server.accepted
            refused = bench.counts("spent_replayed")

            def replayed():
                end.tap.send(replay)
                return refused()

            wait_for("the replay to be refused", replayed, interval=0.2)
            assert bench.server.accepted == served, "the server saw the request again"


def test_answers_to_impossible_segments(bench):
    """What is neither SYN nor proof: RST, or nothing, with a name in the counters."""
    port = bench.serve("state", echo)
    for flags, counter in (("SF", "drop_flags"), ("SR", "drop_flags"), ("FPU", "drop_flags"),
                           ("R", "drop_stray_rst"), ("SA", "drop_stray_syn_ack")):
        with End(bench.lab, port) as end, bench.grows(counter):
            end.send(flags, ack=1)
            end.silence(0.3)
    with End(bench.lab, port) as end:
        # Where cookies are out, as after a test with a flood, it must not pass for the echo of a
        # SYN-ACK whose cookie is alive: TSval of one counts 4 ms in its 15 high bits.
        end.tsecr = (int(time.time() * 1000) - 90000 >> 2 & 0x7fff) << 17
        end.send("A", ack=0x12345678)
        packet = end.expect("R")
        assert packet[TCP].seq == 0x12345678 and str(packet[TCP].flags) == "R"
        assert bench.server.accepted == 0


def test_transparent_until_flooded(bench):
    """`calm: transparent`: handshakes pass, and are split above the watermark only."""
    port = bench.serve("calm", echo, teach=False)
    for _ in range(3):
        with bench.grows("tracked"), dial(bench.lab, port) as connection:
            assert ask(connection, b"as it is") == b"as it is"
    bench.calm("calm")
    entered, left = (bench.counts_each("cookie_mode_" + word) for word in ("entered", "left"))
    with bench.flood(5000, 30, port=port):
        wait_for("cookie mode", entered)
        for _ in range(5):
            with bench.grows("connected"), dial(bench.lab, port) as connection:
                assert ask(connection, b"split") == b"split"
    wait_for("the end of cookie mode", left, 60)
    with bench.grows("tracked"), dial(bench.lab, port) as connection:
        assert ask(connection, b"as it was") == b"as it was"


def test_respond(bench):
    """The engine is the server: takes data, answers FIN with FIN."""
    port = bench.port("respond")
    for family in (4, 6):
        with dial(bench.lab, port, family) as connection:
            connection.sendall(b"q" * 100000)
            connection.shutdown(socket.SHUT_WR)
            assert read(connection, 1) == b""
