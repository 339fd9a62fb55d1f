#!/bin/sh
# Compares SimCLR on CIFAR-10 by Macula and by PyTorch (k-NN accuracy, time); prints a markdown table. Takes 30 minutes.
# Usage: benches/compare_simclr.sh PYTHON DATA [OPTION …]    PYTHON has benches/peers/requirements.txt, DATA is
# {train,test}/CLASS/IMAGE; options are those of compare_simclr.py. Needs cargo build --release.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 PYTHON DATA [OPTION ...]" >&2
    exit 2
fi
python=$1
shift
exec "$python" "$(dirname "$0")/compare_simclr.py" "$@"
