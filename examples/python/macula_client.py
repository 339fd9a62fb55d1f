"""Client for Macula's device protocol: teaches and asks a device over a socket, a serial line or pipes.

One file, written from docs/protocol.md. Needs Python 3.9 or later; a serial line also needs pyserial.

    with connect("localhost:7000") as device:
        scar = device.add_class("scar").class_index
        device.learn(scar, Image.from_file("scars/1.png"))
        print(device.predict(Image.from_file("new.png")))

A request is sent again until its reply comes, and the device executes it once. Refusals, missing replies and broken
connections are exceptions, all of them `DeviceError`. An object serves one thread.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import math
import queue
import re
import secrets
import socket
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator, List, Optional, Protocol, Sequence, Tuple, TypeVar, Union

VERSION = 1
REPLY = 0x80
"""Added to the version in the packet of a reply."""

RESTARTS_MAX = 5
"""How often a call is begun again because the device was restarted or serves another host meanwhile."""

T = TypeVar("T")


# ---- Errors -------------------------------------------------------------------------------------------------------


class DeviceError(Exception):
    """A request was not carried out, or it is unknown whether it was."""


class ConnectionLost(DeviceError):
    """The other end closed the connection, or it broke."""


class NoReply(DeviceError):
    """No reply came in time, however often the request was sent."""


class BadReply(DeviceError):
    """A frame was intact, but its message cannot be read or answers another kind of request."""


class Reason(enum.IntEnum):
    """Why a device refuses a request. Later devices may have more reasons."""

    MALFORMED = 1
    MESSAGE_TOO_LONG = 2
    VERSION = 3
    NO_SESSION = 4
    NAME = 5
    NAME_TAKEN = 6
    CLASSES_FULL = 7
    NO_SUCH_CLASS = 8
    SUPPORTS_FULL = 9
    SOURCE_TAKEN = 10
    FEATURE_BYTES = 11
    FEATURE_LENGTH = 12
    IMAGE_BYTES = 13
    IMAGE_CHANNELS = 14
    IMAGE_OFFSET = 15
    IMAGE_MISSING = 16
    NO_ENCODER = 17
    ENCODER_FAILED = 18
    STORE_FULL = 19
    STORE_FAULT = 20
    NOTHING_LEARNED = 21
    NO_SUCH_HEAD = 22
    ERROR_RATE = 23
    HEAD_FAILED = 24
    CURSOR = 25
    NOT_CONFIRMED = 26
    NO_BUNDLES = 27
    BUNDLE_BYTES = 28
    BUNDLE_OFFSET = 29
    BUNDLE_MISSING = 30
    BUNDLE_HASH = 31
    BUNDLE_REFUSED = 32
    BUNDLE_FAULT = 33
    BUNDLE_OLDER = 34
    WOULD_FORGET = 35
    BUNDLE_SAME_COUNTER = 36
    OPERATING_POINT = 37


class Refused(DeviceError):
    """The device refused a request and changed nothing."""

    def __init__(self, reason: int, found: int, limit: int) -> None:
        self.reason: int = Reason(reason) if reason in set(Reason) else reason
        """A `Reason`, or the number of one that this client does not know."""
        self.found = found
        self.limit = limit
        name = self.reason.name.lower().replace("_", " ") if isinstance(self.reason, Reason) else "unknown reason"
        super().__init__(f"the device refused the request: {name} (reason {reason}, found {found}, limit {limit})")


# ---- Numbers ------------------------------------------------------------------------------------------------------


def _varint(value: int, bits: int) -> bytes:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} is not an unsigned number of {bits} bits")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _u8(value: int) -> bytes:
    if not 0 <= value < 256:
        raise ValueError(f"{value} is not an unsigned number of 8 bits")
    return bytes([value])


def _u16(value: int) -> bytes:
    return _varint(value, 16)


def _u32(value: int) -> bytes:
    return _varint(value, 32)


def _u64(value: int) -> bytes:
    return _varint(value, 64)


def _bytes(value: bytes) -> bytes:
    return _varint(len(value), 32) + value


def _str(value: str) -> bytes:
    return _bytes(value.encode("utf-8"))


def _fixed(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes instead of {length}")
    return value


class _Reader:
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

    def _varint(self, bits: int) -> int:
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
        return self._varint(16)

    def u32(self) -> int:
        return self._varint(32)

    def u64(self) -> int:
        return self._varint(64)

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

    def option(self, read: Callable[["_Reader"], T]) -> Optional[T]:
        return read(self) if self._choice("option", 2) else None

    def end(self) -> None:
        if self._at != len(self._message):
            raise BadReply(f"{len(self._message) - self._at} bytes too many in the message {self._message.hex(' ')}")


# ---- Frames -------------------------------------------------------------------------------------------------------


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


# ---- Streams ------------------------------------------------------------------------------------------------------


class Stream(Protocol):
    """Bytes in both directions, in order; they may be lost or damaged."""

    def read(self, timeout_s: float) -> bytes:
        """Received bytes; none if none came in time. Raises `ConnectionLost`."""

    def write(self, data: bytes) -> None:
        """Sends bytes. Raises `ConnectionLost`."""

    def close(self) -> None:
        """Ends the connection."""


class SocketStream:
    """A connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(max(timeout_s, 0.001))
        try:
            data = self._socket.recv(65536)
        except socket.timeout:
            return b""
        except OSError as error:
            raise ConnectionLost(f"reading from the device: {error}") from error
        if not data:
            raise ConnectionLost("the device closed the connection")
        return data

    def write(self, data: bytes) -> None:
        self._socket.settimeout(None)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLost(f"writing to the device: {error}") from error

    def close(self) -> None:
        self._socket.close()


