"""Writes pillow.bin: small images resized by Pillow, for edge/tests/image.rs.

    python edge/tests/vectors/pillow.py        (needs Pillow; written with Pillow 13.0)

Each case: source width, height, channels, target width, height, channels as six u16, then the pixels of source and
target, all little-endian. Grey is `convert("L")`, then `resize(…, BILINEAR)`.
"""
import pathlib
import random
import struct

from PIL import Image

CASES = [
    ((24, 17, 1), (8, 8, 1)),
    ((7, 5, 1), (16, 11, 1)),
    ((64, 48, 1), (9, 13, 1)),
    ((3, 20, 1), (9, 4, 1)),
    ((60, 1, 1), (7, 3, 1)),
    ((33, 33, 1), (32, 32, 1)),
    ((20, 15, 3), (6, 7, 3)),
    ((5, 4, 3), (8, 9, 3)),
    ((31, 22, 3), (10, 10, 1)),
    ((6, 9, 1), (11, 5, 3)),
]


def pixels(width, height, channels, generator):
    """Noise on a ramp, with stretches of black and white that a clipped sum would show in."""
    values = []
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                ramp = 255 * (x + channel) // (width + 2) + generator.randrange(-60, 61)
                extreme = 255 * generator.randrange(2)
                values.append(extreme if (x // 5 + y // 4) % 3 == 0 else min(max(ramp, 0), 255))
    return bytes(values)


def main():
    generator = random.Random(20261123)
    out = bytearray()
    for source, target in CASES:
        raw = pixels(*source, generator)
        image = Image.frombytes("L" if source[2] == 1 else "RGB", source[:2], raw)
        image = image.convert("L" if target[2] == 1 else "RGB").resize(target[:2], Image.Resampling.BILINEAR)
        out += struct.pack("<6H", *source, *target) + raw + image.tobytes()
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(out)


main()
