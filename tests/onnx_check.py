"""Checks exported encoders and classifiers with ONNX's checker and ONNX Runtime.

    MACULA_ONNX_CHECK=$PWD/target/onnx-check cargo test --test export --test export_head
    python tests/onnx_check.py target/onnx-check

The folder holds one folder per encoder, written by the test `export`: `encoder.onnx`, `encoder.f16.onnx`, the input
(`input.nhwc.f32`) and the features of tract (`FILE.tract.f32`); and one folder `head-…` per classifier, written by the test
`export_head`: `classifier.onnx`, the input, and class and probability of the device (`device.json`). Needs numpy, onnx and
onnxruntime. Exit code 1 if anything differs.

Errors are absolute differences divided by the length of ONNX Runtime's f32 feature of the same image.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

TOLERANCES = {"encoder.onnx": 1e-5, "encoder.f16.onnx": 2e-2}
ELEMENTS = {"encoder.onnx": onnx.TensorProto.FLOAT, "encoder.f16.onnx": onnx.TensorProto.FLOAT16}
METADATA = {"macula.preprocessing", "macula.provenance", "macula.corpus", "macula.format"}
PRESETS = {"pico", "nano", "micro", "mobile"}
READOUTS = {
    f"{encoder}-{pooling}{linear_map}"
    for encoder in ("nano-64", "pico-28", "mobile-32", "mobile-64")
    for pooling in ("mean", "mean-std", "stages", "grid")
    for linear_map in ("", "-map")
}
CLASSIFIERS = {"head-f16", "head-f32"}
PROBABILITY_TOLERANCE = 2e-3


def check_file(path, element):
    """Errors of ONNX's checker and of the declared types of a file."""
    model = onnx.load(path)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [f"onnx.checker: {error}"]
    problems = []
    values = list(model.graph.input) + list(model.graph.output)
    found = {value.type.tensor_type.elem_type for value in values}
    found |= {tensor.data_type for tensor in model.graph.initializer}
    if found != {element}:
        names = sorted(onnx.TensorProto.DataType.Name(kind) for kind in found)
        problems.append(f"holds {names}, expected {onnx.TensorProto.DataType.Name(element)} alone")
    missing = METADATA - {entry.key for entry in model.metadata_props}
    if missing:
        problems.append(f"lacks metadata {sorted(missing)}")
    return problems


def run(path, images):
    """Features [N, D] by ONNX Runtime, in f32."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    declared = session.get_inputs()[0]
    element = np.float16 if "float16" in declared.type else np.float32
    together = session.run(None, {declared.name: images.astype(element)})[0]
    alone = session.run(None, {declared.name: images[:1].astype(element)})[0]
    if not np.allclose(together[:1], alone, rtol=1e-2 if element == np.float16 else 1e-5, atol=1e-3):
        raise ValueError("the feature of one image depends on the others")
    return together.astype(np.float32)


def input_shape(path):
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    return [dim.dim_value for dim in dims[1:]]


def check_encoder(folder):
    """Prints one line per file; returns the number of failed files."""
    failures = 0
    reference = None
    for name, tolerance in TOLERANCES.items():
        path = folder / name
        problems = check_file(path, ELEMENTS[name])
        error = float("nan")
        if not problems:
            channels, height, width = input_shape(path)
            images = np.fromfile(folder / "input.nhwc.f32", "<f4").reshape(-1, height, width, channels)
            features = run(str(path), np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
            tract = np.fromfile(folder / f"{name}.tract.f32", "<f4").reshape(features.shape)
            reference = features if reference is None else reference
            norms = np.linalg.norm(reference, axis=1, keepdims=True)
            # Against ONNX Runtime on this file and on the f32 file, so that other weights fail too.
            differences = np.maximum(abs(features - tract), abs(reference - tract) if "f16" in name else 0)
            error = float((differences / norms).max())
            if not error <= tolerance:
                problems.append(f"tract and ONNX Runtime differ by {error:.2e}, {tolerance:.0e} is allowed")
        print(f"{folder.name}/{name}: {'; '.join(problems) if problems else f'agrees to {error:.1e}'}")
        failures += bool(problems)
    return failures


def check_classifier(folder):
    """Prints one line; returns whether a class or a probability differs from the device's."""
    path = folder / "classifier.onnx"
    model = onnx.load(path)
    problems = []
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        problems.append(f"onnx.checker: {error}")
    names = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "macula.classes"))
    device = json.loads((folder / "device.json").read_text())
    channels, height, width = input_shape(path)
    images = np.fromfile(folder / "input.nhwc.f32", "<f4").reshape(-1, height, width, channels)
    found = run(str(path), np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    other = sum(names[row.argmax()] != name for row, (name, _) in zip(found, device, strict=True))
    error = max(abs(row.max() - probability) for row, (_, probability) in zip(found, device, strict=True))
    if len(device) < 200:
        problems.append(f"has {len(device)} images, 200 are needed")
    if other or not error <= PROBABILITY_TOLERANCE:
        problems.append(f"{other} of {len(device)} images have another class, probabilities differ by {error:.1e}")
    agreement = f"the device's class for {len(device)} images, probabilities to {error:.1e}"
    print(f"{folder.name}/classifier.onnx: {'; '.join(problems) if problems else agreement}")
    return bool(problems)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = Path(sys.argv[1])
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    missing = (PRESETS | READOUTS | CLASSIFIERS) - {folder.name for folder in folders}
    if missing:
        sys.exit(f"{root} lacks {sorted(missing)}: see the head of this file")
    heads = [folder for folder in folders if folder.name in CLASSIFIERS]
    encoders = [folder for folder in folders if folder.name in PRESETS | READOUTS]
    failures = sum(check_encoder(folder) for folder in encoders) + sum(check_classifier(folder) for folder in heads)
    if failures:
        sys.exit(f"onnx_check: {failures} of {2 * len(encoders) + len(heads)} files failed")


if __name__ == "__main__":
    main()
