"""Time and memory from the start of the interpreter to the first feature, beside ONNX Runtime's and PyTorch's.

    python first_feature.py [--repeat N] [--onnx FILE]

Each contender runs in processes of its own, N of them, after one that warms the file cache. The time is that of the
process's life until it has printed the first feature of one 64 × 64 grey image; the memory is the peak of its resident set. The
network is that of the shipped encoder grey-64: `macula` opens it by name and as the ONNX file, ONNX Runtime the same file,
and PyTorch a network of the same layers with random weights, because it does not read ONNX. Contenders that are not installed
are left out. `python` is an interpreter with NumPy alone, for comparison.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
MODEL = HERE.parents[2] / "models" / "grey-64" / "encoder.onnx"

TORCH = """
import torch
from torch import nn

def block(inputs, outputs, stride):
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

layers = [*block(1, 16, 1), *block(16, 32, 2), *block(32, 64, 2), *block(64, 128, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
network = nn.Sequential(*layers).eval()
with torch.inference_mode():
    feature = network(torch.zeros(1, 1, 64, 64))
"""

CONTENDERS = {
    "python": ("numpy", "import numpy as np\nfeature = np.zeros((1, 8), np.float32)"),
    "macula, by name": (
        "macula",
        "import numpy as np, macula\n"
        "feature = macula.Encoder('grey-64').encode(np.zeros((1, 64, 64), np.uint8))",
    ),
    "macula, ONNX file": (
        "macula",
        "import numpy as np, macula\n"
        "feature = macula.Encoder({onnx!r}).encode(np.zeros((1, 64, 64), np.uint8))",
    ),
    "onnxruntime": (
        "onnxruntime",
        "import numpy as np, onnxruntime as ort\n"
        "session = ort.InferenceSession({onnx!r}, providers=['CPUExecutionProvider'])\n"
        "feature = session.run(None, {{session.get_inputs()[0].name: np.zeros((1, 1, 64, 64), np.float32)}})[0]",
    ),
    "torch": ("torch", TORCH),
}


def child(code: str) -> None:
    """Runs `code` and prints the peak of the resident set in KiB."""
    scope: dict = {}
    exec(code, scope)
    assert scope["feature"].shape[0] == 1
    print("done", flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def measure(code: str) -> tuple[float, float]:
    """Seconds until the first feature, and MiB."""
    started = time.perf_counter()
    command = [sys.executable, str(HERE), "--child", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    seconds = time.perf_counter() - started
    memory = process.stdout.readline()
    process.wait()
    if line != "done\n":
        raise SystemExit(f"failed: {code}")
    return seconds, int(memory) / 1024


def installed(module: str) -> bool:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.run([sys.executable, "-c", f"import {module}"], check=False, **quiet).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="processes for each contender")
    parser.add_argument("--onnx", default=str(MODEL), help="the encoder as ONNX")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child)
        return
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, median of {arguments.repeat}")
    print("| | time to the first feature | peak memory |\n|---|---|---|")
    for name, (module, code) in CONTENDERS.items():
        if not installed(module):
            continue
        code = code.format(onnx=arguments.onnx) if "{onnx" in code else code
        measure(code)
        figures = [measure(code) for _ in range(arguments.repeat)]
        seconds, memory = (statistics.median(values) for values in zip(*figures))
        print(f"| {name} | {seconds * 1000:.0f} ms | {memory:.0f} MiB |")


if __name__ == "__main__":
    main()
