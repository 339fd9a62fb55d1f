#!/usr/bin/env python3
"""Which measure without labels agrees with accuracy, when a shipped encoder is trained on with 400 own images?

    python3 docs/lessons/stopping.py MACULA DATA > docs/lessons/stopping.csv

MACULA is the program, DATA the folder of datasets; four tasks for development, two learning rates, one minute in all on two
cores. After every epoch the run records the measures of `src/pretrain/quality.rs` on held-out images, and the balanced accuracy
of leave-one-out k-NN on its labelled images, whose labels training does not use. Each row: Spearman's rank correlation of a
measure with that accuracy over the epochs, the initial encoder included, and the accuracy of the initial encoder, of the last
epoch, of the epoch with the best measure (what `keep = "best"` would keep), and of the best epoch.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TASKS = [
    ("kermany-3class", "kermany-cxr/kermany-3class.csv", "grey-64", "medical"),
    ("pneumoniamnist", "pneumoniamnist", "grey-64", "medical"),
    ("cifar10", "cifar10", "colour-64", "natural"),
    ("sign-digits", "sign-digits", "colour-64", "natural"),
]
RATES = [0.015, 0.2]
EPOCHS = 20
# Sign: whether a larger value is better.
MEASURES = {"retrieval": 1, "contrastive": -1, "alignment": -1, "uniformity": -1, "effective_rank": 1}


def ranks(values):
    order = sorted(range(len(values)), key=lambda i: values[i])
    found = [0.0] * len(values)
    for i in order:
        equal = [k for k, j in enumerate(order) if values[j] == values[i]]
        found[i] = sum(equal) / len(equal)
    return found


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    mean = sum(a) / len(a)
    covariance = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    spread = [sum((x - mean) ** 2 for x in v) ** 0.5 for v in (a, b)]
    return covariance / (spread[0] * spread[1]) if spread[0] * spread[1] > 0 else 0.0


def epochs(macula, data, task, rate, folder):
    _, path, init, policy = task
    out = Path(folder) / f"{task[0]}-{rate}"
    command = [macula, "pretrain", "--data", str(Path(data) / path), "--method", "simclr", "--init", init]
    command += ["--count", "400", "--batch-size", "32", "--epochs", str(EPOCHS), "--learning-rate", str(rate)]
    command += ["--policy", policy, "--keep", "best", "--health", "epoch", "--seed", "1", "--quiet", "--out", str(out)]
    # 3: the encoder collapsed, which the lines show.
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    assert code in (0, 3), code
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "quality" in line]


def main():
    macula, data = sys.argv[1:]
    print("task,encoder,learning rate,measure,spearman,initial,last,kept,best")
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            for rate in RATES:
                lines = epochs(macula, data, task, rate, folder)
                accuracy = [line["health"]["knn"] for line in lines]
                for measure, sign in MEASURES.items():
                    values = [sign * line["quality"][measure] for line in lines]
                    kept = accuracy[values.index(max(values))]
                    figures = [spearman(values, accuracy), accuracy[0], accuracy[-1], kept, max(accuracy)]
                    print(",".join([task[0], task[2], str(rate), measure] + [f"{x:.3f}" for x in figures]), flush=True)


main()
