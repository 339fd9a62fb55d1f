"""Writes graphs with known results for tests/onnx_backend.rs.

    python tests/onnx_backend.py target/onnx-backend
    MACULA_ONNX_BACKEND=$PWD/target/onnx-backend cargo test --test onnx_backend

Two kinds; each case is a folder with `model.onnx`, `input_N.pb` and `output_N.pb` (ONNX's TensorProto):

vectors/  ONNX's backend test vectors from the package `onnx`. All operands are inputs of the graph, also those that models
          have as constants (axes, shapes, weights). A case of several inputs is therefore written twice: unchanged, and
          with all inputs but the first as constants (`NAME.constants`).
sweep/    Graphs of one or a few operators over ranges of attributes, shapes and operator sets, with the results of ONNX
          Runtime on random inputs of a fixed seed. Graphs that ONNX Runtime refuses are left out. Some are also written in
          f16 (`NAME.f16`), with the rounded f32 results.

Needs numpy, onnx and onnxruntime (tests/requirements.txt).
"""

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from onnx_sweep import as_f16
from onnx_sweep import cases as sweep_cases


def plain(array):
    return isinstance(array, (np.ndarray, np.generic)) and array.dtype != object


def write(folder, model, inputs, outputs):
    """One case. Values that are not tensors (sequences, optionals) are left out; such graphs must be refused anyway."""
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, value in enumerate(values):
            if isinstance(value, onnx.TensorProto):
                value = numpy_helper.to_array(value)
            if plain(value):
                tensor = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)))
                (folder / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def with_constants(model, inputs):
    """The model with all inputs but the first as constants; none if they are not tensors."""
    if len(inputs) < 2 or len(inputs) != len(model.graph.input) or not all(map(plain, inputs)):
        return None
    constant = onnx.ModelProto()
    constant.CopyFrom(model)
    del constant.graph.input[1:]
    for declared, value in zip(model.graph.input[1:], inputs[1:]):
        constant.graph.initializer.append(numpy_helper.from_array(np.asarray(value), declared.name))
    return constant


def node_vectors():
    """The package's generated cases of single operators."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        for inputs, outputs in case.data_sets[:1]:
            yield case.name, case.model, list(inputs), list(outputs)


def shipped_vectors():
    """Cases that the package ships as files, such as networks and operators from PyTorch."""
    root = Path(onnx.__file__).parent / "backend/test/data"
    for folder in sorted(root.glob("*/*/model.onnx")):
        kind, name, data = folder.parent.parent.name, folder.parent.name, folder.parent / "test_data_set_0"
        if kind not in ("simple", "pytorch-operator", "pytorch-converted") or not data.exists():
            continue
        model, tensors = onnx.load(folder), {}
        for kind_of in ("input", "output"):
            files = sorted(data.glob(f"{kind_of}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
            tensors[kind_of] = [read_tensor(path) for path in files]
        yield f"{kind}.{name}", model, tensors["input"], tensors["output"]


def read_tensor(path):
    """The tensor in a file; none for anything else."""
    try:
        return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))
    except Exception:
        return None


def write_vectors(root):
    count = 0
    for source in (node_vectors(), shipped_vectors()):
        for name, model, inputs, outputs in source:
            write(root / name, model, inputs, outputs)
            count += 1
            constant = with_constants(model, inputs)
            if constant is not None:
                write(root / f"{name}.constants", constant, inputs[:1], outputs)
                count += 1
    return count


def write_sweep(root):
    count, refused = 0, 0
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for name, model, inputs, half in sweep_cases():
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            outputs = session.run(None, dict(zip((value.name for value in session.get_inputs()), inputs)))
        except Exception:
            refused += 1
            continue
        write(root / name, model, inputs, outputs)
        count += 1
        if half and all(output.dtype == np.float32 for output in outputs):
            halves = [[array.astype(np.float16) for array in arrays] for arrays in (inputs, outputs)]
            if all(np.isfinite(array).all() for array in halves[1]):
                write(root / f"{name}.f16", as_f16(model), *halves)
                count += 1
    return count, refused


def main():
    root = Path(sys.argv[1])
    shutil.rmtree(root, ignore_errors=True)
    vectors = write_vectors(root / "vectors")
    swept, refused = write_sweep(root / "sweep")
    print(f"{vectors} vectors of onnx {onnx.__version__}")
    print(f"{swept} graphs with results of ONNX Runtime {onnxruntime.__version__}, which refuses {refused} more")


if __name__ == "__main__":
    main()
