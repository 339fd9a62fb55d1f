"""Training of PyTorch on the CPU: the counterpart of `macula bench train`, with the same networks and step.

train.py channels_last_bf16|channels_last|eager PRESET CHANNELS SIZE BATCH_SIZE THREADS STEPS

Asks for the parent's process id before each step and after the last: the marks of benches/arm/count.c.
"""
import os
import sys

import measured

try:
    import torch
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(measured.MISSING)
import torch.nn.functional as F
from torch import nn

CLASSES = 4
STEPS_WARM_UP = 3
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
    mode, preset, *sizes = sys.argv[1:]
    channels, size, batch, threads, steps = map(int, sizes)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = network(preset, channels, size).train()
    images = torch.randn(batch, channels, size, size)
    labels = torch.arange(batch) % CLASSES
    if mode.startswith("channels_last"):
        net, images = net.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()

    def step():
        os.getppid()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode.endswith("bf16")):
            loss = loss_of(net(images), labels)
        loss.backward()
        optimiser.step()
        return loss.item()

    for _ in range(STEPS_WARM_UP):
        step()
    step_ms = measured.percentiles([measured.timed(step)[0] for _ in range(steps)], 1e3)
    os.getppid()
    measured.report(peer=f"torch {torch.__version__}, {mode}", results=[{
        "step_ms": step_ms, "images_per_second": 1e3 * batch / step_ms["p50"], "peak_memory_bytes": measured.peak_bytes()}])


if __name__ == "__main__":
    main()