class SerialStream:
    """A serial line that pyserial opens: 8 data bits, no parity, one stop bit."""

    def __init__(self, path: str, baud: int = 115200) -> None:
        try:
            import serial
        except ImportError as error:
            raise DeviceError("a serial line needs pyserial: pip install pyserial") from error
        try:
            self._port = serial.Serial(path, baud, exclusive=True)
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"{path}: {error}") from error

    def read(self, timeout_s: float) -> bytes:
        try:
            self._port.timeout = timeout_s
            # One byte at least, and whatever arrived with it.
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except OSError as error:
            raise ConnectionLost(f"reading from the serial line: {error}") from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise ConnectionLost(f"writing to the serial line: {error}") from error

    def close(self) -> None:
        self._port.close()


class PipeStream:
    """A file to read from and one to write to, such as the pipes of a subprocess. A thread reads, so that reads time out."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader, self._writer = reader, writer
        self._received: "queue.Queue[bytes]" = queue.Queue(maxsize=64)
        threading.Thread(target=self._read_all, daemon=True).start()

    def _read_all(self) -> None:
        # `read1` returns what is there; `read` of a file without a buffer does.
        read = getattr(self._reader, "read1", self._reader.read)
        data = b"-"
        while data:
            try:
                data = read(65536) or b""
            except (OSError, ValueError):
                data = b""
            self._received.put(data)
        self._reader.close()

    def read(self, timeout_s: float) -> bytes:
        try:
            data = self._received.get(timeout=max(timeout_s, 0.001))
        except queue.Empty:
            return b""
        if not data:
            self._received.put(data)
            raise ConnectionLost("the device closed its pipe")
        return data

    def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            self._writer.flush()
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"writing to the device: {error}") from error

    def close(self) -> None:
        # The reader stays with its thread, which waits in it until the other end closes.
        with contextlib.suppress(OSError):
            self._writer.close()


def open_stream(address: str, connect_timeout_s: float = 10) -> Stream:
    """Opens `HOST:PORT`, `tcp:HOST:PORT`, a path such as `/dev/ttyUSB0` or `COM3`, or `serial:PATH[:BAUD]`."""
    kind, _, rest = address.partition(":")
    if kind == "serial":
        path, _, baud = rest.rpartition(":")
        return SerialStream(path, int(baud)) if path and baud.isdigit() else SerialStream(rest)
    host, _, port = (rest if kind == "tcp" else address).rpartition(":")
    if address.startswith("/") or not host or not port.isdigit():
        return SerialStream(address)
    try:
        connected = socket.create_connection((host.strip("[]"), int(port)), connect_timeout_s)
    except OSError as error:
        raise ConnectionLost(f"{address}: {error}") from error
    # A request is one small write: the other end shall not wait for more.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return SocketStream(connected)


# ---- What is sent -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """Pixels of 8 bits, row by row from the top, `[height, width, channels]`; 1 channel is grey, 3 are RGB."""

    width: int
    height: int
    channels: int
    pixels: bytes
    def __post_init__(self) -> None:
        expected = self.width * self.height * self.channels
        if len(self.pixels) != expected:
            raise ValueError(f"{len(self.pixels)} bytes of pixels; {expected} are needed")

    @property
    def source(self) -> bytes:
        """Identifies the sample, as Macula's own programs do: 16 bytes of the SHA-256 of its size and pixels."""
        channels, pixels = self.channels, self.pixels
        if channels == 3 and pixels[0::3] == pixels[1::3] == pixels[2::3]:
            channels, pixels = 1, pixels[0::3]
        size = struct.pack("<QQQ", self.width, self.height, channels)
        return hashlib.sha256(size + pixels).digest()[:16]

    @classmethod
    def from_file(cls, path: Union[str, Path]) -> Image:
        """Reads a binary PGM or PPM file, or with Pillow any file of 8 bits that it knows."""
        data = Path(path).read_bytes()
        if data[:2] in (b"P5", b"P6"):
            return cls._from_pnm(path, data)
        try:
            import PIL.Image
            import PIL.ImageOps
        except ImportError as error:
            raise ValueError(f"{path}: neither PGM nor PPM; other formats need Pillow: pip install pillow") from error
        with PIL.Image.open(path) as opened:
            turned = PIL.ImageOps.exif_transpose(opened)
            if turned.mode.startswith(("I", "F")):
                raise ValueError(f"{path}: more than 8 bits; choose which values are black and white")
            channels = 1 if turned.mode in ("1", "L", "LA") else 3
            pixels = turned.convert("L" if channels == 1 else "RGB").tobytes()
            return cls(turned.width, turned.height, channels, pixels)

    @classmethod
    def _from_pnm(cls, path: Union[str, Path], data: bytes) -> Image:
        # The kind, three numbers with white space or comments in between, one white space, the pixels.
        gap = rb"(?:\s|#[^\n]*\n)+"
        header = re.match(rb"P([56])" + gap + rb"(\d+)" + gap + rb"(\d+)" + gap + rb"(\d+)\s", data)
        if header is None or int(header[4]) != 255:
            raise ValueError(f"{path}: not a PGM or PPM file of 8 bits (255 must be white)")
        width, height, channels = int(header[2]), int(header[3]), 1 if header[1] == b"5" else 3
        return cls(width, height, channels, data[header.end() :][: width * height * channels])


