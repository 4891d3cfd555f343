# SPDX-License-Identifier: BSD-3-Clause
"""Servers that are down, refuse, come back, or do not do what they did before."""

import socket
import time

from bench import anywhere
from lab import N_PREFIXES, prefix_address, wait_for
from raw import End, option
from servers import Server, ask, dial, echo, read


def attempt(bench, port, number=1, timeout=15):
    """What a client sees: "works", "refused" or "reset"."""
    try:
        with dial(bench.lab, port, source=prefix_address(number), timeout=timeout) as connection:
            return "works" if ask(connection, b"hello") == b"hello" else "reset"
    except ConnectionRefusedError:
        return "refused"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"


@anywhere
def test_refuses_and_comes_back(bench):
    """A port without listener: the proven client gets RST; when it listens again
    clients get in, at the latest at the next probe."""
    port = bench.serve("state", echo)
    bench.server.close()
    with bench.grows("refused_by_server"):
        assert attempt(bench, port) in ("refused", "reset")
    bench.keep(Server(bench.lab, port, echo))
    wait_for("the server to be used again", lambda: attempt(bench, port) == "works")


def test_is_taken_for_down(bench):
    """Refusals to several prefixes: SYNs get what a closed port gives, and one
    success brings everybody back."""
    port = bench.serve("state", echo)
    bench.server.close()
    down = bench.down()
    with bench.grows("backend_down"):
        for number in range(N_PREFIXES * bench.options.workers):
            attempt(bench, port, number % N_PREFIXES + 1)
    wait_for("a SYN to be refused at once", lambda: attempt(bench, port) == "refused")
    bench.keep(Server(bench.lab, port, echo))
    with bench.grows("backend_up"):
        # Each worker that found it down tries it for itself.
        wait_for("the probes to succeed",
                 lambda: attempt(bench, port) == "works" and bench.down() == down)
    for number in range(1, N_PREFIXES + 1):
        assert attempt(bench, port, number) == "works"


def test_one_banned_source_takes_nobody_down(bench):
    """A server that refuses one source only stays up for the others."""
    port = bench.serve("state", echo)
    rule = "chain in { type filter hook input priority 0; ip saddr 10.77.3.1 tcp dport %d " \
        "reject with tcp reset; }" % port
    down = bench.counts("backend_down")
    with bench.nft("server", rule):
        for _ in range(12):
            assert attempt(bench, port, 3) in ("refused", "reset")
        assert attempt(bench, port, 2) == "works"
    assert not down()


def test_stays_silent(bench):
    """A server that does not answer: the client gets RST, in time."""
    port = bench.serve("state", echo)
    rule = "chain in { type filter hook input priority 0; tcp dport %d drop; }" % port
    with bench.nft("server", rule), bench.grows("server_silent"):
        assert attempt(bench, port, timeout=40) == "reset"
    wait_for("the server to be used again", lambda: attempt(bench, port) == "works")


@anywhere
def test_is_slow_to_answer(bench):
    """The server's answers are lost for a while: early data waits, none is lost."""
    port = bench.serve("state", echo)
    rule = "chain out { type filter hook output priority 0; tcp sport %d tcp flags syn drop; }" \
        % port
    with bench.nft("server", rule):
        connection = bench.keep(dial_without_waiting(bench, port))
        time.sleep(1.2)
    finish(connection, b"e" * 1000)


def dial_without_waiting(bench, port):
    """A client that sends its request as soon as it can."""
    connection = bench.lab.socket("client")
    connection.setblocking(False)
    connection.connect_ex(("198.51.100.10", port))
    return connection


def finish(connection, message):
    connection.settimeout(30)
    def sent():
        try:
            return connection.send(message)
        except (BlockingIOError, OSError):
            return 0
    assert wait_for("the connection to open", sent) == len(message)
    assert read(connection, len(message)) == message


def test_without_timestamps_is_learned(bench):
    """What a server does not have is not promised for it, once it is known."""
    with bench.lab.sysctls("server", {"ipv4.tcp_timestamps": 0, "ipv4.tcp_sack": 0}):
        port = bench.serve("state", echo)
        for number in range(1, N_PREFIXES + 1):
            assert attempt(bench, port, number) == "works"
        with End(bench.lab, port) as end:
            answer = end.open()
            assert option(answer, "Timestamp") is None, answer
            assert option(answer, "SAckOK") is None, answer
            end.write(b"plain")
            assert end.read(5) == b"plain"
            end.reset()


def test_breaks_a_learned_promise(bench):
    """Timestamps were promised and are gone: reset, forgotten, and then right."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        assert option(end.open(), "Timestamp"), "timestamps were never promised"
        end.reset()
    with bench.lab.sysctls("server", {"ipv4.tcp_timestamps": 0}):
        with bench.grows("promise_broken"):
            assert attempt(bench, port) != "works"
        wait_for("the engine to promise what the server does",
                 lambda: attempt(bench, port) == "works")


def test_loses_window_scaling_and_sack(bench):
    """These are converted and stripped: connections go on."""
    port = bench.serve("state", echo)
    with End(bench.lab, port) as end:
        assert option(end.open(), "WScale"), "window scaling was never promised"
        end.reset()
    with bench.lab.sysctls("server", {"ipv4.tcp_window_scaling": 0, "ipv4.tcp_sack": 0}):
        with dial(bench.lab, port) as connection:
            message = bytes(range(256)) * 2000
            connection.sendall(message[:1])
            assert connection.recv(1) == message[:1]
            for start in range(0, len(message), 20000):
                assert ask(connection, message[start:start + 20000]) \
                    == message[start:start + 20000]


@anywhere
def test_speaks_first(bench):
    """A greeting reaches a client that says nothing; both families, also by cookie."""
    from servers import greet
    for service in ("state", "cookie"):
        port = bench.serve(service, greet)
        for family in (4, 6):
            with dial(bench.lab, port, family) as connection:
                assert read(connection, 21) == b"hello, who is there?\n"


@anywhere
def test_resets_a_connection(bench):
    """A server's RST in mid-connection reaches the client."""
    def abort(connection):
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    port = bench.serve("state", abort)
    with dial(bench.lab, port) as connection:
        connection.sendall(b"go on")
        try:
            assert connection.recv(10) is None, "no reset came"
        except ConnectionResetError:
            pass
