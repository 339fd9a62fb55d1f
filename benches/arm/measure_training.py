#!/usr/bin/env python3
"""Count the emulated Arm instructions of one training step in Macula and in PyTorch. Prints the table of docs/performance.md;
every count goes to standard error.

Runs setup.sh and builds `macula` for Arm. A step is forward, backward and SGD with momentum, of the same network with a linear
classifier, on one thread: `macula bench train` and ../peers/train.py. It costs the median of the differences between the marks of
count.c, without the first two. Multiply-accumulates are those of the convolutions: forward, gradient of the weights, and gradient of
the input but for the first.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

import measure

SHAPES = {"pico": (1, 28), "nano": (3, 32), "micro": (3, 32), "mobile": (3, 64)}
CPUS = [cpu for cpu, (architecture, *_) in measure.CPUS.items() if architecture == "aarch64"]
MODES = ["eager", "channels_last"]
# Both programs take three steps to warm up.
STEPS = 1
RUNS = 3 + STEPS


def program(cpu):
    return measure.TARGET / "arm" / measure.CPUS[cpu][3] / "release" / "macula"


def build(cpus):
    """Builds `macula` without what training does not need."""
    for triple in sorted({measure.CPUS[cpu][3] for cpu in cpus}):
        measure.run(measure.ROOT / "tools/arm-cargo", triple, "build", "--locked", "--release", "-p", "macula", "--bin", "macula",
                    "--no-default-features", "--features", "host")


def ours(folder, cpu, encoder, batch, plugin=""):
    """The command that trains with Macula."""
    channels, size = SHAPES[encoder]
    return [*measure.emulated(folder, cpu, plugin), program(cpu), "bench", "train", "--encoder", encoder, "--channels", channels,
            "--size", size, "--batch-size", batch, "--threads", 1, "--steps", STEPS, "--quiet", "--json"]


def torch(folder, cpu, encoder, batch, mode):
    """The command that trains with PyTorch."""
    return [*measure.python(folder, cpu), measure.ROOT / "benches/peers/train.py", mode, encoder, *SHAPES[encoder], batch, 1, STEPS]


def count(command):
    """Instructions per step, and the report of the program."""
    found, text = measure.count(command, RUNS)
    report = re.search(r"^{.*?^}|^{.+}$", text, re.M | re.S)
    if report is None:
        raise measure.Failure(f"it prints no report\n{text[-2000:].strip()}")
    return found, json.loads(report[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=measure.TARGET / "arm-counts", help="for all files [%(default)s]")
    parser.add_argument("--cpus", nargs="+", choices=CPUS, default=CPUS)
    parser.add_argument("--encoders", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--batch-size", type=int, default=16, help="images per step [%(default)s]")
    parser.add_argument("--modes", nargs="*", choices=MODES, default=MODES, help="of PyTorch; none leaves it out")
    args = parser.parse_args()
    folder, batch = args.folder.resolve(), args.batch_size
    subprocess.run([measure.HERE / "setup.sh", folder], check=True)
    build(args.cpus)

    table, versions, failed = [], set(), False
    for cpu in args.cpus:
        for encoder in args.encoders:
            instructions, found, macs = {}, {}, None
            for name in ["Macula", *args.modes]:
                case = f"{name}, {cpu}, {encoder}"
                command = ours(folder, cpu, encoder, batch) if name == "Macula" else torch(folder, cpu, encoder, batch, name)
                try:
                    steps, report = count(command)
                    if name == "Macula":
                        macs = report["results"][0]["multiply_accumulates"]
                    else:
                        versions.add(report["peer"].split(",")[0])
                    instructions[name] = steps / batch
                    found[name] = instructions[name] / macs
                    print(f"{case}: {measure.figure(found[name])}", file=sys.stderr, flush=True)
                except measure.Failure as failure:
                    failed = True
                    print(f"{case}: FAILED: {failure}", file=sys.stderr, flush=True)
                    if macs is None:
                        break
            best = min((mode for mode in args.modes if mode in found), key=found.get, default=None)
            cells = ["-"] * 5
            if "Macula" in found:
                cells[:2] = f"{instructions['Macula'] / 1e6:.2f}", measure.figure(found["Macula"])
            if best is not None:
                cells[2:] = f"{instructions[best] / 1e6:.2f}", f"{measure.figure(found[best])} ({best})", \
                    f"{found[best] / found['Macula']:.2f} ×"
            table.append([cpu.replace("cortex-a", "Cortex-A"), f"`{encoder}`", *cells])

    head = ["processor", "encoder", "Macula, 10⁶ per image", "per MAC", "PyTorch, 10⁶ per image", "per MAC", "PyTorch / Macula"]
    for row in [head, ["---"] * len(head), *table]:
        print("| " + " | ".join(row) + " |")
    print(f"\nBatches of {batch}. Peer: {' and '.join(sorted(versions)) or 'none'}.")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (measure.Failure, subprocess.CalledProcessError) as failure:
        sys.exit(f"arm/measure_training: {failure}")
