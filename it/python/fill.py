# SPDX-License-Identifier: Apache-2.0
"""Leaves no room in maps of the kernel, each of them pinned:

    fill.py PIN...      a hash gets made-up keys until it is full; a ring buffer looks as if nobody ever read it
"""

import ctypes
import errno
import mmap
import os
import platform
import struct
import sys

SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
MAP_UPDATE_ELEM, OBJ_GET, OBJ_GET_INFO_BY_FD = 2, 7, 15
RINGBUF = 27

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    """Calls bpf(2). What goes wrong is an OSError."""
    attributes = ctypes.create_string_buffer(attributes, 128)
    answer = libc.syscall(SYSCALL, command, attributes, 128)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def fill(pin):
    path = ctypes.create_string_buffer(pin.encode())
    file = bpf(OBJ_GET, struct.pack("QII", ctypes.addressof(path), 0, 0))
    info = ctypes.create_string_buffer(20)
    bpf(OBJ_GET_INFO_BY_FD, struct.pack("IIQ", file, len(info), ctypes.addressof(info)))
    kind, _, key_bytes, value_bytes, entries = struct.unpack("5I", info.raw)
    if kind == RINGBUF:
        # The first page is where the reader says how far it is.
        mmap.mmap(file, mmap.PAGESIZE)[:8] = struct.pack("Q", 1 << 63)
        return
    # Each processor has a value.
    value = ctypes.create_string_buffer((value_bytes + 8) * 1024)
    for number in range(entries):
        key = ctypes.create_string_buffer(f"{number:04x}".encode(), key_bytes)
        entry = struct.pack("QQQQ", file, ctypes.addressof(key), ctypes.addressof(value), 0)
        try:
            bpf(MAP_UPDATE_ELEM, entry)
        except OSError as error:
            if error.errno == errno.E2BIG:
                return
            raise


for pin in sys.argv[1:]:
    fill(pin)
