"""Reads event files of the program with TensorBoard's own reader.

    python tests/tensorboard_check.py target/debug/macula target/tensorboard-check

Trains phantoms for two epochs, stopped and resumed, and compares what the package `tensorboard` reads with `metrics.jsonl`. Exit code 1
if anything differs.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(program, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run, events = folder / "run", folder / "events"

    def macula(line):
        subprocess.run([str(program.resolve()), *line.split()], cwd=folder, check=True, stdin=subprocess.DEVNULL)

    short = "--data phantoms:16:120 --method rotation --encoder pico --channels 1 --size 16 --batch-size 20 --validate epoch"
    macula(f"pretrain {short} --epochs 2 --seed 1 --quiet --out run --tensorboard events")
    # The file of a resumed run is beside the first one.
    macula("pretrain --resume --epochs 4 --quiet --out run --tensorboard events")
    found = list(events.iterdir())
    assert len(found) == 2, found
    reader = EventAccumulator(str(events))
    reader.Reload()
    tags = set(reader.Tags()["scalars"])

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if "train" in line and line["epoch"] > 0]
    assert len(epochs) == 4, epochs
    values = {
        "loss/train": lambda line: line["train"]["loss"],
        "loss/held_out": lambda line: line["held_out"]["loss"],
        "balanced_accuracy/held_out": lambda line: line["held_out"]["balanced_accuracy"],
        "learning_rate": lambda line: line["learning_rate"],
        "features/knn": lambda line: line["health"]["knn"],
        "features/effective_rank": lambda line: line["health"]["effective_rank"],
        "features/uniformity": lambda line: line["health"]["uniformity"],
    }
    missing = set(values) - tags
    assert not missing, f"no scalars {missing} among {tags}"
    for tag, value in values.items():
        scalars = reader.Scalars(tag)
        expected = [(line["step"], np.float32(value(line))) for line in epochs]
        read = [(scalar.step, np.float32(scalar.value)) for scalar in scalars]
        assert read == expected, f"{tag}: read {read}, expected {expected}"
        assert all(scalar.wall_time > 1.6e9 for scalar in scalars), tag
    print(f"TensorBoard read {len(tags)} scalars of {len(epochs)} epochs")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
