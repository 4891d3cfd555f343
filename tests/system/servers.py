# SPDX-License-Identifier: BSD-3-Clause
"""Servers and clients on real sockets, as threads of the test's own process."""

import contextlib
import hashlib
import socket
import struct
import threading
import time

from lab import SERVER, address


class Server:
    """Listens on a port in a node, both families; handler(connection) in a
    thread for each connection. Whatever was accepted is counted."""

    def __init__(self, lab, port, handler, node="server", backlog=4096):
        self.listener = lab.socket(node, socket.AF_INET6)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("::", port))
        self.listener.listen(backlog)
        self.handler = handler
        self.accepted = 0
        self.errors = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def handle(self, connection):
        connection.settimeout(60)
        try:
            with connection:
                self.handler(connection)
        except OSError as error:
            self.errors.append(error)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def echo(connection):
    """Send back what comes, until the client has finished."""
    while True:
        data = connection.recv(65536)
        if not data:
            return
        connection.sendall(data)


def greet(connection):
    """Speak first, then echo."""
    connection.sendall(b"hello, who is there?\n")
    echo(connection)


def say_and_close(connection):
    """Answer one request and be the first to close."""
    connection.recv(4096)
    connection.sendall(b"bye\n")
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def digest_back(connection):
    """Read to the client's FIN, and only then send the SHA-256 of it all."""
    digest = hashlib.sha256()
    while True:
        data = connection.recv(1 << 18)
        if not data:
            break
        digest.update(data)
    connection.sendall(digest.hexdigest().encode())


def pattern(size, seed):
    """Bytes that repeat only after 64 KiB blocks numbered and hashed."""
    sent = 0
    block = hashlib.shake_128(b"%d" % seed).digest(1 << 16)
    number = 0
    while sent < size:
        piece = struct.pack("!Q", number) + block[8:]
        piece = piece[:size - sent]
        yield piece
        sent += len(piece)
        number += 1


class Both:
    """A server's handler: sends `size` bytes of a pattern while it reads to the
    client's FIN, and notes the digests of both."""

    def __init__(self, size, seed):
        self.size, self.seed = size, seed
        self.received = None
        self.done = threading.Event()

    def __call__(self, connection):
        received = exchange(connection, self.size, self.seed)[1]
        # Connections that only make the engine learn send nothing.
        if received != hashlib.sha256().hexdigest():
            self.received = received
            self.done.set()

    def pieces(self):
        return pattern(self.size, self.seed)


def exchange(connection, size, seed):
    """Send and receive at once; the SHA-256 of what was sent and what came. An error
    of either is raised: the kernel tells of a reset once, to whoever asks first,
    and to the other it looks like the end."""
    sent = hashlib.sha256()
    errors = []

    def send():
        try:
            for piece in pattern(size, seed):
                connection.sendall(piece)
                sent.update(piece)
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            errors.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    received = hashlib.sha256()
    while True:
        data = connection.recv(1 << 18)
        if not data:
            break
        received.update(data)
    sender.join()
    if errors:
        raise errors[0]
    return sent.hexdigest(), received.hexdigest()


def dial(lab, port, family=4, source=None, host=SERVER, node="client", timeout=30, own_port=0):
    """A client's connected socket."""
    connection = lab.socket(node, socket.AF_INET if family == 4 else socket.AF_INET6)
    try:
        connection.settimeout(timeout)
        if own_port:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source or own_port:
            connection.bind((source or "", own_port))
        connection.connect((host if isinstance(host, str) else address(host, family), port))
    except BaseException:
        connection.close()
        raise
    return connection


def ask(connection, message):
    """Send a message to an echoing server and read it back."""
    connection.sendall(message)
    return read(connection, len(message))


def read(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data


def read_all(connection):
    data = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece


def outcome(action, *args, patience=20.0, **kwargs):
    """Try until it works or time is up; for what may take a retry by design."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return action(*args, **kwargs)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
