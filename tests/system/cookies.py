# SPDX-License-Identifier: BSD-3-Clause
"""Cookies as lib/cookie makes them, written anew from its headers: a front end by hand.

It shares nothing with the C code, so that the two check each other.
"""

import ipaddress
import struct
import time

EPOCH_S = 30
MAC_BITS = 26
LOW_BITS = 32 - MAC_BITS
WSCALE_NONE = 15
TEXT = b"synfront"
LABEL_V4, LABEL_V6, LABEL_PROFILE = 1, 2, 3


def twice(byte):
    """Times x in GF(2^8) (FIPS-197, 4.2.1)."""
    return (byte << 1 ^ (0x11b if byte & 0x80 else 0)) & 0xff


def times(left, right):
    product = 0
    while right:
        if right & 1:
            product ^= left
        left, right = twice(left), right >> 1
    return product


def make_sbox():
    """FIPS-197, 5.1.1: the inverse, and the affine map."""
    box = []
    for byte in range(256):
        inverse = next((other for other in range(256) if times(byte, other) == 1), 0)
        out = 0x63
        for turn in range(5):
            out ^= (inverse << turn | inverse >> (8 - turn)) & 0xff
        box.append(out)
    return box


SBOX = make_sbox()


class Aes:
    """AES-128, one way."""

    def __init__(self, key):
        words = [list(key[at:at + 4]) for at in range(0, 16, 4)]
        constant = 1
        while len(words) < 44:
            word = list(words[-1])
            if len(words) % 4 == 0:
                word = [SBOX[byte] for byte in word[1:] + word[:1]]
                word[0] ^= constant
                constant = twice(constant)
            words.append([a ^ b for a, b in zip(word, words[-4])])
        self.rounds = [sum(words[at:at + 4], []) for at in range(0, 44, 4)]

    def encrypt(self, block):
        state = [a ^ b for a, b in zip(block, self.rounds[0])]
        for number, key in enumerate(self.rounds[1:], 1):
            state = [SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16)]
            if number < 10:
                mixed = []
                for at in range(0, 16, 4):
                    column = state[at:at + 4]
                    every = column[0] ^ column[1] ^ column[2] ^ column[3]
                    mixed += [byte ^ every ^ twice(byte ^ column[(i + 1) % 4])
                              for i, byte in enumerate(column)]
                state = mixed
            state = [a ^ b for a, b in zip(state, key)]
        return bytes(state)


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


class Keys:
    """Of one epoch, from a master's or a group's secret of 32 bytes."""

    def __init__(self, secret, epoch):
        self.halves = Aes(secret[:16]), Aes(secret[16:])
        self.epoch = epoch
        self.v4 = Aes(self.derive(LABEL_V4, 0))
        self.v6 = Aes(self.derive(LABEL_V6, 0))

    def derive(self, label, index):
        block = TEXT + struct.pack("!BBHI", label, index, 0, self.epoch)
        return xor(self.halves[0].encrypt(block), self.halves[1].encrypt(block))

    def cookie(self, client, server, client_port, server_port, irs, profile):
        """The ISS for a client's SYN; addresses as text."""
        ends = [ipaddress.ip_address(text).packed for text in (client, server)]
        ports = struct.pack("!HH", client_port, server_port)
        mask = self.derive(LABEL_PROFILE, profile)
        if len(ends[0]) == 4:
            block = self.v4.encrypt(xor(ends[0] + struct.pack("<I", irs) + ends[1] + ports, mask))
        else:
            block = self.v6.encrypt(xor(self.v6.encrypt(ends[0]), ends[1]))
            last = ports + struct.pack("<I", irs) + bytes(8)
            block = self.v6.encrypt(xor(xor(block, last), mask))
        mac = struct.unpack("<I", block[:4])[0] >> LOW_BITS
        both = mac ^ mac >> 13
        return mac << LOW_BITS | ((both ^ both >> 6) & 63 ^ ((self.epoch & 1) << 5 | profile))


def tsval(mss_above=0, scale_above=0, promised=7, at=None):
    """Of a SYN-ACK at a time, now if it is None: what the client has above its profile, and
    the window scale that it is promised."""
    wall_ms = int((time.time() if at is None else at) * 1000)
    assert mss_above < 924, "what is above has another code"
    return (wall_ms >> 2 << 17 | promised << 13 | scale_above << 10 | mss_above) & 0xffffffff


def read_vectors(path):
    """The rows of a table of tests/unit/cookie_vectors.def."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("VECTOR("):
                client, port, server, server_port, irs, profile, epoch, iss = [
                    part.strip().strip('"') for part in line[7:line.index(")")].split(",")]
                yield (client, int(port), server, int(server_port), int(irs, 0), int(profile),
                       int(epoch), int(iss, 0))
