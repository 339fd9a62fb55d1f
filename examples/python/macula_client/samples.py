"""What a host sends: images, features, operating points."""

from __future__ import annotations

import enum
import hashlib
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence, Tuple, Union

from .codec import Reader, fixed, u8, u16


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
        object.__setattr__(self, "source", fixed(self.source or hashlib.sha256(self.values).digest()[:16], 16))

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

    def to_bytes(self) -> bytes:
        if isinstance(self.target, Costs):
            rest = u8(2) + u16(self.target.missed) + u16(self.target.false_alarm)
        else:
            rest = u8(0 if isinstance(self.target, Sensitivity) else 1) + u16(self.target.permille)
        return u8(self.class_index) + rest

    @classmethod
    def read(cls, reader: Reader) -> OperatingPoint:
        class_index, kind = reader.u8(), reader.variant(3)
        target: Target
        if kind == 2:
            target = Costs(reader.u16(), reader.u16())
        else:
            target = (Sensitivity if kind == 0 else Specificity)(reader.u16())
        return cls(class_index, target)
