"""Training rate of PyTorch on the CPU: the counterpart of `macula bench train`, with the same networks and step.

python benches/train_torch.py nano --batch-size 128 --threads 2 --mode channels_last
Prints one JSON line. Modes: channels_last, eager.
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 4
STEPS_WARM_UP = 3
INPUTS = {"pico": (1, 28), "nano": (3, 32), "micro": (3, 32), "mobile": (3, 64)}  # channels, side
RESIDUAL = {"pico": ((8, 16, 32), 1), "nano": ((16, 32, 64), 1), "micro": ((32, 64, 128), 2)}  # widths, blocks per stage


def conv(channels_in, channels_out, kernel, stride=1, groups=1):
    """A convolution without bias and its batch norm."""
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(channels_out)]


class BasicBlock(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.body = nn.Sequential(*conv(channels_in, channels_out, 3, stride), nn.ReLU(),
                                  *conv(channels_out, channels_out, 3))
        same = stride == 1 and channels_in == channels_out
        self.shortcut = None if same else nn.Sequential(*conv(channels_in, channels_out, 1, stride))

    def forward(self, x):
        return F.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))


class InvertedResidual(nn.Module):
    def __init__(self, channels_in, channels_out, stride, expand):
        super().__init__()
        hidden = channels_in * expand
        layers = [*conv(channels_in, hidden, 1), nn.ReLU6()] if expand != 1 else []
        layers += [*conv(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(), *conv(hidden, channels_out, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def mobile(channels):
    blocks = [(16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6), (64, 1, 6)]
    layers, width = [*conv(channels, 16, 3, 2), nn.ReLU6()], 16
    for out, stride, expand in blocks:
        layers.append(InvertedResidual(width, out, stride, expand))
        width = out
    return nn.Sequential(*layers, *conv(width, 128, 1), nn.ReLU6(), Mean(), nn.Linear(128, CLASSES))


def residual(widths, blocks, channels, size):
    layers, width = [*conv(channels, widths[0], 3, 1 if size <= 32 else 2), nn.ReLU()], widths[0]
    for stage, out in enumerate(widths):
        for block in range(blocks):
            layers.append(BasicBlock(width, out, 2 if stage > 0 and block == 0 else 1))
            width = out
    return nn.Sequential(*layers, Mean(), nn.Linear(width, CLASSES))


def network(preset, channels, size):
    """The preset with a linear classifier."""
    return mobile(channels) if preset == "mobile" else residual(*RESIDUAL[preset], channels, size)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=INPUTS)
    parser.add_argument("--channels", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--batch-size", dest="batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mode", default="channels_last", choices=["channels_last", "eager"])
    args = parser.parse_args()
    channels = args.channels or INPUTS[args.preset][0]
    size = args.size or INPUTS[args.preset][1]

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = network(args.preset, channels, size).train()
    images = torch.randn(args.batch, channels, size, size)
    labels = torch.arange(args.batch) % CLASSES
    if args.mode == "channels_last":
        net, images = net.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(net(images), labels)
        loss.backward()
        optimiser.step()
        return loss.item()

    for _ in range(STEPS_WARM_UP):
        step()
    seconds = []
    for _ in range(args.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    # In KiB on Linux, in bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps({
        "peer": f"torch {torch.__version__} {args.mode}", "preset": args.preset, "channels": channels, "size": size,
        "batch": args.batch, "threads": args.threads, "steps": args.steps,
        "parameters": sum(p.numel() for p in net.parameters()),
        "images_per_second": round(args.batch / statistics.median(seconds), 1), "peak_rss_mb": round(peak, 1)}))


if __name__ == "__main__":
    main()
