# SPDX-License-Identifier: BSD-3-Clause
"""Files of keys with their reasons: each reason, indented, is that of the keys right above it."""


def read(path):
    """key -> reason"""
    out, keys, ended = {}, [], False
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            if line[0].isspace():
                for key in keys:
                    out[key] = (out[key] + " " + line.strip()).strip()
                ended = True
                continue
            if ended:
                keys, ended = [], False
            keys.append(line)
            out[line] = ""
    return out
