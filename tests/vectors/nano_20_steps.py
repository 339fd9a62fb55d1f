"""Writes nano_20_steps.json and mobile_5_steps.json: the results of a few fixed training steps in PyTorch.

    python tests/vectors/nano_20_steps.py        (needs torch only; written with torch 2.15, CPU)

Weights, images and labels are computed from integers (`Stream` below), and tests/torch_loss.rs has
the same few lines in Rust, so no weights need to be stored. Each run is trained in f32, as Macula
trains, and in f64: their difference shows how far two correct f32 programs may drift apart.

Weight decay is decoupled, p -= lr * decay * p, on weights only: not on batch norm, not on biases.
"""
import functools
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 4
BATCHES = 4
MOMENTUM = 0.9


class BasicBlock(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = None
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Nano(nn.Module):
    """Residual, widths 16-32-64, one block a stage, for images of up to 32 pixels."""

    feature_dim = 64

    def __init__(self, channels):
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(BasicBlock(16, 16, 1), BasicBlock(16, 32, 2), BasicBlock(32, 64, 2))

    def forward(self, x):
        return self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3))


class InvertedResidual(nn.Module):
    def __init__(self, channels_in, channels_out, stride, expand):
        super().__init__()
        hidden, layers = channels_in * expand, []
        if expand != 1:
            layers += [nn.Conv2d(channels_in, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6()]
        layers += [nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden),
                   nn.ReLU6(), nn.Conv2d(hidden, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class Mobile(nn.Module):
    """Inverted residuals, widths 16-24-32-64."""

    feature_dim = 128

    def __init__(self, channels):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.blocks = nn.Sequential(
            InvertedResidual(16, 16, 1, 1),
            InvertedResidual(16, 24, 2, 6), InvertedResidual(24, 24, 1, 6),
            InvertedResidual(24, 32, 2, 6), InvertedResidual(32, 32, 1, 6), InvertedResidual(32, 32, 1, 6),
            InvertedResidual(32, 64, 2, 6), InvertedResidual(64, 64, 1, 6))
        self.tail = nn.Sequential(nn.Conv2d(64, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU6())

    def forward(self, x):
        return self.tail(self.blocks(self.stem(x))).mean((2, 3))


class Stream:
    """A linear congruential generator (Numerical Recipes) that starts at the FNV-1a hash of a name."""

    def __init__(self, name):
        self.state = 2166136261
        for byte in name.encode():
            self.state = (self.state ^ byte) * 16777619 % 2**32

    def bits(self):
        """The upper 24 of 32 bits."""
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state >> 8

    def uniform(self, count, bound):
        """`count` f32 in [-bound, bound): an integer times one f32, so that every language agrees."""
        step = torch.tensor(bound, dtype=torch.float64).float() / 2**23
        return torch.tensor([self.bits() - 2**23 for _ in range(count)]).float() * step


def fill(name, tensor):
    """Weights as He et al. draw them (uniform), scales about 1, shifts and biases about 0."""
    if tensor.dim() > 1:
        values = Stream(name).uniform(tensor.numel(), math.sqrt(6 / tensor[0].numel()))
    elif name.endswith("bias"):
        values = Stream(name).uniform(tensor.numel(), 0.25)
    else:
        values = 1 + Stream(name).uniform(tensor.numel(), 0.25)
    return values.reshape(tensor.shape)


@functools.cache
def batch(index, size, side):
    """Noise under stripes whose direction is the class: `size` images of 3 x side x side, and labels."""
    pixels = Stream(f"pixels {index}")
    labels = [pixels.bits() % CLASSES for _ in range(size)]
    images = torch.zeros(size, 3, side, side)
    for n, label in enumerate(labels):
        for y in range(side):
            for x in range(side):
                phase = [x, y, x + y, x + 2 * y][label]
                for c in range(3):
                    images[n, c, y, x] = (pixels.bits() % 192 + (48 if phase // 2 % 2 else 0) - 128) / 64
    return images, torch.tensor(labels)


def train(network, steps, size, side, learning_rate, decay, smoothing, dtype):
    head = nn.Linear(network.feature_dim, CLASSES)
    whole = nn.ModuleDict({"encoder": network, "head": head})
    parameters = []
    for name, parameter in whole.named_parameters():
        name = name.removeprefix("encoder.")
        parameter.data = fill(name, parameter.data).to(dtype)
        parameters.append((name, parameter, torch.zeros_like(parameter)))
    whole.to(dtype).train()
    losses = []
    for step in range(steps):
        images, labels = batch(step % BATCHES, size, side)
        loss = F.cross_entropy(head(network(images.to(dtype))), labels, label_smoothing=smoothing)
        whole.zero_grad()
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for name, parameter, momentum in parameters:
                momentum.mul_(MOMENTUM).add_(parameter.grad)
                parameter.mul_(1 - learning_rate * (decay if parameter.dim() > 1 else 0))
                parameter.sub_(learning_rate * momentum)
    # The state after training: length of every tensor, running statistics included, and two frozen features.
    whole.eval()
    with torch.no_grad():
        features = network(batch(0, size, side)[0].to(dtype))
    state = {name.removeprefix("encoder."): value.double() for name, value in whole.state_dict().items()
             if not name.endswith("num_batches_tracked")}
    return {"loss": losses, "names": list(state), "norms": [value.norm().item() for value in state.values()],
            "features": features[:2].flatten().tolist()}


def record(name, make, steps, size, side, learning_rate):
    runs = []
    for decay, smoothing in [(0.0, 0.0), (0.1, 0.1)]:
        f32, f64 = (train(make(3), steps, size, side, learning_rate, decay, smoothing, dtype)
                    for dtype in (torch.float32, torch.float64))
        drift = [max(abs(a / b - 1) for a, b in zip(f32[key], f64[key])) for key in ("loss", "norms")]
        print(f"{name} decay {decay} smoothing {smoothing}: loss {f64['loss'][0]:.6f} to {f64['loss'][-1]:.6f}; "
              f"f32 beside f64: loss {drift[0]:.1e}, norms {drift[1]:.1e}, "
              f"features {max(abs(a - b) for a, b in zip(f32['features'], f64['features'])):.1e}")
        runs.append({"weight_decay": decay, "label_smoothing": smoothing, "loss_f32": f32["loss"], **f64})
    text = json.dumps({"torch": torch.__version__, "steps": steps, "batch": size, "side": side,
                       "learning_rate": learning_rate, "momentum": MOMENTUM, "runs": runs})
    (pathlib.Path(__file__).parent / f"{name}_{steps}_steps.json").write_text(text + "\n")


if __name__ == "__main__":
    record("nano", Nano, 20, 16, 32, 0.02)
    record("mobile", Mobile, 5, 16, 64, 0.01)
