#!/bin/sh
# Compares training rate and peak memory of Macula and PyTorch, interleaved; prints a markdown table.
# Usage: benches/compare_train.sh PYTHON [ROUNDS]    PYTHON has PyTorch. Needs cargo build --release.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: $0 PYTHON [ROUNDS]" >&2
    exit 2
fi
exec "$1" "$(dirname "$0")/compare_train.py" "$1" --rounds "${2:-3}"
