# SPDX-License-Identifier: BSD-3-Clause
"""A service that comes by a reload takes over the connections that crossed until then."""

import contextlib
import time

from engines import Synfront
from servers import Server, ask, dial, echo

BRINGS_ENGINES = True

ECHO_PORT = 81
OTHER_PORT = 82
# After this long both ends of a connection that could not be taken over get a RST.
PATIENCE = 10
# How long is adopted, in seconds.
ADOPT = 5


def config(bench, services):
    """The usual engine with other services, NAME: (PORTS, MODE), that adopts."""
    head, _, rest = bench.config().partition("services:\n")
    lines = []
    for name, (ports, mode) in services.items():
        lines += ["  - name: " + name, "    addresses: [198.51.100.0/24, \"2001:db8:1::/64\"]",
                  "    ports: [%s]" % ports, "    mode: " + mode]
    return (head + "services:\n" + "\n".join(lines) + "\n\nhandshake:\n"
            + rest.partition("\nhandshake:\n")[2]).replace("adopt: 0", "adopt: %ds" % ADOPT) \
        .replace("closed_port: reset", "closed_port: pass")


def test_reload_takes_connections_over(bench):
    """What crossed by `bypass`, and where no service was: idle and busy ones of both families."""
    bench.no_nginx()
    engine = bench.engine(Synfront(config(bench, {"web": (ECHO_PORT, "bypass")}),
                                   instance="reload"))
    connections = []
    for port in (ECHO_PORT, OTHER_PORT):
        bench.keep(Server(bench.lab, port, echo))
        for family in (4, 6):
            connection = bench.keep(contextlib.closing(dial(bench.lab, port, family)))
            assert ask(connection, b"before") == b"before"
            connections.append(connection)
    time.sleep(ADOPT)  # what it does after its start is over
    said = engine.reload(config(bench, {"web": (ECHO_PORT, "proxy"), "new": (OTHER_PORT, "proxy")}))
    assert "not reloaded" not in said, said
    for number in range(3):
        for connection in connections:
            text = b"after %d " % number * 100
            assert ask(connection, text) == text
        if number == 0:
            assert bench.count("adopted") == len(connections), engine.counters()
        if number == 1:
            time.sleep(PATIENCE + 2)
    assert not bench.count("rst_sent") and not bench.count("adopt_refused"), engine.counters()
    # One more reload with nothing of that kind in it opens nothing.
    passed = bench.count("passed_adopted")
    said = engine.reload(config(bench, {"web": (ECHO_PORT, "proxy"), "new": (OTHER_PORT, "proxy")}))
    assert "not reloaded" not in said, said
    for connection in connections:
        assert ask(connection, b"at last") == b"at last"
    assert bench.count("passed_adopted") == passed
