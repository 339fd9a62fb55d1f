"""Compare SimCLR pretraining of `nano` by Macula and by PyTorch. Prints a markdown table.

Both read the images, pretrain, and are evaluated by k-NN on the test split. Times cover reading and pretraining: wall-clock
seconds, and seconds of processor time, on which other load of the machine has less effect.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
# Settings of the counterpart in simclr_torch.py, where Macula's defaults differ.
SETTINGS = ["--method", "simclr", "--encoder", "nano", "--policy", "natural", "--temperature", 0.5, "--readout", "mean"]


def output_of(command):
    """Output of `command`, wall-clock seconds, and seconds of processor time."""
    command = [str(part) for part in command]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"compare_simclr: exit code {done.returncode} of: {' '.join(command)}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return done.stdout, seconds, cpu


def ours(program, args, precision, seed):
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        _, seconds, cpu = output_of([
            program, "pretrain", "--data", args.data, *SETTINGS, "--epochs", args.epochs,
            "--precision", precision, "--seed", seed, "--threads", args.threads, "--validate", "never", "--quiet", "--out", run])
        text, _, _ = output_of([program, "eval", "knn", "--encoder", run, "--data", args.data, "--json", "--quiet"])
    row = json.loads(text)["rows"][0]
    return {"name": f"Macula, {precision}", "seed": seed, "knn": row["balanced_accuracy"]["mean"], "seconds": seconds, "cpu": cpu}


def theirs(args, precision, seed):
    text, _, _ = output_of([sys.executable, HERE / "simclr_torch.py", "--data", args.data, "--epochs", args.epochs,
                            "--precision", precision, "--seed", seed, "--threads", args.threads])
    report = json.loads(text)
    return {"name": f"{report['peer']}, {precision}", "seed": seed, "knn": report["knn_balanced_accuracy"],
            "seconds": report["pretrain_seconds"], "cpu": report["pretrain_cpu_seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="CIFAR-10 as {train,test}/CLASS/IMAGE")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--precisions", choices=["f32", "bf16"], nargs="+", default=["f32", "bf16"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target" / "release" / "macula")
    args = parser.parse_args()
    if not args.program.is_file():
        parser.error(f"{args.program} does not exist; build it with cargo build --release")

    rows = []
    for seed in args.seeds:
        for precision in args.precisions:
            rows += [ours(args.program, args, precision, seed), theirs(args, precision, seed)]
            print(f"seed {seed}, {precision}: {rows[-2]['knn']:.4f} and {rows[-1]['knn']:.4f}", file=sys.stderr)
    print(f"SimCLR, `nano` at 3×32×32, batch 256, {args.epochs} epochs, {args.threads} threads.\n")
    print("| | seed | k-NN | seconds | CPU seconds |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['name']} | {row['seed']} | {row['knn']:.4f} | {row['seconds']:.0f} | {row['cpu']:.0f} |")


if __name__ == "__main__":
    main()