@dataclass(frozen=True)
class Feature:
    """An embedding in the device's form: D values of 16 bits, little-endian, of length 32767."""

    values: bytes
    length: Optional[int] = None
    """Its length before quantisation, in 256ths of the corpus's, if known."""
    source: bytes = b""
    """Identifies the sample, 16 bytes; by default of the SHA-256 of the values."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _fixed(self.source or hashlib.sha256(self.values).digest()[:16], 16))

    @classmethod
    def from_floats(cls, values: Sequence[float]) -> Feature:
        """Scales to length 1 and quantises."""
        length = math.sqrt(math.fsum(value * value for value in values))
        if not 0 < length < math.inf:
            raise ValueError("a feature has a finite length above 0")
        return cls(struct.pack(f"<{len(values)}h", *(round(value / length * 32767) for value in values)))

    def integers(self) -> Tuple[int, ...]:
        """The values, -32767 to 32767."""
        return struct.unpack(f"<{len(self.values) // 2}h", self.values)


Sample = Union[Image, Feature]


class Head(enum.IntEnum):
    """How a class is predicted from the supports."""

    AUTO = 0
    PROTOTYPE = 1
    GAUSSIAN = 2
    SOFTMAX = 3


@dataclass(frozen=True)
class Sensitivity:
    """Target of an operating point: the share of positives to call positive, in thousandths."""

    permille: int


@dataclass(frozen=True)
class Specificity:
    """Target of an operating point: the share of negatives to call negative, in thousandths."""

    permille: int


@dataclass(frozen=True)
class Costs:
    """Target of an operating point: the least expected cost."""

    missed: int
    false_alarm: int


Target = Union[Sensitivity, Specificity, Costs]


@dataclass(frozen=True)
class OperatingPoint:
    """The positive class, and what its threshold shall reach."""

    class_index: int
    target: Target

    def _bytes(self) -> bytes:
        if isinstance(self.target, Costs):
            rest = _u8(2) + _u16(self.target.missed) + _u16(self.target.false_alarm)
        else:
            rest = _u8(0 if isinstance(self.target, Sensitivity) else 1) + _u16(self.target.permille)
        return _u8(self.class_index) + rest

    @classmethod
    def _read(cls, reader: _Reader) -> OperatingPoint:
        class_index, kind = reader.u8(), reader.variant(3)
        target: Target
        if kind == 2:
            target = Costs(reader.u16(), reader.u16())
        else:
            target = (Sensitivity if kind == 0 else Specificity)(reader.u16())
        return cls(class_index, target)


# ---- What comes back ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello:
    """What a device is."""

    version: int
    program: str
    program_version: str
    encoder: bytes
    """Identity of the encoder: features of two devices can be compared if theirs are equal."""
    dim: int
    """Dimensions of a feature."""
    classes_max: int
    supports_max: int
    message_max: int
    """Bytes of the longest message."""
    image_bytes_max: int
    """Bytes of the largest image."""
    channels: int
    bundle_bytes_max: int

    @classmethod
    def _read(cls, r: _Reader) -> Hello:
        return cls(
            r.u8(), r.text(), r.text(), r.fixed(16), r.u16(), r.u8(), r.u32(), r.u32(), r.u32(), r.u8(), r.u32()
        )


@dataclass(frozen=True)
class Wear:
    """Use of the store's flash. The first two count from its first use, the last three from the device's start."""

    bytes_programmed: int
    erases: int
    free_bytes: int
    learned: int
    learned_bytes: int
    learned_erases: int


@dataclass(frozen=True)
class LineCounters:
    """What a device received since its start."""

    requests: int
    repeated: int
    late: int
    corrupted: int
    too_long: int


@dataclass(frozen=True)
class Status:
    """The state of a device."""

    clock_s: int
    """Its clock, in seconds since 1970; 0 without one."""
    classes: int
    classes_max: int
    supports: int
    supports_max: int
    revision: int
    """Grows with every change of classes or supports."""
    wear: Wear
    line: LineCounters
    bundle_slot: Optional[int]
    """The firmware slot in use; `None` when the device accepts no bundles."""
    bundle_slot_next: Optional[int]
    bundle_received: int
    bundle_bytes: int

    @classmethod
    def _read(cls, r: _Reader) -> Status:
        clock, classes, slots, supports, places, revision = r.u64(), r.u8(), r.u8(), r.u32(), r.u32(), r.u32()
        wear = Wear(r.u64(), r.u32(), r.u32(), r.u32(), r.u64(), r.u32())
        line = LineCounters(r.u32(), r.u32(), r.u32(), r.u32(), r.u32())
        slot, slot_next = (None if number == 255 else number for number in (r.u8(), r.u8()))
        return cls(clock, classes, slots, supports, places, revision, wear, line, slot, slot_next, r.u32(), r.u32())


@dataclass(frozen=True)
class ClassInfo:
    """A class and the number of its supports."""

    index: int
    name: str
    supports: int


@dataclass(frozen=True)
class ClassAdded:
    """The slot of a class; `new` is false if it existed."""

    class_index: int
    new: bool


@dataclass(frozen=True)
class Learned:
    """Where a sample went; `new` is false if the device had it."""

    class_index: int
    new: bool
    supports: int
    """Supports of the class now."""

    @classmethod
    def _read(cls, r: _Reader) -> Learned:
        return cls(r.u8(), r.boolean(), r.u32())


@dataclass(frozen=True)
class Provenance:
    """Where a support comes from."""

    class_index: int
    operator: int
    time_s: int
    """Seconds since 1970; 0 if unknown."""

    @classmethod
    def _read(cls, r: _Reader) -> Provenance:
        return cls(r.u8(), r.u32(), r.u64())


@dataclass(frozen=True)
class Neighbour:
    """A support near a sample."""

    source: bytes
    provenance: Provenance
    similarity: float
    """Cosine similarity."""

    @classmethod
    def _read(cls, r: _Reader) -> Neighbour:
        return cls(r.fixed(16), Provenance._read(r), r.f32())


@dataclass(frozen=True)
class Prediction:
    """The class of a sample."""

    head: int
    class_index: int
    probability: float
    prediction_set: Tuple[int, ...]
    """Conformal prediction set: the classes that the error rate leaves."""
    known: bool
    """False: the sample resembles nothing that the device was taught; show "I don't know"."""
    enough_shots: bool
    """Whether there are enough supports for the error rate."""
    shots_needed: int
    nearest: Tuple[Neighbour, ...]

    @classmethod
    def _read(cls, r: _Reader) -> Prediction:
        head, class_index, probability = r.u8(), r.u8(), r.f32()
        bits = r.blob()
        slots = tuple(slot for slot in range(8 * len(bits)) if bits[slot // 8] >> slot % 8 & 1)
        known, enough, shots_needed = r.boolean(), r.boolean(), r.u16()
        return cls(head, class_index, probability, slots, known, enough, shots_needed, _neighbours(r, 3))


def _neighbours(r: _Reader, count: int) -> Tuple[Neighbour, ...]:
    found = [r.option(Neighbour._read) for _ in range(count)]
    return tuple(neighbour for neighbour in found if neighbour is not None)


@dataclass(frozen=True)
class Threshold:
    """The threshold of an operating point, and how it fares on the supports, each left out in turn."""

    score: float
    positives_called: int
    positives: int
    negatives_called: int
    negatives: int

    @classmethod
    def _read(cls, r: _Reader) -> Threshold:
        return cls(r.f32(), r.u32(), r.u32(), r.u32(), r.u32())


@dataclass(frozen=True)
class OperatingPointReport:
    """An operating point, and its threshold if there are enough supports for one."""

    point: OperatingPoint
    threshold: Optional[Threshold]

    @classmethod
    def _read(cls, r: _Reader) -> OperatingPointReport:
        return cls(OperatingPoint._read(r), r.option(Threshold._read))


@dataclass(frozen=True)
class Decision:
    """A prediction, and whether the sample is positive at the operating point."""

    prediction: Prediction
    point: Optional[OperatingPointReport]
    score: Optional[float]
    """Log odds of the positive class; `None` without a threshold."""
    positive: Optional[bool]

    @classmethod
    def _read(cls, r: _Reader) -> Decision:
        prediction, point = Prediction._read(r), r.option(OperatingPointReport._read)
        decision = r.option(lambda r: (r.f32(), r.boolean())) or (None, None)
        return cls(prediction, point, *decision)


@dataclass(frozen=True)
class Support:
    """A sample of the support set, as exported."""

    source: bytes
    provenance: Provenance
    feature: Feature


@dataclass(frozen=True)
class State:
    """Everything that a device was taught."""

    revision: int
    classes: Tuple[Tuple[int, str], ...]
    """Slots and names, by slot."""
    supports: Tuple[Support, ...]
    """By source."""
    sha256: bytes
    """Equal on devices with equal classes and supports."""


class Outcome(enum.IntEnum):
    """Result of a test."""

    PASSED = 0
    FAILED = 1
    NOTHING_TO_TEST = 2


@dataclass(frozen=True)
class TestResult:
    """Result of one part of the self-test."""

    outcome: Outcome
    found: int
    expected: int

    @classmethod
    def _read(cls, r: _Reader) -> TestResult:
        return cls(Outcome(r.variant(3)), r.u32(), r.u32())


@dataclass(frozen=True)
class SelfTest:
    """Results of the self-test."""

    store: TestResult
    supports: TestResult
    encoder: TestResult
    memory: TestResult


@dataclass(frozen=True)
class Candidate:
    """A bundle that is not confirmed: it waits for a start that passes its golden images, or was rolled back."""

    slot: int
    sha256: bytes
    attempts: Optional[int]
    """Starts so far; `None` after a rollback."""
    rollback_reason: Optional[int]
    """1 no start completed, 2 unreadable, 3 golden images, 4 kept images, 5 samples would be forgotten."""

    @classmethod
    def _read(cls, r: _Reader) -> Candidate:
        slot, sha256, state, number = r.u8(), r.fixed(32), r.variant(2), r.u8()
        return cls(slot, sha256, None if state else number, number if state else None)


@dataclass(frozen=True)
class Bundles:
    """The bundles of a device."""

    slot: int
    sha256: bytes
    counter_min: int
    """The lowest anti-rollback counter that it accepts."""
    candidate: Optional[Candidate]


# ---- The connection -----------------------------------------------------------------------------------------------


def connect(address: str, **settings: Any) -> Device:
    """Connects to a device; see `open_stream` for addresses and `Device` for settings."""
    stream = open_stream(address)
    try:
        return Device(stream, **settings)
    except BaseException:
        stream.close()
        raise


class Device:
    """A session with a device. Says hello at once; `hello` is the answer.

    * `reply_timeout_s`: wait for the reply before the request is sent again; doubled with each attempt
    * `attempts`: how often a request is sent before `NoReply`; 6 take 31.5 s, enough for a slow encoder
    * `hello_attempts`: the same for hello, which every device answers quickly
    """

    def __init__(
        self, stream: Stream, reply_timeout_s: float = 0.5, attempts: int = 6, hello_attempts: int = 4
    ) -> None:
        self._stream = stream
        self._decoder = FrameDecoder()
        self.reply_timeout_s = reply_timeout_s
        self.attempts = attempts
        self.hello_attempts = hello_attempts
        self.requests = 0
        """Requests that were answered, with the parts of images."""
        self.repeated = 0
        """How often a request was sent again."""
        self._learned: List[bytes] = []
        self._is_closed = False
        self.hello = self._open_session()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; the device keeps everything."""
        self._stream.close()

    # -- Questions --

    def status(self) -> Status:
        """The state of the device."""
        return self._ask(b"\x01", 3, Status._read)

    def classes(self) -> List[ClassInfo]:
        """All classes, by slot."""
        return list(self._classes())

    def _classes(self) -> Iterator[ClassInfo]:
        slot = 0
        while slot <= 255:
            number, reader = self.exchange(b"\x02" + _u8(slot))
            if number == 5:
                reader.end()
                return
            info = self._read(number, reader, 4, lambda r: ClassInfo(r.u8(), r.text(), r.u32()))
            if info.index < slot:
                raise BadReply(f"class {info.index} where {slot} or above was asked for")
            yield info
            slot = info.index + 1

    def embed(self, sample: Sample) -> Feature:
        """The feature of an image."""
        return self._ask_about(
            sample, lambda given: b"\x05" + given, 7, lambda r: Feature(r.blob(), r.option(_Reader.u16), sample.source)
        )

    def predict(self, sample: Sample, head: int = Head.AUTO, error_rate_permille: int = 100) -> Prediction:
        """The class of a sample; its prediction set leaves out the true class at the error rate, at most."""
        rest = _u8(head) + _u16(error_rate_permille)
        return self._ask_about(sample, lambda given: b"\x0b" + given + rest, 12, Prediction._read)

    def decide(
        self,
        sample: Sample,
        point: Optional[OperatingPoint] = None,
        head: int = Head.AUTO,
        error_rate_permille: int = 100,
    ) -> Decision:
        """The class of a sample, and a decision at `point` or else the device's operating point."""
        rest = _u8(head) + _u16(error_rate_permille) + (b"\0" if point is None else b"\x01" + point._bytes())
        return self._ask_about(sample, lambda given: b"\x18" + given + rest, 20, Decision._read)

    def why(self, sample: Sample) -> Tuple[Neighbour, ...]:
        """The supports nearest to a sample, up to five."""
        return self._ask_about(sample, lambda given: b"\x0c" + given, 13, lambda r: _neighbours(r, 5))

    # -- Teaching --

    def add_class(self, name: str) -> ClassAdded:
        """Adds a class, or finds the one of this name."""
        return self._ask(b"\x06" + _str(name), 8, lambda r: ClassAdded(r.u8(), r.boolean()))

    def rename_class(self, class_index: int, name: str) -> None:
        """Renames a class."""
        self._ask(b"\x07" + _u8(class_index) + _str(name), 2, lambda r: None)

    def remove_class(self, class_index: int) -> int:
        """Removes a class and its supports; returns their number."""
        return self._ask(b"\x08" + _u8(class_index), 9, _Reader.u32)

    def learn(self, class_index: int, sample: Sample, operator: int = 0, time_s: Optional[int] = None) -> Learned:
        """Teaches a sample of a class. `time_s` is the time in seconds since 1970, by default now."""
        time_s = int(time.time()) if time_s is None else time_s
        about = _u8(class_index) + _fixed(sample.source, 16) + _u32(operator) + _u64(time_s)
        learned = self._ask_about(sample, lambda given: b"\x09" + about + given, 10, Learned._read)
        if learned.new:
            self._learned.append(sample.source)
        return learned

    def forget(self, source: bytes) -> Optional[Provenance]:
        """Removes a sample, exactly; returns where it came from, or `None` if the device has no such sample."""
        return self._ask(b"\x0a" + _fixed(source, 16), 11, lambda r: r.option(Provenance._read))

    def undo(self) -> Optional[Provenance]:
        """Forgets the sample that this object taught last, if any is left."""
        while self._learned:
            record = self.forget(self._learned.pop())
            if record is not None:
                return record
        return None

    def factory_reset(self) -> None:
        """Forgets every class, every sample and the operating point."""
        self._ask(b"\x12" + _str("forget everything"), 2, lambda r: None)

    # -- Operating point --

    def operating_point(self) -> Optional[OperatingPointReport]:
        """The device's operating point, if it has one."""
        return self._ask(b"\x16", 19, lambda r: r.option(OperatingPointReport._read))

    def set_operating_point(self, point: Optional[OperatingPoint]) -> Optional[OperatingPointReport]:
        """Sets the operating point, or removes it."""
        message = b"\x17" + (b"\0" if point is None else b"\x01" + point._bytes())
        return self._ask(message, 19, lambda r: r.option(OperatingPointReport._read))

    # -- From one device to another --

    def export_state(self) -> State:
        """All classes and samples, checked against the device's SHA-256 of them."""
        for _ in range(RESTARTS_MAX):
            state = self._export_once()
            if state is not None:
                return state
        raise DeviceError("other hosts keep changing the device while its state is read")

    def _export_once(self) -> Optional[State]:
        """`None` when the state changed in between."""
        classes: List[Tuple[int, str]] = []
        supports: List[Support] = []
        cursor, first_revision = 0, None
        while True:
            try:
                revision, following, part = self._ask(b"\x0d" + _u32(cursor), 14, _state_part)
            except Refused as refusal:
                if refusal.reason == Reason.CURSOR:
                    return None
                raise
            if first_revision not in (None, revision):
                return None
            first_revision = revision
            if isinstance(part, bytes):
                state = State(revision, tuple(classes), tuple(supports), part)
                return state if _state_sha256(self.hello, state) == part else None
            if following <= cursor:
                raise BadReply(f"part {following} of the state after part {cursor}")
            cursor = following
            if isinstance(part, Support):
                supports.append(part)
            else:
                classes.append(part)

    def merge(self, class_name: str, support: Support) -> Learned:
        """Copies an exported sample; adds its class if the device has none of this name."""
        origin = support.provenance
        return self._ask(
            b"\x0e" + _str(class_name) + _fixed(support.source, 16) + _u32(origin.operator) + _u64(origin.time_s)
            + _bytes(support.feature.values),
            10,
            Learned._read,
        )

    # -- Bundles and tests --

    def bundles(self) -> Bundles:
        """The bundle in use, and the candidate."""
        return self._ask(
            b"\x14", 18, lambda r: Bundles(r.u8(), r.fixed(32), r.u64(), r.option(Candidate._read))
        )

    def send_bundle(self, bundle: bytes, forget_samples: bool = False) -> int:
        """Sends a bundle; returns its firmware slot. The device tries it at its next start.

        * `forget_samples`: accept that a bundle with another encoder forgets samples
        """
        begin = b"\x0f" + _u32(len(bundle)) + hashlib.sha256(bundle).digest()
        commit = b"\x15" + _str("forget what was taught") if forget_samples else b"\x11"

        def send() -> int:
            self._send_parts(b"\x10", bundle, self._ask(begin, 15, _Reader.u32), 15, _Reader.u32)
            return self._ask(commit, 16, _Reader.u8, may_reopen=False)

        # It continues where a restart interrupted it.
        return _again_after(send, Reason.NO_SESSION, Reason.BUNDLE_MISSING, Reason.BUNDLE_OFFSET)

    def self_test(self) -> SelfTest:
        """Tests the device."""
        read = TestResult._read
        return self._ask(b"\x13", 17, lambda r: SelfTest(read(r), read(r), read(r), read(r)))

    # -- Messages and packets --

    def exchange(self, message: bytes, may_reopen: bool = True) -> Tuple[int, _Reader]:
        """Sends any message; returns the number of the reply and its fields. Raises `Refused`.

        * `may_reopen`: whether the message may be sent in a new session, if the device was restarted or served another
          host since the one before
        """
        if len(message) > self.hello.message_max:
            raise ValueError(f"a message of {len(message)} bytes; this device takes {self.hello.message_max}")

        def once() -> Tuple[int, _Reader]:
            if self._is_closed:
                self.hello = self._open_session()
            number, reader = self._exchange_in_session(message, self.attempts)
            if number == 1:
                refusal = _refusal(reader)
                self._is_closed = refusal.reason == Reason.NO_SESSION
                raise refusal
            return number, reader

        # Repeating a request that was executed before a restart changes nothing.
        return _again_after(once, Reason.NO_SESSION) if may_reopen else once()

    def _open_session(self) -> Hello:
        self._session, self._sequence, self._is_closed = secrets.randbits(32), 0, False
        number, reader = self._exchange_in_session(b"\x00" + _u8(VERSION), self.hello_attempts)
        if number == 1:
            raise _refusal(reader)
        hello = self._read(number, reader, 0, Hello._read)
        self._decoder.packet_max = 9 + hello.message_max + 4
        return hello

    def _exchange_in_session(self, message: bytes, attempts: int) -> Tuple[int, _Reader]:
        self._sequence += 1
        number = struct.pack("<II", self._session, self._sequence)
        frame = encode_frame(_u8(VERSION) + number + message)
        expected = _u8(VERSION + REPLY) + number
        for attempt in range(attempts):
            self.repeated += attempt > 0
            self._stream.write(frame)
            reply = self._receive(expected, self.reply_timeout_s * 2**attempt)
            if reply is not None:
                self.requests += 1
                reader = _Reader(reply)
                return reader.u8(), reader
        raise NoReply(f"the device does not reply: a request was sent {attempts} times")

    def _receive(self, expected: bytes, timeout_s: float) -> Optional[bytes]:
        """The message of the reply whose packet begins with `expected`; others are late copies."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            for packet in self._decoder.feed(self._stream.read(left)):
                if packet[: len(expected)] == expected:
                    return packet[len(expected) :]

    def _ask(self, message: bytes, expected: int, read: Callable[[_Reader], T], may_reopen: bool = True) -> T:
        number, reader = self.exchange(message, may_reopen)
        return self._read(number, reader, expected, read)

    def _read(self, number: int, reader: _Reader, expected: int, read: Callable[[_Reader], T]) -> T:
        if number != expected:
            raise BadReply(f"reply {number} instead of {expected}")
        value = read(reader)
        reader.end()
        return value

    def _ask_about(
        self, sample: Sample, message: Callable[[bytes], bytes], expected: int, read: Callable[[_Reader], T]
    ) -> T:
        if isinstance(sample, Feature):
            given = (b"\x01" if sample.length is None else b"\x02") + _bytes(sample.values)
            return self._ask(message(given + (b"" if sample.length is None else _u16(sample.length))), expected, read)
        image = sample
        begin = b"\x03" + _u16(image.width) + _u16(image.height) + _u8(image.channels)

        def staged(r: _Reader) -> int:
            following, _length = r.u32(), r.u32()
            return following

        def send() -> T:
            self._send_parts(b"\x04", image.pixels, self._ask(begin, 6, staged), 6, staged)
            return self._ask(message(b"\x00"), expected, read, may_reopen=False)

        # A restart took the parts that had arrived, or another host has sent its image, which this one must not learn.
        return _again_after(send, Reason.NO_SESSION, Reason.IMAGE_MISSING, Reason.IMAGE_OFFSET)

    def _send_parts(
        self, kind: bytes, data: bytes, position: int, expected: int, read: Callable[[_Reader], int]
    ) -> None:
        """Sends `data` from `position` on; each reply names where the next part begins."""
        length = self.hello.message_max - 16
        while position < len(data):
            message = kind + _u32(position) + _bytes(data[position : position + length])
            following = self._ask(message, expected, read, may_reopen=False)
            if following <= position:
                raise BadReply(f"the device takes no bytes from byte {position} on")
            position = following


def _again_after(action: Callable[[], T], *reasons: Reason) -> T:
    """Repeats an action that a restart of the device interrupted."""
    for _ in range(1, RESTARTS_MAX):
        try:
            return action()
        except Refused as refusal:
            if refusal.reason not in reasons:
                raise
    return action()


def _state_sha256(hello: Hello, state: State) -> bytes:
    names = dict(state.classes)
    hashed = hashlib.sha256(struct.pack("<III", hello.dim, hello.classes_max, len(state.supports)))
    for slot in range(hello.classes_max):
        hashed.update(_str(names.get(slot, "")))
    for support in state.supports:
        origin = support.provenance
        hashed.update(support.source + struct.pack("<BIQ", origin.class_index, origin.operator, origin.time_s))
        hashed.update(support.feature.values)
    return hashed.digest()


def _refusal(r: _Reader) -> Refused:
    refusal = Refused(r.u16(), r.u64(), r.u64())
    r.end()
    return refusal


def _state_part(r: _Reader) -> Tuple[int, int, Union[Tuple[int, str], Support, bytes]]:
    revision, following, kind = r.u32(), r.u32(), r.variant(3)
    part: Union[Tuple[int, str], Support, bytes]
    if kind == 0:
        part = (r.u8(), r.text())
    elif kind == 1:
        source, provenance, values = r.fixed(16), Provenance._read(r), r.blob()
        part = Support(source, provenance, Feature(values, None, source))
    else:
        part = r.fixed(32)
    return revision, following, part
