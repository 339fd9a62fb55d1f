#!/bin/sh
# Holds exported encoders against ONNX Runtime: Python and its packages go below target/, the models
# come from the export tests. Offline, with the packages there already, nothing is downloaded.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
python=${MACULA_PYTHON:-$target/python/bin/python}
if [ ! -x "$python" ]; then
    python3 -m venv "$target/python"
fi
"$python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null ||
    "$python" -m pip install --quiet numpy onnx onnxruntime
folder=$(realpath "$target")/onnx-check
MACULA_ONNX_CHECK=$folder cargo test --quiet --test export every_preset
"$python" tests/onnx_check.py "$folder"
