# SPDX-License-Identifier: BSD-3-Clause
"""synfront-adopt: the kernel of the server takes clients over from their cookies. Here the client
makes the cookie itself (adopt.py), so each segment is as a test wants it."""

import os
import re
import signal
import socket
import stat
import time

from adopt import CONFIG, Proven, agent, serve
from bench import Skip, anywhere, thorough
from cookies import EPOCH_S
from lab import wait_for
from servers import Server, echo, read_all, say_and_close
from test_metrics import promtool_is_silent

BRINGS_ENGINES = True


@anywhere
def test_handed_over(bench):
    """With and without timestamps, SACK and scale, in both families: what was sent is echoed."""
    server = agent(bench)
    port, _ = serve(bench)
    for family in (4, 6):
        for timestamps in (True, False):
            for full in (True, False):
                with server.grows("opened"), \
                        Proven(server, port, timestamps, full, family=family) as client:
                    client.send("A")
                    client.exchange()
                    client.reset()


@anywhere
def test_first_segments_of_all_kinds(bench):
    """The ACK is lost and data comes first; FIN with the ACK, FIN with data; a second data segment
    comes first and the first one after it."""
    server = agent(bench)
    port, _ = serve(bench, lambda connection: connection.sendall(read_all(connection) + b"."))
    for family in (4, 6):
        with Proven(server, port, family=family) as client:
            client.write(b"hello")
            client.send("FA")
            assert client.read(6) == b"hello."
        with Proven(server, port, family=family) as client:
            client.send("FA")
            assert client.read(1) == b"."
        with Proven(server, port, family=family) as client:
            client.send("FPA", b"hello")
            client.snd_nxt += 6
            assert client.read(6) == b"hello."
        with Proven(server, port, family=family) as client, server.grows("unproven"):
            client.send("PA", b"lo", seq=client.snd_nxt + 3)
            client.write(b"hel")
            client.expect("A", where=lambda p: p["TCP"].ack == client.snd_nxt & 0xffffffff)
            client.write(b"lo")
            client.send("FA")
            assert client.read(6) == b"hello."


@anywhere
def test_probe_comes_first(bench):
    """A keep-alive or window probe, one below the first byte, with and without a byte: it opens the
    connection, and its byte is not of the stream."""
    server = agent(bench)
    port, _ = serve(bench)
    for family in (4, 6):
        for timestamps in (True, False):
            for data in (b"", b"?"):
                with Proven(server, port, timestamps, family=family) as client:
                    with server.grows("opened"), server.grows("probe"):
                        client.send("A", data, seq=client.iss)
                    client.exchange()
                    client.reset()


@anywhere
def test_extension_headers(bench):
    """IPv6 with options before the ACK's TCP header."""
    from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
    server = agent(bench)
    port, _ = serve(bench)
    between = (IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt())
    with Proven(server, port, family=6, between=between) as client:
        client.send("A")
        client.exchange()
        client.reset()


@anywhere
def test_headers_in_pages(bench):
    """A first segment of which the kernel has only the Ethernet header in one piece, the rest in
    pages: a packet socket makes such frames from a page's size on."""
    server = agent(bench)
    port, _ = serve(bench)
    for node in ("client", "server"):
        bench.lab.set_mtu(node, 9000)
        bench.stack.callback(bench.lab.set_mtu, node, 1500)
    for family in (4, 6):
        for timestamps in (True, False):
            with Proven(server, port, timestamps, family=family) as client, server.grows("opened"):
                client.exchange(b"far more than a page " * 300)
                client.reset()


@anywhere
def test_cookie_opens_one_connection(bench):
    """The first segments again after the close: the server sees one request, and data is reset."""
    server = agent(bench)
    port, listener = serve(bench, say_and_close)
    for timestamps in (True, False):
        listener.accepted = 0
        with Proven(server, port, timestamps) as client:
            client.write(b"GET")
            assert client.read(4) == b"bye\n"
            client.expect("FA")
            client.rcv_nxt += 1
            client.reset()
            wait_for("the connection to be gone", lambda: str(port) not in bench.lab.run(
                "server", "ss", "-Htan", "state", "connected", "sport", "= :%d" % port))
            with server.grows("replayed"), server.grows("spent_data", 3):
                client.send("A", seq=client.iss + 1, ack=client.cookie + 1)
                for _ in range(3):
                    client.send("PA", b"GET", seq=client.iss + 1, ack=client.cookie + 1)
                    client.expect("R")
        assert listener.accepted == 1, listener.accepted


