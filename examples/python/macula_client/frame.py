"""Frames: packets on a line that loses, changes and inserts bytes."""

from __future__ import annotations

import struct
import zlib
from typing import List, Optional


def _stuff(packet: bytes) -> bytes:
    """Encodes by COBS: each run of up to 254 bytes that are not 0 follows its length plus one; a shorter run implies a 0."""
    out = bytearray()
    for run in packet.split(b"\0"):
        while len(run) >= 254:
            out += b"\xff" + run[:254]
            run = run[254:]
        out.append(len(run) + 1)
        out += run
    return bytes(out)


def _unstuff(stuffed: bytes) -> Optional[bytes]:
    """The packet, or `None` if this is not COBS."""
    out = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        run = stuffed[at + 1 : at + code]
        if code == 0 or len(run) < code - 1:
            return None
        out += run
        at += code
        if code < 255 and at < len(stuffed):
            out.append(0)
    return bytes(out)


def encode_frame(packet: bytes) -> bytes:
    """A packet as it goes over the line: with its checksum, by COBS, between zeros."""
    return b"\0" + _stuff(packet + struct.pack("<I", zlib.crc32(packet))) + b"\0"


class FrameDecoder:
    """Finds packets in a stream of bytes. Broken frames and noise between frames are dropped and counted."""

    def __init__(self) -> None:
        self._received = bytearray()
        self.packet_max = 1 << 16
        """Bytes of the longest packet with its checksum: longer ones are dropped, so that noise takes no memory."""
        self.dropped = 0

    def feed(self, data: bytes) -> List[bytes]:
        """Takes received bytes; returns the packets that are complete now, without checksums."""
        *ended, rest = data.split(b"\0")
        packets = []
        for piece in ended:
            packet = self._packet(self._collect(piece))
            if packet is not None:
                packets.append(packet)
            self._received.clear()
        self._collect(rest)
        return packets

    def _collect(self, piece: bytes) -> bytearray:
        # One byte more than allowed marks a frame as too long.
        self._received += piece[: self._frame_max() + 1 - len(self._received)]
        return self._received

    def _frame_max(self) -> int:
        return self.packet_max + self.packet_max // 254 + 1

    def _packet(self, stuffed: bytearray) -> Optional[bytes]:
        if not stuffed:
            return None
        packet = _unstuff(bytes(stuffed)) if len(stuffed) <= self._frame_max() else None
        if packet is None or len(packet) < 4 or zlib.crc32(packet[:-4]) != struct.unpack("<I", packet[-4:])[0]:
            self.dropped += 1
            return None
        return packet[:-4]
