"""Compare the training rate of each preset by Macula and by PyTorch. Prints a markdown table.

Runs are interleaved (A B A B …), so that other load on the machine affects both. Rates are medians over rounds.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PRESETS = ["pico", "nano", "micro", "mobile"]


def json_of(command):
    """The JSON object that `command` prints."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"compare_train: exit code {done.returncode} of: {' '.join(map(str, command))}")
    return json.loads(done.stdout)


def ours(program, preset, sizes):
    report = json_of([program, "bench", "train", "--json", "--quiet", "--encoder", preset, *sizes])
    result = report["results"][0]
    shape = result["input"]
    peak = result["peak_memory_bytes"]
    return {"isa": report["isa"], "input": f"{shape['channels']}×{shape['height']}×{shape['width']}",
            "rate": result["images_per_second"], "peak": None if peak is None else peak / 2**20}


def theirs(python, preset, sizes):
    report = json_of([python, HERE / "train_torch.py", preset, "--mode", "channels_last", *sizes])
    return {"peer": report["peer"], "rate": report["images_per_second"], "peak": report["peak_rss_mb"]}


def spread(runs):
    rates = [run["rate"] for run in runs]
    return f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"


def peak(runs):
    """Maximum over rounds, in MiB."""
    return "–" if runs[0]["peak"] is None else f"{max(run['peak'] for run in runs):.0f}"


def row(preset, a, b):
    ratio = statistics.median(run["rate"] for run in a) / statistics.median(run["rate"] for run in b)
    return f"| {preset} | {a[0]['input']} | {spread(a)} | {spread(b)} | {ratio:.2f} × | {peak(a)} | {peak(b)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="a Python with PyTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target" / "release" / "macula")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"{args.rounds} rounds: at least 1 is needed")
    if not args.program.is_file():
        parser.error(f"{args.program} does not exist; build it with cargo build --release")

    sizes = ["--batch-size", args.batch, "--threads", args.threads, "--steps", args.steps]
    runs = {preset: ([], []) for preset in args.presets}
    for turn in range(args.rounds):
        for preset, (a, b) in runs.items():
            a.append(ours(args.program, preset, sizes))
            b.append(theirs(args.python, preset, sizes))
            print(f"round {turn + 1} of {args.rounds}, {preset}: {a[-1]['rate']:.0f} and {b[-1]['rate']:.0f} images/s",
                  file=sys.stderr)

    a, b = runs[args.presets[0]]
    print(f"Batch {args.batch}, threads {args.threads}, {args.steps} steps per round, {args.rounds} rounds; "
          f"kernels {a[0]['isa']}; {b[0]['peer']}. Images per second: median (min–max) over rounds.\n")
    print("| encoder | input | Macula images/s | PyTorch images/s | ratio | Macula peak MiB | PyTorch peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for preset, (a, b) in runs.items():
        print(row(preset, a, b))


if __name__ == "__main__":
    main()
