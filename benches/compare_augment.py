"""Compare SimCLR augmentation on one thread: Macula, torchvision and kornia, interleaved. Prints a markdown table.

All apply the policy `natural` at 32 pixels: random resized crop of 8 to 100 % of the area, horizontal flip (p = 0.5),
jitter of brightness, contrast, saturation and hue (p = 0.8), greyscale (p = 0.2). Rates are per second of processor time,
so other load on the machine does not count.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import kornia
import kornia.augmentation as K
import torch
import torchvision
from torchvision.transforms import v2

HERE = pathlib.Path(__file__).parent
SIDE, BATCH = 32, 256
CROP_AREA, JITTER, JITTER_PROBABILITY, GREY_PROBABILITY = (0.08, 1.0), (0.4, 0.4, 0.4, 0.1), 0.8, 0.2
SECONDS = 1.0


def ours(program, batches):
    command = [program, "bench", "augment", "--json", "--quiet", "--policy", "natural", "--size", SIDE,
               "--batch-size", BATCH, "--batches", batches]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"compare_augment: exit code {done.returncode} of: {' '.join(map(str, command))}")
    report = json.loads(done.stdout)
    if report["images_per_cpu_second"] is None:
        sys.exit("compare_augment: this system does not report the processor time of a thread")
    return report["images_per_cpu_second"]


def torchvision_views():
    return v2.Compose([v2.RandomResizedCrop(SIDE, scale=CROP_AREA), v2.RandomHorizontalFlip(0.5),
                       v2.RandomApply([v2.ColorJitter(*JITTER)], JITTER_PROBABILITY),
                       v2.RandomGrayscale(GREY_PROBABILITY)])


def kornia_views():
    return K.AugmentationSequential(
        K.RandomResizedCrop((SIDE, SIDE), scale=CROP_AREA), K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(*JITTER, p=JITTER_PROBABILITY), K.RandomGrayscale(p=GREY_PROBABILITY), data_keys=["input"])


def peers():
    """Functions that augment a batch, by name."""
    images = torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8)
    pictures = [v2.functional.to_pil_image(image) for image in images]
    floats = images.float() / 255
    one_by_one, batched = torchvision_views(), kornia_views()
    tv = f"torchvision {torchvision.__version__.split('+')[0]} v2"
    return {
        f"{tv}, tensors one by one": lambda: [one_by_one(image) for image in images],
        f"{tv}, PIL images one by one": lambda: [one_by_one(picture) for picture in pictures],
        f"{tv}, a batch at once (one draw for all)": lambda: one_by_one(images),
        f"kornia {kornia.__version__}, a batch at once": lambda: batched(floats),
    }


def rate(views):
    """Images per second of this thread's processor time, measured over at least one second."""
    views()
    start, batches = time.thread_time(), 0
    while time.thread_time() - start < SECONDS:
        views()
        batches += 1
    return BATCH * batches / (time.thread_time() - start)


def spread(rates):
    return f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=500, help="batches of Macula per round")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target" / "release" / "macula")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"{args.rounds} rounds: at least 1 is needed")
    if not args.program.is_file():
        parser.error(f"{args.program} does not exist; build it with cargo build --release")

    torch.set_num_threads(1)
    torch.manual_seed(1)
    others = peers()
    runs = {"Macula": [], **{name: [] for name in others}}
    for turn in range(args.rounds):
        runs["Macula"].append(ours(args.program, args.batches))
        for name, views in others.items():
            runs[name].append(rate(views))
        latest = ", ".join(f"{rates[-1]:.0f}" for rates in runs.values())
        print(f"round {turn + 1} of {args.rounds}: {latest} images/s", file=sys.stderr)

    print(f"Views at 3×{SIDE}×{SIDE}, one thread, batch {BATCH}, {args.rounds} rounds, torch {torch.__version__}. "
          f"Images per second of processor time: median (min–max) over rounds.\n")
    print("| | images/s | ratio |")
    print("|---|---|---|")
    for name, rates in runs.items():
        ratio = statistics.median(runs["Macula"]) / statistics.median(rates)
        print(f"| {name} | {spread(rates)} | {'' if name == 'Macula' else f'{ratio:.0f} ×'} |")


if __name__ == "__main__":
    main()
