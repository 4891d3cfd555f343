#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run a program where no AF_XDP socket can be had, as in a container that forbids them.

    no_xdp.py COMMAND [ARGUMENT...]

A filter (seccomp(2)) answers socket(AF_XDP, ...) by EAFNOSUPPORT, here and in all that is
started from here; x86-64 alone.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

AF_XDP, SYS_SOCKET = 44, 41
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF, RETURN = 0x20, 0x15, 0x06
# In struct seccomp_data: the number of the call, its first argument.
NUMBER, FIRST = 0, 16


def instruction(code, value, if_so=0, if_not=0):
    return struct.pack("HBBI", code, if_so, if_not, value)


PROGRAM = (instruction(LOAD, NUMBER) + instruction(JUMP_IF, SYS_SOCKET, 0, 3) +
           instruction(LOAD, FIRST) + instruction(JUMP_IF, AF_XDP, 0, 1) +
           instruction(RETURN, REFUSE | errno.EAFNOSUPPORT) + instruction(RETURN, ALLOW))


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]


def forbid():
    libc = ctypes.CDLL(None, use_errno=True)
    rules = Filter(len(PROGRAM) // 8, PROGRAM)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(rules), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: no_xdp.py COMMAND [ARGUMENT...]")
    if platform.machine() != "x86_64":
        sys.exit("no_xdp.py: knows the system calls of x86-64 alone")
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
