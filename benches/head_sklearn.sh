#!/usr/bin/env bash
# Compares the time to fit a head of 5 classes × 10 shots × 128 dimensions with scikit-learn's logistic regression,
# interleaved on the same machine, one thread each.
#
#   benches/head_sklearn.sh PYTHON     a Python with scikit-learn
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:?pass the path of a Python with scikit-learn}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
cargo build --locked --release --package macula-edge --example head_time
ours=${CARGO_TARGET_DIR:-target}/release/examples/head_time
"$python" - "$ours" <<'PYTHON'
import statistics
import subprocess
import sys
import time

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression

generator = numpy.random.default_rng(1)
labels = numpy.arange(50) % 5
features = generator.uniform(-2, 2, (50, 128)) + 0.4 * (numpy.arange(128) % 5 == labels[:, None])
times = {}
for round in range(10):
    for line in subprocess.run([sys.argv[1], "51"], check=True, capture_output=True, text=True).stdout.splitlines():
        name, microseconds = line.split()
        times.setdefault(f"macula {name}", []).append(float(microseconds))
    of_round = []
    for repeat in range(11):
        start = time.perf_counter()
        LogisticRegression(C=0.1, max_iter=1000).fit(features, labels)
        of_round.append(1e6 * (time.perf_counter() - start))
    times.setdefault(f"scikit-learn {sklearn.__version__}", []).append(statistics.median(of_round))
print("5 classes, 10 shots, 128 dimensions, learn and fit; microseconds, median and range of 10 rounds")
for name, found in times.items():
    print(f"{name:22} {statistics.median(found):9.1f}   {min(found):9.1f} to {max(found):9.1f}")
PYTHON
