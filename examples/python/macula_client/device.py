"""The connection: a session with a device, one method per request."""

from __future__ import annotations

import hashlib
import secrets
import struct
import time
from typing import Any, Callable, Iterator, List, Optional, Tuple, TypeVar, Union

from .codec import Reader, blob, fixed, text, u8, u16, u32, u64
from .errors import BadReply, DeviceError, NoReply, Reason, Refused
from .frame import FrameDecoder, encode_frame
from .replies import (
    Bundles, Candidate, ClassAdded, ClassInfo, Decision, Hello, Learned, Neighbour, OperatingPointReport, Prediction,
    Provenance, SelfTest, State, Status, Support, TestResult, read_neighbours,
)
from .samples import Feature, Head, OperatingPoint, Sample
from .stream import Stream, open_stream

VERSION = 1
REPLY = 0x80
"""Added to the version in the packet of a reply."""

MESSAGE_MAX = 1 << 18
"""Bytes of the longest reply that is read, whatever the device states: enough for the largest feature."""

RESTARTS_MAX = 5
"""How often a call is begun again because the device was restarted or serves another host meanwhile."""

T = TypeVar("T")


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
        return self._ask(b"\x01", 3, Status.read)

    def classes(self) -> List[ClassInfo]:
        """All classes, by slot."""
        return list(self._classes())

    def _classes(self) -> Iterator[ClassInfo]:
        slot = 0
        while slot <= 255:
            number, reader = self.exchange(b"\x02" + u8(slot))
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
            sample, lambda given: b"\x05" + given, 7, lambda r: Feature(r.blob(), r.option(Reader.u16), sample.source)
        )

    def predict(self, sample: Sample, head: int = Head.AUTO, error_rate_permille: int = 100) -> Prediction:
        """The class of a sample; its prediction set leaves out the true class at the error rate, at most."""
        rest = u8(head) + u16(error_rate_permille)
        return self._ask_about(sample, lambda given: b"\x0b" + given + rest, 12, Prediction.read)

    def decide(
        self,
        sample: Sample,
        point: Optional[OperatingPoint] = None,
        head: int = Head.AUTO,
        error_rate_permille: int = 100,
    ) -> Decision:
        """The class of a sample, and a decision at `point` or else the device's operating point."""
        rest = u8(head) + u16(error_rate_permille) + (b"\0" if point is None else b"\x01" + point.to_bytes())
        return self._ask_about(sample, lambda given: b"\x18" + given + rest, 20, Decision.read)

    def why(self, sample: Sample) -> Tuple[Neighbour, ...]:
        """The supports nearest to a sample, up to five."""
        return self._ask_about(sample, lambda given: b"\x0c" + given, 13, lambda r: read_neighbours(r, 5))

    # -- Teaching --

    def add_class(self, name: str) -> ClassAdded:
        """Adds a class, or finds the one of this name."""
        return self._ask(b"\x06" + text(name), 8, lambda r: ClassAdded(r.u8(), r.boolean()))

    def rename_class(self, class_index: int, name: str) -> None:
        """Renames a class."""
        self._ask(b"\x07" + u8(class_index) + text(name), 2, lambda r: None)

    def remove_class(self, class_index: int) -> int:
        """Removes a class and its supports; returns their number."""
        return self._ask(b"\x08" + u8(class_index), 9, Reader.u32)

    def learn(self, class_index: int, sample: Sample, operator: int = 0, time_s: Optional[int] = None) -> Learned:
        """Teaches a sample of a class. `time_s` is the time in seconds since 1970, by default now."""
        time_s = int(time.time()) if time_s is None else time_s
        about = u8(class_index) + fixed(sample.source, 16) + u32(operator) + u64(time_s)
        learned = self._ask_about(sample, lambda given: b"\x09" + about + given, 10, Learned.read)
        if learned.new:
            self._learned.append(sample.source)
        return learned

    def forget(self, source: bytes) -> Optional[Provenance]:
        """Removes a sample, exactly; returns where it came from, or `None` if the device has no such sample."""
        return self._ask(b"\x0a" + fixed(source, 16), 11, lambda r: r.option(Provenance.read))

    def undo(self) -> Optional[Provenance]:
        """Forgets the sample that this object taught last, if any is left."""
        while self._learned:
            record = self.forget(self._learned.pop())
            if record is not None:
                return record
        return None

    def factory_reset(self) -> None:
        """Forgets every class, every sample and the operating point."""
        self._ask(b"\x12" + text("forget everything"), 2, lambda r: None)

    # -- Operating point --

    def operating_point(self) -> Optional[OperatingPointReport]:
        """The device's operating point, if it has one."""
        return self._ask(b"\x16", 19, lambda r: r.option(OperatingPointReport.read))

    def set_operating_point(self, point: Optional[OperatingPoint]) -> Optional[OperatingPointReport]:
        """Sets the operating point, or removes it."""
        message = b"\x17" + (b"\0" if point is None else b"\x01" + point.to_bytes())
        return self._ask(message, 19, lambda r: r.option(OperatingPointReport.read))

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
                revision, following, part = self._ask(b"\x0d" + u32(cursor), 14, _state_part)
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
            b"\x0e" + text(class_name) + fixed(support.source, 16) + u32(origin.operator) + u64(origin.time_s)
            + blob(support.feature.values),
            10,
            Learned.read,
        )

    # -- Bundles and tests --

    def bundles(self) -> Bundles:
        """The bundle in use, and the candidate."""
        return self._ask(
            b"\x14", 18, lambda r: Bundles(r.u8(), r.fixed(32), r.u64(), r.option(Candidate.read))
        )

    def send_bundle(self, bundle: bytes, forget_samples: bool = False) -> int:
        """Sends a bundle; returns its firmware slot. The device tries it at its next start.

        * `forget_samples`: accept that a bundle with another encoder forgets samples
        """
        begin = b"\x0f" + u32(len(bundle)) + hashlib.sha256(bundle).digest()
        commit = b"\x15" + text("forget what was taught") if forget_samples else b"\x11"

        def send() -> int:
            self._send_parts(b"\x10", bundle, self._ask(begin, 15, Reader.u32), 15, Reader.u32)
            return self._ask(commit, 16, Reader.u8, may_reopen=False)

        # It continues where a restart interrupted it.
        return _again_after(send, Reason.NO_SESSION, Reason.BUNDLE_MISSING, Reason.BUNDLE_OFFSET)

    def self_test(self) -> SelfTest:
        """Tests the device."""
        read = TestResult.read
        return self._ask(b"\x13", 17, lambda r: SelfTest(read(r), read(r), read(r), read(r)))

    # -- Messages and packets --

    def exchange(self, message: bytes, may_reopen: bool = True) -> Tuple[int, Reader]:
        """Sends any message; returns the number of the reply and its fields. Raises `Refused`.

        * `may_reopen`: whether the message may be sent in a new session, if the device was restarted or served another
          host since the one before
        """
        if len(message) > self.hello.message_max:
            raise ValueError(f"a message of {len(message)} bytes; this device takes {self.hello.message_max}")

        def once() -> Tuple[int, Reader]:
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
        number, reader = self._exchange_in_session(b"\x00" + u8(VERSION), self.hello_attempts)
        if number == 1:
            raise _refusal(reader)
        hello = self._read(number, reader, 0, Hello.read)
        self._decoder.packet_max = 9 + min(hello.message_max, MESSAGE_MAX) + 4
        return hello

    def _exchange_in_session(self, message: bytes, attempts: int) -> Tuple[int, Reader]:
        self._sequence += 1
        number = struct.pack("<II", self._session, self._sequence)
        frame = encode_frame(u8(VERSION) + number + message)
        expected = u8(VERSION + REPLY) + number
        for attempt in range(attempts):
            self.repeated += attempt > 0
            self._stream.write(frame)
            reply = self._receive(expected, self.reply_timeout_s * 2**attempt)
            if reply is not None:
                self.requests += 1
                reader = Reader(reply)
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

    def _ask(self, message: bytes, expected: int, read: Callable[[Reader], T], may_reopen: bool = True) -> T:
        number, reader = self.exchange(message, may_reopen)
        return self._read(number, reader, expected, read)

    def _read(self, number: int, reader: Reader, expected: int, read: Callable[[Reader], T]) -> T:
        if number != expected:
            raise BadReply(f"reply {number} instead of {expected}")
        value = read(reader)
        reader.end()
        return value

    def _ask_about(
        self, sample: Sample, message: Callable[[bytes], bytes], expected: int, read: Callable[[Reader], T]
    ) -> T:
        if isinstance(sample, Feature):
            given = (b"\x01" if sample.length is None else b"\x02") + blob(sample.values)
            return self._ask(message(given + (b"" if sample.length is None else u16(sample.length))), expected, read)
        image = sample
        begin = b"\x03" + u16(image.width) + u16(image.height) + u8(image.channels)

        def staged(r: Reader) -> int:
            following, _length = r.u32(), r.u32()
            return following

        def send() -> T:
            self._send_parts(b"\x04", image.pixels, self._ask(begin, 6, staged), 6, staged)
            return self._ask(message(b"\x00"), expected, read, may_reopen=False)

        # A restart took the parts that had arrived, or another host has sent its image, which this one must not learn.
        return _again_after(send, Reason.NO_SESSION, Reason.IMAGE_MISSING, Reason.IMAGE_OFFSET)

    def _send_parts(
        self, kind: bytes, data: bytes, position: int, expected: int, read: Callable[[Reader], int]
    ) -> None:
        """Sends `data` from `position` on; each reply names where the next part begins."""
        length = self.hello.message_max - 16
        while position < len(data):
            message = kind + u32(position) + blob(data[position : position + length])
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
        hashed.update(text(names.get(slot, "")))
    for support in state.supports:
        origin = support.provenance
        hashed.update(support.source + struct.pack("<BIQ", origin.class_index, origin.operator, origin.time_s))
        hashed.update(support.feature.values)
    return hashed.digest()


def _refusal(r: Reader) -> Refused:
    refusal = Refused(r.u16(), r.u64(), r.u64())
    r.end()
    return refusal


def _state_part(r: Reader) -> Tuple[int, int, Union[Tuple[int, str], Support, bytes]]:
    revision, following, kind = r.u32(), r.u32(), r.variant(3)
    part: Union[Tuple[int, str], Support, bytes]
    if kind == 0:
        part = (r.u8(), r.text())
    elif kind == 1:
        source, provenance, values = r.fixed(16), Provenance.read(r), r.blob()
        part = Support(source, provenance, Feature(values, None, source))
    else:
        part = r.fixed(32)
    return revision, following, part
