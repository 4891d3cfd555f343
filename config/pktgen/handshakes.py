# SPDX-License-Identifier: BSD-3-Clause
"""Real clients beside a flood: connects by the kernel's TCP, sends a line, closes, and says how
it went.

    handshakes.py ADDRESS [--port N] [--number N] [--rate PER_SECOND] [--timeout SECONDS]

A connection is good if it was established and its data acknowledged. The status is 1 if one failed.
"""

import argparse
import socket
import sys
import time


def attempt(address, port, timeout_s):
    """(how long the handshake took in seconds, or None; why it failed)."""
    begun = time.monotonic()
    try:
        with socket.create_connection((address, port), timeout_s) as connection:
            taken = time.monotonic() - begun
            connection.sendall(b"hello\n")
            connection.shutdown(socket.SHUT_WR)
            # A responder answers FIN with FIN once it has all that came before.
            while connection.recv(4096):
                pass
        return taken, None
    except OSError as error:
        return None, str(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--timeout", type=float, default=5)
    options = parser.parse_args()
    taken, errors = [], {}
    begun = time.monotonic()
    for i in range(options.number):
        time.sleep(max(0, begun + i / options.rate - time.monotonic()))
        seconds, error = attempt(options.address, options.port, options.timeout)
        if error is None:
            taken.append(seconds)
        else:
            errors[error] = errors.get(error, 0) + 1
    line = "%d good, %d failed" % (len(taken), sum(errors.values()))
    if taken:
        taken.sort()
        line += "; handshake p50 %.2f ms, p99 %.2f ms, longest %.2f ms" % tuple(
            1000 * taken[min(len(taken) - 1, int(share * len(taken)))] for share in (.5, .99, 1))
    print(line)
    for error, times in sorted(errors.items()):
        print("%5d x %s" % (times, error))
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
