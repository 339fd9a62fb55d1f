"""Fields of messages: docs/protocol.md, section Numbers."""

from __future__ import annotations

import struct
from typing import Callable, Optional, TypeVar

from .errors import BadReply

T = TypeVar("T")


def varint(value: int, bits: int) -> bytes:
    """A number of up to `bits` bits, 7 bits per byte, lowest first."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} is not an unsigned number of {bits} bits")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def u8(value: int) -> bytes:
    """A byte."""
    if not 0 <= value < 256:
        raise ValueError(f"{value} is not an unsigned number of 8 bits")
    return bytes([value])


def u16(value: int) -> bytes:
    """A varint of 16 bits."""
    return varint(value, 16)


def u32(value: int) -> bytes:
    """A varint of 32 bits."""
    return varint(value, 32)


def u64(value: int) -> bytes:
    """A varint of 64 bits."""
    return varint(value, 64)


def blob(value: bytes) -> bytes:
    """Bytes behind their number."""
    return varint(len(value), 32) + value


def text(value: str) -> bytes:
    """UTF-8 behind its number of bytes."""
    return blob(value.encode("utf-8"))


def fixed(value: bytes, length: int) -> bytes:
    """Bytes of a known length."""
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes instead of {length}")
    return value


class Reader:
    """The fields of a message, one after another."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 0

    def fixed(self, length: int) -> bytes:
        taken = self._message[self._at : self._at + length]
        if len(taken) < length:
            raise BadReply(f"the message {self._message.hex(' ')} ends within a field")
        self._at += length
        return taken

    def u8(self) -> int:
        return self.fixed(1)[0]

    def boolean(self) -> bool:
        return self._choice("bool", 2) == 1

    def _choice(self, what: str, count: int) -> int:
        number = self.u8()
        if number >= count:
            raise BadReply(f"{what} {number} in the message {self._message.hex(' ')}: at most {count - 1}")
        return number

    def varint(self, bits: int) -> int:
        value = 0
        for shift in range(0, bits, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> bits:
                    break
                return value
        raise BadReply(f"a number in the message {self._message.hex(' ')} has more than {bits} bits")

    def u16(self) -> int:
        return self.varint(16)

    def u32(self) -> int:
        return self.varint(32)

    def u64(self) -> int:
        return self.varint(64)

    def f32(self) -> float:
        (value,) = struct.unpack("<f", self.fixed(4))
        return float(value)

    def blob(self) -> bytes:
        return self.fixed(self.u32())

    def text(self) -> str:
        try:
            return self.blob().decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadReply(f"a name in the message {self._message.hex(' ')} is not UTF-8") from error

    def variant(self, count: int) -> int:
        return self._choice("variant", count)

    def option(self, read: Callable[["Reader"], T]) -> Optional[T]:
        return read(self) if self._choice("option", 2) else None

    def end(self) -> None:
        if self._at != len(self._message):
            raise BadReply(f"{len(self._message) - self._at} bytes too many in the message {self._message.hex(' ')}")
