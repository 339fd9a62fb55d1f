#!/usr/bin/env python3
"""Where the emulated instructions of one image go in Macula's engine: by function, with their mnemonics, and by mnemonic.

Needs what measure.py makes, or for `training` measure_training.py. Per multiply-accumulate, as their counts.
"""
import argparse
import bisect
import collections
import json
import pathlib
import re
import sys
import tempfile

import measure
import measure_training

# Images per training step: more would cost time only.
BATCH = 16
TOOLS = {"aarch64": "aarch64-linux-gnu-", "arm": "arm-linux-gnueabihf-"}


def functions(program, tools):
    """Address of the code of `program`, and its functions as sorted pairs of address and name."""
    segments = measure.run(f"{tools}readelf", "-lW", program)
    code = min(int(address, 16) for address in re.findall(r"LOAD\s+\S+\s+(\S+)\s+\S+\s+\S+\s+\S+\s+R E", segments))
    listed = measure.run(f"{tools}nm", "-C", "--defined-only", program)
    # Names that begin with $ mark the kind of the bytes that follow.
    named = re.findall(r"^([0-9a-f]+) [tTwW] (?!\$)(.+)$", listed, re.M)
    return code, sorted((int(address, 16), name) for address, name in named)


def inference(folder, cpu, encoder, arithmetic, out):
    """Program and multiply-accumulates of an image, which is counted into `out`."""
    about = folder / "peers" / encoder / "about.json"
    if not about.exists():
        raise measure.Failure(f"{about} is missing: run measure.py first")
    command = measure.ours(folder, cpu, encoder, arithmetic, f",out={out}")
    measure.count(command)
    return (next(part for part in command if isinstance(part, pathlib.Path) and part.parent.name == "examples"),
            json.loads(about.read_text())["multiply_accumulates"])


def training(folder, cpu, encoder, out):
    """As `inference`, of a training step."""
    _, report = measure_training.count(measure_training.ours(folder, cpu, encoder, BATCH, f",out={out}"))
    return measure_training.program(cpu), BATCH * report["results"][0]["multiply_accumulates"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cpu", choices=measure.CPUS)
    parser.add_argument("encoder", choices=measure_training.SHAPES)
    parser.add_argument("work", choices=["f32", "f16", "int8", "training"])
    parser.add_argument("--folder", type=pathlib.Path, default=measure.TARGET / "arm-counts", help="[%(default)s]")
    parser.add_argument("--rows", type=int, default=12, help="of each table [%(default)s]")
    args = parser.parse_args()
    folder = args.folder.resolve()
    with tempfile.NamedTemporaryFile("r") as out:
        if args.work == "training":
            program, macs = training(folder, args.cpu, args.encoder, out.name)
        else:
            program, macs = inference(folder, args.cpu, args.encoder, args.work, out.name)
        *lines, code, images = [line.split() for line in out.read().splitlines()]
    linked, table = functions(program, TOOLS[measure.CPUS[args.cpu][0]])
    moved = int(code[1], 16) - linked
    by_function, by_mnemonic = collections.defaultdict(collections.Counter), collections.Counter()
    for address, runs, mnemonic in lines:
        # Libraries lie above the program.
        at = bisect.bisect_right(table, (int(address, 16) - moved, "\uffff")) - 1
        name = table[at][1] if 0 <= at < len(table) - 1 else "libraries"
        runs = int(runs) / int(images[1]) / macs
        by_function[name][mnemonic] += runs
        by_mnemonic[mnemonic] += runs
    print(f"{args.cpu}, {args.encoder}, {args.work}: {by_mnemonic.total():.4f}\n")
    for name, kinds in sorted(by_function.items(), key=lambda item: -item[1].total())[:args.rows]:
        most = ", ".join(f"{kind} {100 * runs / kinds.total():.0f} %" for kind, runs in kinds.most_common(6))
        print(f"{kinds.total():.4f}  {name[:100]}: {most}")
    print()
    for mnemonic, runs in by_mnemonic.most_common(args.rows):
        print(f"{runs:.4f}  {mnemonic}")


if __name__ == "__main__":
    try:
        main()
    except measure.Failure as failure:
        sys.exit(f"arm/profile_run: {failure}")
