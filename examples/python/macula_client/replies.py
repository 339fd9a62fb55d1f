"""What a device replies."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional, Tuple

from .codec import Reader
from .samples import Feature, OperatingPoint


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
    def read(cls, r: Reader) -> Hello:
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
    def read(cls, r: Reader) -> Status:
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
    def read(cls, r: Reader) -> Learned:
        return cls(r.u8(), r.boolean(), r.u32())


@dataclass(frozen=True)
class Provenance:
    """Where a support comes from."""

    class_index: int
    operator: int
    time_s: int
    """Seconds since 1970; 0 if unknown."""

    @classmethod
    def read(cls, r: Reader) -> Provenance:
        return cls(r.u8(), r.u32(), r.u64())


@dataclass(frozen=True)
class Neighbour:
    """A support near a sample."""

    source: bytes
    provenance: Provenance
    similarity: float
    """Cosine similarity."""

    @classmethod
    def read(cls, r: Reader) -> Neighbour:
        return cls(r.fixed(16), Provenance.read(r), r.f32())


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
    def read(cls, r: Reader) -> Prediction:
        head, class_index, probability = r.u8(), r.u8(), r.f32()
        bits = r.blob()
        slots = tuple(slot for slot in range(8 * len(bits)) if bits[slot // 8] >> slot % 8 & 1)
        known, enough, shots_needed = r.boolean(), r.boolean(), r.u16()
        return cls(head, class_index, probability, slots, known, enough, shots_needed, read_neighbours(r, 3))


def read_neighbours(r: Reader, count: int) -> Tuple[Neighbour, ...]:
    """The supports near a sample; missing ones are left out."""
    found = [r.option(Neighbour.read) for _ in range(count)]
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
    def read(cls, r: Reader) -> Threshold:
        return cls(r.f32(), r.u32(), r.u32(), r.u32(), r.u32())


@dataclass(frozen=True)
class OperatingPointReport:
    """An operating point, and its threshold if there are enough supports for one."""

    point: OperatingPoint
    threshold: Optional[Threshold]

    @classmethod
    def read(cls, r: Reader) -> OperatingPointReport:
        return cls(OperatingPoint.read(r), r.option(Threshold.read))


@dataclass(frozen=True)
class Decision:
    """A prediction, and whether the sample is positive at the operating point."""

    prediction: Prediction
    point: Optional[OperatingPointReport]
    score: Optional[float]
    """Log odds of the positive class; `None` without a threshold."""
    positive: Optional[bool]

    @classmethod
    def read(cls, r: Reader) -> Decision:
        prediction, point = Prediction.read(r), r.option(OperatingPointReport.read)
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
    def read(cls, r: Reader) -> TestResult:
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
    def read(cls, r: Reader) -> Candidate:
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
