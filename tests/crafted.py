# SPDX-License-Identifier: Apache-2.0
# Frames made by hand, as hexadecimal text for tests/guests/frames.c.

import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "guests/frames.c"
EXPERIMENTAL = 0x88B5  # IEEE 802: for local experiments


def program(folder):
    """The program for the guest, built for this run; and where the guest sees it."""
    path = Path(folder) / "frames"
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", SOURCE, "-o", path], check=True)
    return f"{path}:/usr/local/bin/frames"


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ethernet(to, source, payload, kind=EXPERIMENTAL, tag=None):
    head = mac(to) + mac(source)
    if tag is not None:
        head += struct.pack(">HH", 0x8100, tag)
    return (head + struct.pack(">H", kind) + payload).hex()


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(to, source, address_to, address_from, port_to, port_from, tag=None):
    """An IPv4 packet; a UDP checksum of zero is none."""
    body = struct.pack(">HHHH", port_from, port_to, 8 + 20, 0) + bytes(20)
    addresses = bytes(int(n) for n in address_from.split(".")) + bytes(int(n) for n in address_to.split("."))
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0) + addresses
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return ethernet(to, source, head + body, 0x0800, tag)
