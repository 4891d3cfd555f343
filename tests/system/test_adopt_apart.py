# SPDX-License-Identifier: BSD-3-Clause
"""synfront-adopt behind front ends that differ: whose clocks are apart from the server's, and who
change their master secret one after the other; clients that come when their cookie has died; and
what comes from outside in a server's name or over a live connection."""

import os
import random
import re
import secrets
import socket
import time

from adopt import CONFIG, Proven, agent, serve
from bench import anywhere, thorough
from cookies import EPOCH_S

BRINGS_ENGINES = True

OWN_PORT = 9998  # from which the server connects; a port of a service
GUESSES, ROUNDS = 500, 20  # at once: more than the CPUs here look at

TWO_SECRETS = CONFIG.replace("/group}", "/group, next: %(work)s/group.next}")


@anywhere
def test_first_timeout_of_clocks_apart(bench):
    """A front end whose clock is 2 s ahead, in step, and 2 s behind; and a client whose first segment
    comes late: what the server's kernel takes for the round trip stays plausible."""
    server = agent(bench)
    port, _ = serve(bench)
    # All of it in one epoch, the one before for what is behind.
    time.sleep(-time.time() % EPOCH_S if time.time() % EPOCH_S > 20 else 0)
    for ahead, least, most in ((2, 250, 1000), (0, 0, 1000), (-2, 2000, 2400), (-15, 2000, 2400)):
        for family in (4, 6):
            with Proven(server, port, at=time.time() + ahead, family=family) as client:
                with server.grows("opened"):
                    client.send("A")
                said = bench.lab.run("server", "ss", "-Htni", "sport", "= :%d" % port)
                sample, rto = (float(re.search(name + r":([0-9.]+)", said).group(1))
                               for name in ("rtt", "rto"))
                assert least <= sample <= most and rto <= 7000, (ahead, said)
                client.exchange()
                client.reset()


@anywhere
@thorough
def test_clocks_apart(bench):
    """The front end's clock is 2 s ahead, and 2 s behind, over the change of an epoch."""
    server = agent(bench)
    port, _ = serve(bench)
    # Within the last two seconds of an epoch, and then within the first two of the next.
    time.sleep((28.3 - time.time()) % EPOCH_S)
    for skew in (2, -2):
        for family in (4, 6):
            with server.grows("opened"), Proven(server, port, at=time.time() + skew,
                                                family=family) as client:
                client.send("A")
                client.reset()
        if skew > 0:
            time.sleep((0.1 - time.time()) % EPOCH_S)


@anywhere
@thorough
def test_two_secrets(bench):
    """Front ends change their master secret one after the other: cookies of either open a
    connection, and no others. Then the new secret is the only one."""
    server = agent(bench, linger=True)
    port, _ = serve(bench)
    old, new = server.secret, server.secret_next

    def expect(**opened):
        for name, secret in (("old", old), ("new", new), ("neither", secrets.token_bytes(32))):
            for family in (4, 6):
                with Proven(server, port, secret=secret, family=family) as client:
                    with server.grows("opened" if opened.get(name) else "unproven"):
                        client.send("A")
                    if opened.get(name):
                        client.exchange()
                        client.reset()
                    else:
                        client.silence()

    def restart(config):
        server.end()
        server.write(config)
        assert server.check()[0] == 0, server.check()
        server.begin()
        assert "took over" in server.process.output()

    expect(old=True)
    restart(TWO_SECRETS)
    expect(old=True, new=True)
    restart(CONFIG.replace("/group}", "/group.next}"))
    expect(new=True)


@anywhere
def test_two_secrets_differ(bench):
    """A copy of the file is no second secret, and a file that others can read is none."""
    server = agent(bench)
    server.write(TWO_SECRETS)
    server.write_secret("group.next", server.secret)
    status, said = server.check()
    assert status == 1 and "secret.next: found in " in said and "expected another one" in said, said
    os.chmod(os.path.join(bench.lab.work, "group.next"), 0o644)
    status, said = server.check()
    assert status == 1 and "secret.next: found " in said and "mode 0644" in said, said


@anywhere
def test_cookie_has_died(bench):
    """A client whose ACK was lost says something only when its cookie has died: that is answered by
    a RST, so that it does not go on for a quarter of an hour. An ACK alone is not, nor is what is
    older than ten minutes."""
    server = agent(bench)
    port, _ = serve(bench)
    for family in (4, 6):
        for timestamps, ago in ((True, 70), (False, 70), (True, 500)):
            with Proven(server, port, timestamps, at=time.time() - ago, family=family) as client:
                with server.grows("unproven"):
                    client.send("A")
                client.silence(0.2)
                for flags, data in (("PA", b"at last"), ("FA", b"")):
                    with server.grows("expired"):
                        client.send(flags, data)
                    assert client.expect("R")["TCP"].seq == client.rcv_nxt
        with Proven(server, port, at=time.time() - 700, family=family) as client:
            with server.grows("unproven"):
                client.send("PA", b"at last")
            client.silence(0.2)


@anywhere
def test_syn_acks_from_outside(bench):
    """At a listener they are dropped, where the kernel alone would send a RST to whoever they name;
    a connection that the server itself opens from a port of a service gets its own."""
    server = agent(bench)
    port, _ = serve(bench)
    for family in (4, 6):
        with Proven(server, port, family=family) as client, server.grows("syn_ack"):
            client.send("SA")
            client.silence()
    with Proven(server, OWN_PORT) as peer, server.grows("handshake"), \
            bench.lab.socket("server") as connecting:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connecting.bind(("0.0.0.0", OWN_PORT))
        connecting.setblocking(False)
        connecting.connect_ex((peer.own, peer.own_port))
        syn = peer.expect("S")
        peer.rcv_nxt = (syn["TCP"].seq + 1) & 0xffffffff
        peer.snd_nxt = peer.iss
        peer.send("SA", options=[("MSS", 1460)])
        peer.expect("A")


@anywhere
def test_guesses_over_a_live_connection(bench):
    """So many a second are looked at; the connection lives, and when they end its client comes again."""
    server = agent(bench)
    port, _ = serve(bench)
    with Proven(server, port) as client:
        client.send("A")
        client.exchange(b"once")
        guesses = [bytes(client.segment("A", ack=random.getrandbits(32))) for _ in range(GUESSES)]
        untried = server.count("takeover_untried")
        for _ in range(ROUNDS):
            for guess in guesses:
                client.tap.send(guess)
        assert server.count("takeover_untried") > untried
        client.exchange(b"still here")
        time.sleep(0.1)
        client.answer(iss=random.getrandbits(32))
        client.written.clear()
        with server.grows("takeover_connected"), server.grows("opened"):
            client.send("A")
        client.exchange(b"again")
        client.reset()