@anywhere
def test_wrong_cookies_are_dropped(bench):
    """Nothing is answered, whatever the segment; a closed port still answers."""
    server = agent(bench)
    port, listener = serve(bench)
    with Proven(server, port) as client:
        with server.grows("unproven", 4):
            client.send("A", ack=client.rcv_nxt + 64)
            client.send("A", seq=client.snd_nxt + 1)
            client.send("PA", b"hello", ack=client.rcv_nxt + 1)
            client.send("FA", ack=client.rcv_nxt - 1)
        client.silence()
    with Proven(server, 9999) as client, server.grows("closed"):
        client.send("A")
        client.expect("R")
    assert listener.accepted == 0


@anywhere
def test_other_ports_are_untouched(bench):
    """A port of no service: the kernel's own handshake, and its RST to a stray ACK."""
    server = agent(bench)
    bench.keep(Server(bench.lab, 10022, echo))
    before = server.status()["counters"]
    with Proven(server, 10022) as client:
        client.send("A")
        client.expect("R")
    with Proven(server, 10022) as client:
        client.open()
        client.exchange()
        client.reset()
    assert server.status()["counters"] == before


@anywhere
def test_own_handshakes_pass(bench):
    """A SYN that a front end lets pass, in calm, and one that the server's kernel answers by a
    cookie of its own."""
    server = agent(bench)
    port, _ = serve(bench)
    for family in (4, 6):
        with server.grows("half_open"), Proven(server, port, family=family) as client:
            client.open()
            client.exchange()
            client.reset()
    with bench.lab.sysctls("server", {"ipv4.tcp_syncookies": 2}):
        for family in (4, 6):
            with server.grows("own_cookie"), Proven(server, port, family=family) as client:
                client.open()
                client.exchange()
                client.reset()


@anywhere
def test_accept_queue_full(bench):
    """Its cookie is not spent: when there is room, what the client sends again opens."""
    server = agent(bench)
    listener = bench.keep(bench.lab.socket("server", socket.AF_INET6))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", 7900))
    listener.listen(1)
    with Proven(server, 7900) as one, Proven(server, 7900) as two, Proven(server, 7900) as three:
        with server.grows("opened", 2):
            one.send("A")
            two.send("A")
        with server.grows("queue_full"):
            three.send("PA", b"hello")
        three.silence()
        listener.accept()[0].close()
        with server.grows("opened"):
            three.send("PA", b"hello")
        three.expect("A", where=lambda p: p["TCP"].ack == (three.snd_nxt + 5) & 0xffffffff)
        for client in (one, two, three):
            client.reset()


@anywhere
def test_round_trip_is_the_clients(bench):
    """The server's first sample of the round trip is what has passed since the SYN-ACK."""
    server = agent(bench)
    port, _ = serve(bench)
    with Proven(server, port, at=time.time() - 0.4) as client:
        client.send("A")
        wait_for("it to be open", lambda: server.count("opened"))
        said = bench.lab.run("server", "ss", "-Htni", "sport", "= :%d" % port)
        sample = float(re.search(r"minrtt:([0-9.]+)", said).group(1))
        client.reset()
    # Not less, and the rest is what this machine took.
    assert 400 <= sample < 3000, said


@anywhere
def test_listeners_of_all_kinds(bench):
    """A dual-stack one is what all tests have; here a group by SO_REUSEPORT, and one that defers
    to accept until there is data."""
    server = agent(bench)
    members = []
    for _ in range(3):
        member = bench.keep(bench.lab.socket("server"))
        member.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        member.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        member.bind(("0.0.0.0", 7901))
        member.listen(16)
        member.settimeout(0.01)
        members.append(member)

    def accepted():
        for member in members:
            try:
                return member.accept()[0]
            except socket.timeout:
                pass
        return None

    for _ in range(4):
        with Proven(server, 7901) as client:
            client.write(b"hello")
            with wait_for("it to be accepted", accepted) as connection:
                assert connection.recv(5) == b"hello"
            client.reset()


@anywhere
def test_tagged(bench):
    """On a VLAN, with the program on the interface below it."""
    server = agent(bench)
    port, _ = serve(bench)
    lab = bench.lab
    try:
        lab.run("server", "ip", "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id",
                "7")
    except RuntimeError as error:
        raise Skip("this kernel has no VLANs: %s" % error) from error
    try:
        lab.run("server", "ip", "addr", "add", "203.0.113.1/24", "dev", "eth0.7")
        lab.run("server", "ip", "link", "set", "eth0.7", "up")
        with Proven(server, port, peer="203.0.113.1", own="203.0.113.77", tags=(7,)) as client:
            lab.run("server", "ip", "neigh", "replace", client.own, "lladdr", client.macs[0], "dev",
                    "eth0.7", "nud", "permanent")
            client.send("A")
            client.exchange()
            client.reset()
    finally:
        lab.run("server", "ip", "link", "del", "eth0.7")


