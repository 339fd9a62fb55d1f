#!/bin/sh
# Compares SimCLR augmentation by Macula, torchvision and kornia on one thread, interleaved; prints a markdown table.
# Usage: benches/compare_augment.sh PYTHON [ROUNDS]    PYTHON has benches/requirements.txt. Needs cargo build --release.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: $0 PYTHON [ROUNDS]" >&2
    exit 2
fi
exec "$1" "$(dirname "$0")/compare_augment.py" --rounds "${2:-3}"
