# SPDX-License-Identifier: BSD-3-Clause
"""What a client and a server of the soak say to each other.

Each connection begins with a header that says what kind it is, who it is, and
how much goes either way. What goes is a pattern that both ends can compute from
the number of the connection; each end hashes what it receives and compares. The
two ends are in one process, so what the server saw reaches the client's record
through a ledger and not over the wire.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
# pylint: disable=wrong-import-position
from servers import pattern

# Kind, flags, number of the connection, bytes to the server, bytes to the client.
HEADER = struct.Struct("!BBQQQ")
SERVER_CLOSES = 1
# A port at which the server speaks first.
GREETING_PORT = 7001
GREETING = b"220 server.lab, what is it?\r\n"
PING_SIZE = 64
DIGEST_SIZE = 32
PIECE = 1 << 18

SHORT, BULK, CLIENT_HALF, SERVER_HALF, CLIENT_ABORTS, SERVER_ABORTS, PING, VISIT = range(8)
NAMES = ("short", "bulk", "half-closed by client", "half-closed by server", "aborted by client",
         "aborted by server", "long-lived", "closed at once")


class Wrong(Exception):
    """The other end did something that no network fault explains."""


def expected(size, seed):
    digest = hashlib.sha256()
    for piece in pattern(size, seed):
        digest.update(piece)
    return digest.digest()


async def send_pattern(sock, size, seed):
    loop = asyncio.get_running_loop()
    for piece in pattern(size, seed):
        await loop.sock_sendall(sock, piece)


async def read_exactly(sock, size):
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        piece = await loop.sock_recv(sock, size - len(data))
        if not piece:
            raise Wrong("an orderly end after %d of %d bytes" % (len(data), size))
        data += piece
    return data


async def read_digest(sock, size):
    """The SHA-256 of so many bytes."""
    loop = asyncio.get_running_loop()
    digest = hashlib.sha256()
    while size:
        piece = await loop.sock_recv(sock, min(size, PIECE))
        if not piece:
            raise Wrong("an orderly end, %d bytes missing" % size)
        digest.update(piece)
        size -= len(piece)
    return digest.digest()


async def read_end(sock):
    piece = await asyncio.get_running_loop().sock_recv(sock, 1)
    if piece:
        raise Wrong("data after the last byte")


async def compare(sock, size, seed):
    """Read a pattern, and have the right bytes."""
    if await read_digest(sock, size) != expected(size, seed):
        raise Wrong("bytes differ")


async def both(sender, receiver):
    """Send and receive at once; what goes wrong first ends both."""
    tasks = [asyncio.ensure_future(sender), asyncio.ensure_future(receiver)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def abort(sock):
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def must_be_reset(sock):
    """Read whatever comes, up to an RST."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            if not await loop.sock_recv(sock, PIECE):
                raise Wrong("an orderly end instead of RST")
    except ConnectionResetError:
        return


class Ledger:
    """What the server's end of each connection came to."""

    def __init__(self):
        self.verdicts = {}

    def enter(self, number):
        self.verdicts[number] = asyncio.get_running_loop().create_future()

    def settle(self, number, error):
        verdict = self.verdicts.get(number)
        if verdict and not verdict.done():
            verdict.set_result(error)

    async def verdict(self, number):
        """Raises what the server's end raised."""
        error = await self.verdicts[number]
        if error:
            raise type(error)("server: %s" % error)

    def complaint(self, number):
        """What the server's end has found wrong so far, or None: its reset of the client is
        no fault of the network's."""
        verdict = self.verdicts.get(number)
        error = verdict.result() if verdict and verdict.done() else None
        return error if isinstance(error, Wrong) else None

    def leave(self, number):
        self.verdicts.pop(number, None)


# The server's end

async def serve_one(sock, port, ledger):
    """A connection's whole life at the server."""
    number = None
    try:
        if port == GREETING_PORT:
            await asyncio.get_running_loop().sock_sendall(sock, GREETING)
        try:
            head = await read_exactly(sock, HEADER.size)
        except (Wrong, OSError):
            return      # one that was closed at once, or reset
        kind, flags, number, up, down = HEADER.unpack(head)
        await SERVE[kind](sock, flags, number, up, down)
        ledger.settle(number, None)
    except (OSError, Wrong) as error:
        ledger.settle(number, error)
    finally:
        sock.close()


