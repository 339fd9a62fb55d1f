#!/usr/bin/env python3
"""How the time of a training step and the memory of a run grow: a table and a chart. Needs matplotlib and cargo build --release.

    benches/growth.py --data FOLDER --csv docs/lessons/growth.csv --svg docs/lessons/growth.svg

FOLDER has 50,000 images, for instance CIFAR-10. Takes 15 minutes on two idle cores. Steps are those of `macula bench train`, whose
time is the least of the rounds. Memory is the peak of the process of `macula pretrain`, with a cache of 16 MiB for images.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import tempfile

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)

PROGRAM = pathlib.Path(__file__).parent.parent / "target" / "release" / "macula"
BATCHES = [16, 32, 64, 128, 256, 512]
SIDES = [32, 48, 64, 96, 128]
BATCH_OF_SIDES = 32
IMAGES = [3125, 6250, 12_500, 25_000, 50_000]
EPOCHS = [1, 2, 4, 8]
IMAGES_OF_EPOCHS = 3125
PANELS = {
    "batch": ("images per step, 3×32×32", "ms per step"),
    "area": (f"pixels of an image, batch {BATCH_OF_SIDES}", "ms per step"),
    "images": ("images, one epoch, batch 256", "peak MiB"),
    "epochs": (f"epochs of {IMAGES_OF_EPOCHS} images, batch 256", "peak MiB"),
}


def step_ms(program, precision, batch, side):
    """Milliseconds of a step of `nano`."""
    options = ["--encoder", "nano", "--precision", precision, "--batch-size", batch, "--size", side, "--steps", 10, "--json"]
    command = [str(part) for part in [program, "bench", "train", *options]]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return report["results"][0]["step_ms"]["p50"]


def peak_mib(program, data, images, epochs):
    """Peak memory of a run of SimCLR with `nano` at 3×32×32."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--method", "simclr", "--encoder", "nano", "--batch-size", 256, "--count", images, "--epochs", epochs, "--cache-mib", 16]
        quiet = ["--validate", "never", "--health", "never", "--quiet", "--out", os.path.join(folder, "run")]
        command = [str(part) for part in [program, "pretrain", "--data", data, *options, *quiet]]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"growth: exit status {status} of: {' '.join(command)}")
        return usage.ru_maxrss / 1024


def measured(program, data, rounds):
    """Rows (panel, series, x, value)."""
    steps = [("batch", batch, batch, 32) for batch in BATCHES] + [("area", side * side, BATCH_OF_SIDES, side) for side in SIDES]
    for precision in ("f32", "bf16"):
        least = {}
        for _ in range(rounds):
            for panel, x, batch, side in steps:
                found = step_ms(program, precision, batch, side)
                least[panel, x] = min(found, least.get((panel, x), found))
        yield from ((panel, precision, x, value) for (panel, x), value in least.items())
    for images in IMAGES:
        yield "images", "f32", images, peak_mib(program, data, images, 1)
    for epochs in EPOCHS:
        yield "epochs", "f32", epochs, peak_mib(program, data, IMAGES_OF_EPOCHS, epochs)


def chart(rows, path):
    """A panel for each quantity that grows."""
    plt.rcParams["svg.hashsalt"] = "macula"
    figure, axes = plt.subplots(1, len(PANELS), figsize=(13, 3.2), layout="constrained")
    for axis, (panel, (x_label, y_label)) in zip(axes, PANELS.items()):
        for series in dict.fromkeys(row[1] for row in rows if row[0] == panel):
            points = [(x, value) for of, name, x, value in rows if (of, name) == (panel, series)]
            axis.plot(*zip(*points), marker="o", label=series)
        axis.set(xlabel=x_label, ylabel=y_label, xlim=(0, None), ylim=(0, None))
        axis.legend()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="50,000 images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--csv", default="growth.csv")
    parser.add_argument("--svg", default="growth.svg")
    args = parser.parse_args()
    rows = list(measured(args.program, args.data, args.rounds))
    with open(args.csv, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["panel", "series", "x", "value"])
        table.writerows((panel, series, x, f"{value:.2f}") for panel, series, x, value in rows)
    chart(rows, args.svg)


if __name__ == "__main__":
    main()
