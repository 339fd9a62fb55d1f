#!/usr/bin/env python3
"""Count the emulated Arm instructions that one image takes in Macula's engine and its peers. Prints the table of
docs/performance.md; every count goes to standard error.

Runs setup.sh, builds the engine's examples, makes the encoders with `macula pretrain` and `macula export` (needs
cargo build --release --features onnx) and converts them for the peers; what is in the folder is not made again. One image costs the median of
the differences between the marks of count.c, without the first two, on one thread.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
ENCODERS = ["nano", "micro", "mobile"]
# Of each processor: its architecture in QEMU, in setup.sh's python-ARCH and in wheels-MACHINE, Rust's target, and the engine's
# instruction set.
CPUS = {
    "cortex-a53": ("aarch64", "arm64", "aarch64", "aarch64-unknown-linux-gnu", "neon"),
    "cortex-a76": ("aarch64", "arm64", "aarch64", "aarch64-unknown-linux-gnu", "neon-dotprod"),
    "cortex-a7": ("arm", "armhf", "armv7l", "armv7-unknown-linux-gnueabihf", "neon"),
}
ROWS = [("cortex-a53", "f32"), ("cortex-a53", "int8"), ("cortex-a76", "f32"), ("cortex-a76", "f16"), ("cortex-a76", "int8"),
        ("cortex-a7", "f32"), ("cortex-a7", "int8")]
# The file that each peer takes for each arithmetic, and whether it has wheels for 32-bit Arm.
PEERS = {
    "onnxruntime": ({"f32": "f32.onnx", "int8": "int8.onnx"}, False),
    "openvino": ({"f32": "f32.onnx"}, False),
    "ncnn": ({"f32": "f32.ncnn.param", "f16": "f32.ncnn.param", "int8": "int8.ncnn.param"}, True),
    "MNN": ({"f32": "f32.mnn", "f16": "f32.mnn", "int8": "int8.mnn"}, False),
    "LiteRT": ({"f32": "f32.tflite", "int8": "int8.tflite"}, True),
}
# Largest error of a feature, relative to its length. Features in int8 are not compared: they are calibrated on noise.
TOLERANCE = {"f32": 1e-3, "f16": 3e-2}
RUNS = 7


class Failure(Exception):
    """What failed, for the reader."""


def run(*command, timeout=None, **settings):
    """Both outputs of `command`."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **settings)
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(command)}: still running after {timeout} s") from error
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-2000:].strip()}")
    return done.stdout


def make(folder, encoder, program):
    """Exports `encoder` and converts it for the peers."""
    exported, converted = folder / "encoders" / encoder, folder / "peers" / encoder
    if not (exported / "encoder.int8.blob").exists():
        if not program.exists():
            raise Failure(f"{program} is missing: run cargo build --release --features onnx, or pass --program")
        trained = folder / "runs" / encoder
        # Random weights would count the same, but export takes trained encoders only.
        if not (trained / "checkpoint.safetensors").exists():
            run(program, "pretrain", "--quiet", "--data", "phantoms:64:96", "--method", "simclr", "--encoder", encoder,
                "--channels", 3, "--size", 64, "--epochs", 1, "--batch-size", 32, "--out", trained)
        run(program, "export", trained, "--quiet", "--force", "--readout", "mean", "--blob", "int8", "--out", exported)
    if not (converted / "about.json").exists():
        converted.mkdir(parents=True, exist_ok=True)
        run(folder / "host/bin/python", HERE.parent / "peers" / "convert.py", exported / "encoder.onnx", converted)
    return json.loads((converted / "about.json").read_text())


def emulated(folder, cpu, plugin="", python_path=""):
    """The start of a command that runs a program on `cpu`."""
    return [f"qemu-{CPUS[cpu][0]}", "-cpu", cpu, "-L", folder / cpu, "-plugin", f"{folder}/libcount.so{plugin}",
            "-E", f"PYTHONPATH={python_path}", "-E", "PYTHONHASHSEED=0", "-E", "PYTHONDONTWRITEBYTECODE=1",
            "-E", "OMP_NUM_THREADS=1"]


def built(cpu, example):
    return TARGET / "arm" / CPUS[cpu][3] / "release" / "examples" / example


def ours(folder, cpu, encoder, arithmetic, plugin=""):
    """The command that encodes with the engine."""
    isa, start = CPUS[cpu][4], emulated(folder, cpu, plugin)
    if arithmetic == "int8":
        return [*start, built(cpu, "int8_runs"), folder / "encoders" / encoder / "encoder.int8.blob", RUNS, isa]
    return [*start, built(cpu, "encode_n"), encoder, arithmetic, isa, RUNS]


def python(folder, cpu):
    """The start of a command that runs a script with the peers."""
    _, arch, machine, *_ = CPUS[cpu]
    # 32-bit Arm takes NumPy from Debian.
    paths = f"{folder}/wheels-{machine}:{folder}/python-{arch}/usr/lib/python3/dist-packages"
    return [*emulated(folder, cpu, python_path=paths), folder / cpu / "usr/bin/python3.11"]


