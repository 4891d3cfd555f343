# SPDX-License-Identifier: BSD-3-Clause
"""synfront-adopt: the kernel of the server takes clients over from their cookies."""

import random
import socket
import time

from adopt import Proven, agent
from bench import anywhere
from lab import CLIENT, address, wait_for
from raw import Wiretap
from servers import Server, echo


def serve(bench, handler=echo, port=7000, **fields):
    return bench.keep(Server(bench.lab, port, handler, **fields))


@anywhere
def test_handed_over(bench):
    """With each combination of options and in both families: what was sent is echoed."""
    server = agent(bench)
    serve(bench)
    for family in (4, 6):
        for timestamps in (True, False):
            for full in (True, False):
                with server.grows("opened"), \
                        Proven(server, 7000, timestamps, full, family=family) as client:
                    client.send("A")
                    client.exchange()
                    client.reset()
