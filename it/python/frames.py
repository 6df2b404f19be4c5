# SPDX-License-Identifier: Apache-2.0
"""Sends frames as they are, and catches those that an interface receives.

    frames.py send INTERFACE            frames, each a line of hexadecimal digits, from standard input
    frames.py catch INTERFACE           the same form to standard output, `ready` first; until a number on standard input: when so many
                                        frames have come, or none for long, and then for a moment no other one
    frames.py no-offload INTERFACE      has the kernel compute checksums of what it sends there
"""

import array
import fcntl
import select
import socket
import struct
import sys

SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
TAG_IS_VALID, TAG_HAS_PROTOCOL = 1 << 4, 1 << 6
# In seconds.
LONG, MOMENT = 10, 0.2


def send(interface):
    outlet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    outlet.bind((interface, 0))
    for line in sys.stdin:
        outlet.send(bytes.fromhex(line))


def whole(frame, ancillary):
    """The frame with the tag that the kernel keeps beside it."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tag, protocol = struct.unpack("=IIIHHHH", data[:20])
            if status & TAG_IS_VALID:
                protocol = protocol if status & TAG_HAS_PROTOCOL else 0x8100
                return frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
    return frame


# Where hosts tell which groups they are in (MLDv2, RFC 9777), as an Ethernet address.
ROUTERS = b"\x33\x33\x00\x00\x00\x16"


def is_neighbour(frame):
    """ARP, neighbour discovery and group membership, by which hosts find each other; of the last also copies in a tunnel."""
    if ROUTERS in frame:
        return True
    return frame[12:14] == b"\x08\x06" or (frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] >= 133)


def catch(interface):
    inlet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    inlet.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
    inlet.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    inlet.bind((interface, ETH_P_ALL))
    print("ready", flush=True)
    frames, expected = [], None
    while True:
        patience = None if expected is None else LONG if len(frames) < expected else MOMENT
        ready, _, _ = select.select([inlet] if expected is not None else [inlet, sys.stdin], [], [], patience)
        if not ready:
            break
        if sys.stdin in ready:
            expected = int(sys.stdin.readline())
        if inlet in ready:
            frame, ancillary, _, address = inlet.recvmsg(1 << 17, 256)
            if address[2] != PACKET_OUTGOING and not is_neighbour(frame):
                frames.append(whole(frame, ancillary))
    for frame in frames:
        print(frame.hex())


def no_offload(interface):
    value = array.array("B", struct.pack("=II", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
    fcntl.ioctl(socket.socket(), SIOCETHTOOL, request)


if sys.argv[1] == "send":
    send(sys.argv[2])
elif sys.argv[1] == "catch":
    catch(sys.argv[2])
else:
    no_offload(sys.argv[2])
