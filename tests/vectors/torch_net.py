"""Writes torch_net.onnx, a small network as PyTorch exports it, and torch_net.f32, its feature of one image.

    python tests/vectors/torch_net.py        (torch 2.15 and onnx)

The image is `[1, 3, 64, 64]` with value `i % 97 / 97` at flat (NCHW) index `i`.
"""

from pathlib import Path

import torch
from torch import nn


def separable(channels_in, channels_out, stride):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False),
        nn.BatchNorm2d(channels_in),
        nn.Hardswish(),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(),
    )


torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 8, 3, 2, 1),
    nn.BatchNorm2d(8),
    nn.ReLU6(),
    separable(8, 16, 1),
    separable(16, 32, 2),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
).eval()
image = (torch.arange(3 * 64 * 64) % 97 / 97).reshape(1, 3, 64, 64)
folder = Path(__file__).parent
torch.onnx.export(
    net, (image,), str(folder / "torch_net.onnx"), input_names=["x"], output_names=["y"],
    dynamo=False, opset_version=17, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
)
net(image).detach().numpy().astype("<f4").tofile(folder / "torch_net.f32")
