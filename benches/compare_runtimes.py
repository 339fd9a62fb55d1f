"""Compare the latency of one image of encoders that `macula export` wrote. Prints a markdown table per file.

compare_runtimes.py PYTHON FILE.onnx …

Runs are interleaved (A B C A B C …), so that other load on the machine affects all. Each figure is the median over rounds of
the runs' percentiles; the ratio is that of the p50 to Macula's.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PEERS = ["onnxruntime", "openvino", "ncnn", "mnn"]


def last_json(command):
    """The JSON object on the last line that `command` prints; None if it fails."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        print(f"compare_runtimes: {command[1]} {command[2]}: {reason[0]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours(program, model, threads, runtime):
    report = last_json([program, "bench", "encoder", "--json", "--quiet", "--encoder", model, "--threads", threads,
                        "--runtime", runtime])
    return report and {"peer": f"Macula, {runtime}", **report["image_ms"], "load_ms": report["load_ms"],
                       "peak_mb": report["peak_memory_bytes"] / 2**20}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="a Python with requirements-runtimes.txt")
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target" / "release" / "macula")
    args = parser.parse_args()
    for model in args.models:
        makers = {f"macula {runtime}": (lambda runtime=runtime: ours(args.program, model, args.threads, runtime))
                  for runtime in ["native", "tract"]}
        for peer in PEERS:
            makers[peer] = lambda peer=peer: last_json(
                [args.python, HERE / "runtime_peer.py", peer, model, "--threads", args.threads])
        rounds = {name: [] for name in makers}
        for _ in range(args.rounds):
            for name, make in makers.items():
                rounds[name].append(make())
        print(f"\n{model}, one image, {args.threads} thread(s), {args.rounds} rounds\n")
        print("| runtime | p50 ms | p95 ms | p99 ms | load ms | peak MB | p50, ratio to native |")
        print("|---|---|---|---|---|---|---|")
        first = None
        for runs in rounds.values():
            runs = [run for run in runs if run]
            if not runs:
                continue
            of = lambda key: statistics.median(run[key] for run in runs)
            first = first or of("p50")
            figures = " | ".join(f"{of(key):.3f}" for key in ["p50", "p95", "p99"])
            print(f"| {runs[0]['peer']} | {figures} | {of('load_ms'):.1f} | {of('peak_mb'):.0f} | {of('p50') / first:.2f} × |")


main()
