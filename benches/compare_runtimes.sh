#!/bin/sh
# Compares the latency of one image by Macula, ONNX Runtime, OpenVINO, ncnn and MNN, interleaved; prints a markdown table.
# Usage: benches/compare_runtimes.sh PYTHON FILE.onnx …    PYTHON has benches/requirements-runtimes.txt; each FILE.onnx is one that
# `macula export` wrote. Needs cargo build --release.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 PYTHON FILE.onnx …" >&2
    exit 2
fi
exec "$1" "$(dirname "$0")/compare_runtimes.py" "$@"
