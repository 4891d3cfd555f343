#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Clients of the demo: one request after the other is begun, however long each takes.

    clients.py ADDRESS PORT PATH REQUESTS_PER_S NUMBER PATIENCE_S

Prints a line for each request that has come to its end: when (of CLOCK_MONOTONIC), how long
it took in seconds, and "good" or what went wrong. A process of its own, which has the CPU
whenever it wants it: else a request would last as long as the scheduler's turns.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import sys
import time

REALTIME = 10
# A connection ends by RST, and its port is free again at once.
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def at_once():
    """Have the CPU whenever there is something to do, where that may be asked for."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REALTIME))


class Request:
    """One connection, one GET, one answer."""

    def __init__(self, to, path, patience):
        self.begun = time.monotonic()
        self.deadline = self.begun + patience
        self.text = b"GET %s HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n" % path.encode()
        self.answer = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.socket.connect_ex(to)

    def step(self, poll, events):
        """What has become of it, or None if it goes on."""
        try:
            if events & select.EPOLLIN:
                return self.receive()
            failed = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                return errno.errorcode.get(failed, str(failed))
            if events & select.EPOLLOUT:
                self.socket.sendall(self.text)
                poll.modify(self.socket, select.EPOLLIN)
            return None
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))

    def receive(self):
        piece = self.socket.recv(65536)
        self.answer += piece
        if piece:
            return None
        return "good" if self.answer.startswith(b"HTTP/1.1 200 ") else "bad answer"


class Clients:
    def __init__(self, to, path, pace, number, patience):
        self.to, self.path, self.patience = to, path, patience
        self.pace, self.left = pace, number
        self.poll = select.epoll()
        self.open = {}

    def begin(self):
        request = Request(self.to, self.path, self.patience)
        self.open[request.socket.fileno()] = request
        self.poll.register(request.socket, select.EPOLLOUT)
        self.left -= 1

    def end(self, number, how):
        request = self.open.pop(number)
        now = time.monotonic()
        self.poll.unregister(request.socket)
        request.socket.close()
        print("%.6f %.6f %s" % (now, now - request.begun, how), flush=True)

    def run(self):
        due = time.monotonic()
        while self.left or self.open:
            now = time.monotonic()
            if self.left and now >= due:
                self.begin()
                due = max(due + self.pace, now - self.pace)
            for number, events in self.poll.poll(max(0.0, due - now) if self.left else 0.1):
                how = self.open[number].step(self.poll, events)
                if how:
                    self.end(number, how)
            for number in [n for n, one in self.open.items() if one.deadline < now]:
                self.end(number, "no answer in %g s" % self.patience)


def main():
    if len(sys.argv) != 7:
        sys.exit("usage: clients.py ADDRESS PORT PATH REQUESTS_PER_S NUMBER PATIENCE_S")
    host, port, path, rate, number, patience = sys.argv[1:]
    at_once()
    Clients((host, int(port)), path, 1 / float(rate), int(number), float(patience)).run()


if __name__ == "__main__":
    main()
