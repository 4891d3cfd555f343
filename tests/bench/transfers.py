# SPDX-License-Identifier: BSD-3-Clause
"""A server and a client that time one transfer at a time, and ask the kernel of each end
what it measured (TCP_INFO)."""

import contextlib
import socket
import struct
import threading
import time

PATIENCE = 240
HEAD = 16  # bytes of a request: a letter and a size
GREETING = b"220 ready\r\n"
ANSWER = bytes(100)
PIECE = bytes(1 << 18)
# Offsets into struct tcp_info of include/uapi/linux/tcp.h.
FIELDS = {"srtt": 68, "total_retrans": 100, "min_rtt": 148, "dsack": 216}
INFO_SIZE = 248
NO_SAMPLE = 0xffffffff


def read(connection, size):
    """So many bytes, or fewer if the other end finishes; they are not kept."""
    got = 0
    while got < size:
        piece = connection.recv(min(size - got, len(PIECE)))
        if not piece:
            break
        got += len(piece)
    return got


def send(connection, size, head=b""):
    """`head` and so many bytes; what fits into one call goes in one."""
    first = min(size, len(PIECE))
    connection.sendall(head + PIECE[:first])
    for at in range(first, size, len(PIECE)):
        connection.sendall(PIECE[:size - at])


def tcp_info(connection):
    """What the kernel says of a connection: round trips in milliseconds, counts."""
    raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_SIZE)
    info = {name: struct.unpack_from("=I", raw, at)[0] for name, at in FIELDS.items()
            if at + 4 <= len(raw)}
    for name in ("srtt", "min_rtt"):
        info[name] = None if info[name] == NO_SAMPLE else info[name] / 1000
    return info


class Server:
    """Answers requests on some ports of a node: "D<size>" is for so many bytes, "U<size>"
    comes before so many. On a port of `greeting` it speaks first."""

    def __init__(self, stage, node, ports, greeting):
        self.greeting = greeting
        self.infos = {}
        self.told = threading.Condition()
        self.listeners = []
        for port in (*ports, *greeting):
            listener = stage.socket(node, socket.AF_INET6)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("::", port))
            listener.listen(64)
            self.listeners.append(listener)
            threading.Thread(target=self.serve, args=(listener, port), daemon=True).start()

    def control(self, name):
        """Congestion control of the connections that come from now on."""
        for listener in self.listeners:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())

    def serve(self, listener, port):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(connection, port, peer[1]),
                             daemon=True).start()

    def handle(self, connection, port, peer):
        connection.settimeout(PATIENCE)
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if port in self.greeting:
                connection.sendall(GREETING)
            head = b""
            while len(head) < HEAD:
                piece = connection.recv(HEAD - len(head))
                if not piece:
                    return
                head += piece
            size = int(head[1:])
            if head[:1] == b"D":
                send(connection, size)
            else:
                read(connection, size)
                connection.sendall(ANSWER)
            connection.shutdown(socket.SHUT_WR)
            # The client closes when all has come: everything is acknowledged then.
            read(connection, 1)
            with self.told:
                self.infos[port, peer] = tcp_info(connection)
                self.told.notify_all()

    def info(self, port, peer):
        with self.told:
            if not self.told.wait_for(lambda: (port, peer) in self.infos, 10):
                raise TimeoutError("the server has not seen the end of a connection")
            return self.infos.pop((port, peer))

    def close(self):
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def transfer(stage, node, server, to, way, size, control="cubic"):
    """One connection to the address and port `to`: seconds from its SYN to the last byte
    and to the first one of the answer, and what both ends' kernels measured."""
    with stage.socket(node, socket.AF_INET6 if ":" in to[0] else socket.AF_INET) as client:
        client.settimeout(PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.perf_counter()
        client.connect(to)
        connected = time.perf_counter() - begun
        if to[1] in server.greeting:
            read(client, len(GREETING))
        head = b"%c%015d" % (ord(way), size)
        send(client, 0 if way == "D" else size, head)
        wanted = size if way == "D" else len(ANSWER)
        got = read(client, 1)
        first = time.perf_counter() - begun
        got += read(client, wanted - got)
        if got < wanted or read(client, 1):
            raise ConnectionError("%d bytes of %d came" % (got, wanted))
        taken = time.perf_counter() - begun
        info = tcp_info(client)
        own_port = client.getsockname()[1]
    return {"connect": connected, "first": first, "seconds": taken, "client": info,
            "server": server.info(to[1], own_port)}