@anywhere
def test_old_cookie_is_refused(bench):
    """Of the epoch before the last one."""
    server = agent(bench)
    port, _ = serve(bench)
    with Proven(server, port, at=time.time() - 2 * EPOCH_S) as client, server.grows("unproven"):
        client.send("A")
    with Proven(server, port, at=time.time() - 27) as client, server.grows("opened"):
        client.send("A")
        client.reset()


@anywhere
def test_linger_restart(bench):
    """While there is no process, clients are taken over; what was spent stays so."""
    server = agent(bench, linger=True)
    port, listener = serve(bench)
    with Proven(server, port) as before, Proven(server, port) as client:
        before.write(b"GET")
        assert before.read(3) == b"GET"
        before.reset()
        opened = server.count("opened")
        for number in (signal.SIGTERM, signal.SIGKILL):
            server.lab.end(server.process, number)
            with Proven(server, port) as meanwhile:
                meanwhile.send("A")
                meanwhile.exchange(b"nobody is there")
                meanwhile.reset()
            server.begin()
            assert "took over" in server.process.output()
            opened += 1
            assert server.count("opened") == opened, server.count("opened")
        client.send("A")
        client.exchange()
        with server.grows("spent_data"):
            before.send("PA", b"GET", seq=before.iss + 1, ack=before.cookie + 1)
        client.reset()
    assert listener.accepted == 4, listener.accepted


@anywhere
def test_agent_is_dead_for_an_epoch(bench):
    """The keys of epochs to come are in the kernel."""
    if not bench.options.long:
        raise Skip("it waits for one epoch and a part: --long")
    server = agent(bench, linger=True)
    port, _ = serve(bench)
    server.process.kill(signal.SIGKILL)
    server.process.wait()
    died = time.time()
    time.sleep(EPOCH_S - time.time() % EPOCH_S + EPOCH_S + 0.5)
    assert time.time() // EPOCH_S >= died // EPOCH_S + 2
    with Proven(server, port) as client:
        client.send("A")
        client.exchange()
        client.reset()


@anywhere
def test_ends_cleanly(bench):
    """Nothing stays that was not to linger: a stray ACK gets the kernel's RST again."""
    server = agent(bench, linger=True)
    port, _ = serve(bench)
    with Proven(server, port) as client:
        server.end()
        server.detach()
        client.send("A")
        client.expect("R")
    assert server.instance not in os.listdir(os.path.join(bench.lab.work, "bpf"))


@anywhere
@thorough
def test_promise_and_metrics(bench):
    """What the kernel grants is written, and again when it changes; metrics are well formed."""
    server = agent(bench)
    work = bench.lab.work
    with open(os.path.join(work, "promise.yaml")) as file:
        assert "window_scaling: true\nsack: true\ntimestamps: true\n" in file.read()

    def promised():
        with open(os.path.join(work, "promise.yaml")) as file:
            return "sack: false" in file.read()

    with bench.lab.sysctls("server", {"ipv4.tcp_sack": 0}):
        wait_for("the promise to be cut", promised)
        wait_for("a finding", lambda: any("tcp_sack is 0" in each["text"]
                                          for each in server.status()["findings"]))
        assert server.process.output().count("net.ipv4.tcp_sack is 0") == 1
    wait_for("the finding to go", lambda: "no longer: net.ipv4.tcp_sack" in server.process.output())
    text = bench.lab.run("server", *server.argv("metrics"))
    assert text.endswith("# EOF\n")
    for line in text.splitlines():
        assert re.match(r'# (TYPE|HELP) synfront_adopt_[a-z_]+ .+$|# EOF$|'
                        r'synfront_adopt_[a-z_]+(\{interface="eth0"\})? \d+$', line), line
    wait_for("the file", lambda: os.path.exists(os.path.join(work, "metrics.prom")))


@anywhere
@thorough
def test_metrics_file(bench):
    """The textfile collector, which is another user, can read the file and its dialect, whatever the
    umask; that it cannot be written is said once."""
    folder = os.path.join(bench.lab.work, "collector")
    before = os.umask(0o077)
    try:
        server = agent(bench, config=CONFIG.replace("metrics.prom", "collector/metrics.prom"))
    finally:
        os.umask(before)
    path = os.path.join(folder, "metrics.prom")
    wait_for("the complaint", lambda: "metrics: %s: No such file" % path in server.process.output())
    time.sleep(11)  # it is tried every ten
    os.mkdir(folder)
    wait_for("the file", lambda: os.path.exists(path))
    wait_for("the word", lambda: "metrics: %s is written again" % path in server.process.output())
    assert server.process.output().count("metrics: ") == 2, server.process.output()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    with open(path) as file:
        text = file.read()
    assert "synfront_adopt_opened_total 0\n" in text and "# EOF" not in text, text
    promtool_is_silent(text)