async def serve_exchange(sock, flags, number, up, down):
    await both(send_pattern(sock, down, number + 1), compare(sock, up, number))
    if flags & SERVER_CLOSES:
        sock.shutdown(socket.SHUT_WR)
    await read_end(sock)


async def serve_client_half(sock, _flags, number, up, down):
    await compare(sock, up, number)
    await read_end(sock)
    await send_pattern(sock, down, number + 1)


async def serve_server_half(sock, _flags, number, up, down):
    await send_pattern(sock, down, number + 1)
    sock.shutdown(socket.SHUT_WR)
    await compare(sock, up, number)
    await read_end(sock)


async def serve_client_aborts(sock, _flags, number, _up, down):
    await send_pattern(sock, down, number + 1)
    await must_be_reset(sock)


async def serve_server_aborts(sock, _flags, number, up, down):
    await compare(sock, up, number)
    await send_pattern(sock, down, number + 1)
    abort(sock)


async def serve_pings(sock, _flags, _number, _up, _down):
    loop = asyncio.get_running_loop()
    while True:
        data = await loop.sock_recv(sock, PING_SIZE)
        if not data:
            return
        await loop.sock_sendall(sock, data)


SERVE = {SHORT: serve_exchange, BULK: serve_exchange, CLIENT_HALF: serve_client_half,
         SERVER_HALF: serve_server_half, CLIENT_ABORTS: serve_client_aborts,
         SERVER_ABORTS: serve_server_aborts, PING: serve_pings}


# The client's end. `plan` has kind, flags, number, up, down; and for PING pauses, the
# patience with each answer, and an event that ends it early.

async def talk(sock, plan, ledger):
    """All that a client does on a connected socket."""
    if plan.port == GREETING_PORT and await read_exactly(sock, len(GREETING)) != GREETING:
        raise Wrong("bytes differ")
    if plan.kind == VISIT:
        return
    await asyncio.get_running_loop().sock_sendall(sock, HEADER.pack(
        plan.kind, plan.flags, plan.number, plan.up, plan.down))
    await TALK[plan.kind](sock, plan)
    # A server of another process keeps no ledger here.
    if plan.keeps_ledger:
        await ledger.verdict(plan.number)


async def talk_exchange(sock, plan):
    await both(send_pattern(sock, plan.up, plan.number), compare(sock, plan.down, plan.number + 1))
    if plan.flags & SERVER_CLOSES:
        await read_end(sock)
    sock.shutdown(socket.SHUT_WR)
    if not plan.flags & SERVER_CLOSES:
        await read_end(sock)


async def talk_client_half(sock, plan):
    await send_pattern(sock, plan.up, plan.number)
    sock.shutdown(socket.SHUT_WR)
    await compare(sock, plan.down, plan.number + 1)
    await read_end(sock)


async def talk_server_half(sock, plan):
    await compare(sock, plan.down, plan.number + 1)
    await read_end(sock)
    await send_pattern(sock, plan.up, plan.number)
    sock.shutdown(socket.SHUT_WR)


async def talk_client_aborts(sock, plan):
    await compare(sock, plan.down, plan.number + 1)
    abort(sock)


async def talk_server_aborts(sock, plan):
    await send_pattern(sock, plan.up, plan.number)
    await must_be_reset(sock)


async def talk_pings(sock, plan):
    loop = asyncio.get_running_loop()
    for number, pause in enumerate(plan.pauses):
        message = hashlib.sha512(b"%d %d" % (plan.number, number)).digest()
        await loop.sock_sendall(sock, message)
        async with asyncio.timeout(plan.patience):
            if await read_exactly(sock, PING_SIZE) != message:
                raise Wrong("bytes differ")
        try:
            await asyncio.wait_for(plan.stop.wait(), pause)
            break
        except TimeoutError:
            pass
    sock.shutdown(socket.SHUT_WR)
    await read_end(sock)


TALK = {SHORT: talk_exchange, BULK: talk_exchange, CLIENT_HALF: talk_client_half,
        SERVER_HALF: talk_server_half, CLIENT_ABORTS: talk_client_aborts,
        SERVER_ABORTS: talk_server_aborts, PING: talk_pings}


def listen(sock, port):
    """Make a socket of AF_INET6 listen to both families."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", port))
    sock.listen(1024)
    sock.setblocking(False)
    return sock


async def serve(listener, port, ledger):
    """Serve whoever comes, for ever."""
    loop = asyncio.get_running_loop()
    tasks = set()
    with contextlib.closing(listener):
        while True:
            sock, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(serve_one(sock, port, ledger))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