def peers(folder, cpu, encoder, arithmetic, peer, shape):
    """The command that encodes with a peer."""
    model = folder / "peers" / encoder / PEERS[peer][0][arithmetic]
    return [*python(folder, cpu), HERE / "peer.py", peer, model, "x".join(map(str, shape)), arithmetic, RUNS]


def count(command, runs=RUNS):
    """Instructions per run (an image; in training a step), and what the program printed."""
    # A peer that waits for a second thread would never end; training of wide encoders takes an hour on a busy machine.
    text = run(*command, timeout=7200)
    marks = re.search(r"^marks (.+)", text, re.M)
    marks = [int(mark) for mark in marks[1].split()] if marks else []
    if len(marks) != runs + 1:
        raise Failure(f"{' '.join(map(str, command))}: {len(marks)} marks, expected {runs + 1}\n{text[-2000:].strip()}")
    return statistics.median(after - before for before, after in zip(marks[2:], marks[3:])), text


def count_peer(command, arithmetic, expected):
    """Instructions per image and the version of a peer, whose feature must be `expected`."""
    found, text = count(command)
    report = re.search(r'^{"version".+', text, re.M)
    if report is None:
        raise Failure(f"it prints no feature\n{text[-2000:].strip()}")
    report = json.loads(report[0])
    if len(report["feature"]) != len(expected):
        raise Failure(f"its feature has {len(report['feature'])} numbers, expected {len(expected)}")
    length = sum(x * x for x in expected) ** 0.5
    error = sum((x - y) ** 2 for x, y in zip(report["feature"], expected)) ** 0.5 / length
    if error > TOLERANCE.get(arithmetic, float("inf")):
        raise Failure(f"its feature is wrong: relative error {error:.2g}")
    return found, report["version"]


def lacks(peer, cpu, arithmetic):
    """Why a peer cannot be counted."""
    files, has_32_bit = PEERS[peer]
    if cpu == "cortex-a7" and not has_32_bit:
        return "no wheel for 32-bit Arm"
    return None if arithmetic in files else f"not counted in {arithmetic}"


def figure(value):
    return f"{value:.3f}".removeprefix("0")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=TARGET / "arm-counts", help="for all files [%(default)s]")
    parser.add_argument("--program", type=pathlib.Path, default=TARGET / "release" / "macula", help="[%(default)s]")
    parser.add_argument("--cpus", nargs="+", choices=CPUS, default=list(CPUS))
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=ENCODERS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    args = parser.parse_args()
    folder = args.folder.resolve()
    subprocess.run([HERE / "setup.sh", folder], check=True)
    rows = [row for row in ROWS if row[0] in args.cpus]
    for triple in sorted({CPUS[cpu][3] for cpu, _ in rows}):
        run(ROOT / "tools/arm-cargo", triple, "build", "--locked", "--release", "-p", "macula-engine", "--examples")
    about = {encoder: make(folder, encoder, args.program) for encoder in args.encoders}

    missing, versions, failed, table = [f"{peer}: left out" for peer in PEERS if peer not in args.peers], {}, False, []
    for cpu, arithmetic in rows:
        run_peers = []
        for peer in args.peers:
            reason = lacks(peer, cpu, arithmetic)
            missing.append(f"{peer}, {cpu} {arithmetic}: {reason}") if reason else run_peers.append(peer)
        cells = []
        for encoder in args.encoders:
            found, macs = {}, about[encoder]["multiply_accumulates"]
            for name in ["ours", *run_peers]:
                case = f"{name}, {cpu} {arithmetic}, {encoder}"
                try:
                    if name == "ours":
                        found[name] = count(ours(folder, cpu, encoder, arithmetic))[0] / macs
                    else:
                        command = peers(folder, cpu, encoder, arithmetic, name, about[encoder]["shape"])
                        instructions, version = count_peer(command, arithmetic, about[encoder]["feature"])
                        found[name] = instructions / macs
                        versions.setdefault(name, set()).add(version)
                    print(f"{case}: {figure(found[name])}", file=sys.stderr, flush=True)
                except Failure as failure:
                    failed = True
                    print(f"{case}: FAILED: {failure}", file=sys.stderr, flush=True)
                    missing.append(f"{case}: FAILED")
            own = found.pop("ours", None)
            best = min(found, key=found.get, default=None)
            is_best = own is not None and own <= min(found.values(), default=own)
            cells.append("-" if own is None else f"**{figure(own)}**" if is_best else figure(own))
            cells.append("-" if best is None else f"{best} {figure(found[best])}")
        table.append([cpu.replace("cortex-a", "Cortex-A"), arithmetic, *cells])

    head = [column for encoder in args.encoders for column in [f"`{encoder}`", "best peer"]]
    for row in [["processor", "arithmetic", *head], ["---"] * (2 + len(head)), *table]:
        print("| " + " | ".join(row) + " |")
    counted = "; ".join(f"{peer} {' and '.join(sorted(versions[peer]))}" for peer in versions)
    print(f"\nInstructions per multiply-accumulate. Peers: {counted or 'none'}.")
    if missing:
        print("\nNot counted:\n\n" + "\n".join(f"* {line}" for line in missing))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, subprocess.CalledProcessError) as failure:
        sys.exit(f"arm/measure: {failure}")
