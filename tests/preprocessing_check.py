"""Compares the script of docs/preprocessing.md with `macula embed`, bit for bit.

    python tests/preprocessing_check.py PROGRAM FOLDER

FOLDER is created. The script is extracted from the document, so that the two cannot differ.
"""

import pathlib
import re
import subprocess
import sys

import numpy as np
import onnx
from PIL import Image

program, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
document = (pathlib.Path(__file__).parent.parent / "docs/preprocessing.md").read_text()
script = re.search(r"```python\n(.*?)```", document, re.S).group(1)
exec(script)

SIZES = [(32, 32), (1, 1), (7, 201), (33, 31), (640, 480), (5, 3), (200, 64)]


def draw():
    """Lossless images of all sizes, grey and colour, with and without an orientation."""
    random = np.random.default_rng(7)
    for number, (width, height) in enumerate(SIZES):
        for mode, shape in [("L", (height, width)), ("RGB", (height, width, 3))]:
            values = random.integers(0, 256, shape, dtype=np.uint8)
            # Noise and flat areas, in which a rounding error shows.
            values[: height // 2] = random.integers(0, 256)
            # Pillow 13.0 applies the orientation of a TIFF twice, so only PNGs have one.
            for orientation, ending in [(1, "png"), (1, "tif"), (2 + (number + len(mode)) % 7, "png")]:
                name = folder / f"{number}-{mode}-{orientation}.{ending}"
                exif = Image.Exif()
                exif[274] = orientation
                Image.fromarray(values).save(name, exif=exif)
                yield name


def flat(channels, height, width):
    """An ONNX file whose feature is its flattened input."""
    value = onnx.helper.make_tensor_value_info
    shape = [1, channels, height, width]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Flatten", ["x"], ["y"])],
        "flat",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, [1, channels * height * width])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    name = folder / f"flat-{channels}-{height}-{width}.onnx"
    onnx.save(model, name)
    return name


def embed(files, *arguments):
    out = folder / "features.npy"
    subprocess.run([program, "embed", *arguments, *files, "--out", out, "--force", "--quiet"], check=True)
    return np.load(out)


files = list(dict.fromkeys(draw()))
compared = 0
recipes = [("raw-pixels", 1, 32, 32, [0.5], [0.25])]
recipes += [("", 3, 20, 41, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ("", 1, 50, 9, [0.1], [0.7])]
for encoder, channels, height, width, mean, std in recipes:
    options = ["--encoder", encoder]
    if not encoder:
        text = [",".join(map(str, values)) for values in (mean, std)]
        options = ["--encoder", flat(channels, height, width), "--mean", text[0], "--std", text[1]]
    rows = embed(files, *options)
    for file, row in zip(files, rows, strict=True):
        expected = network_input(file, channels, height, width, mean, std)
        expected = expected.ravel() if encoder else expected.transpose(2, 0, 1).ravel()
        if not np.array_equal(row, expected):
            at = int(np.argmax(row != expected))
            sys.exit(f"{file}, {channels}×{height}×{width}: value {at} is {row[at]}, the script gives {expected[at]}")
        compared += row.size
print(f"docs/preprocessing.md: {compared} values of {len(files)} files equal those of macula embed")
