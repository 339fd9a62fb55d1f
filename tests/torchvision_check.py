"""torchvision's MobileNetV2 and ResNet-18 as PyTorch exports them: bundled, taught and evaluated without change.

    python tests/torchvision_check.py target/release/macula target/torchvision-check

Each network goes through PyTorch's old exporter (opset 13) and its new one (opset 18 or later, weights in a file beside
it where they are large). torchvision's weights are taken where they can be downloaded, else random ones of a fixed seed
whose batch norms have seen a few images, so that there is something to fold. Then `macula bundle`, `verify`, `learn`,
`predict` and `eval knn` run on the embedded phantoms. This file reads the golden images of the bundle as
docs/bundle-format.md says, gives those that need no resizing to PyTorch, and compares features. Exit code 1 where
something fails. Needs torch, torchvision, onnx and onnxscript (tests/torchvision-requirements.txt).

Errors are absolute differences divided by the length of PyTorch's feature.
"""

import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn

# Their networks take any side; a smaller one saves minutes.
SIDE = 96
MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]
TOLERANCE = 1e-4
IMAGES = 36
DATA = f"phantoms:{SIDE}:{IMAGES}"


def headless(name):
    """The network without its classifier, and where its weights come from."""
    torch.manual_seed(7)
    make, weights = {
        "mobilenet_v2": (torchvision.models.mobilenet_v2, torchvision.models.MobileNet_V2_Weights.DEFAULT),
        "resnet18": (torchvision.models.resnet18, torchvision.models.ResNet18_Weights.DEFAULT),
    }[name]
    try:
        net, source = make(weights=weights), f"torchvision's {weights}"
    except Exception as error:  # Random weights serve the check as well.
        print(f"{name}: weights cannot be downloaded ({type(error).__name__}), random weights of seed 7 are used")
        net, source = with_statistics(make()), "random weights of seed 7, batch norms measured on noise"
    setattr(net, "fc" if name == "resnet18" else "classifier", nn.Identity())
    return net.eval(), source


def with_statistics(net):
    """Batch norms with statistics of images: with mean 0 and variance 1, an error of folding would hardly show."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    net.train()
    with torch.no_grad():
        net(torch.randn(8, 3, SIDE, SIDE))
    return net


def export(net, path, exporter):
    image = torch.zeros(1, 3, SIDE, SIDE)
    names = {"input_names": ["image"], "output_names": ["feature"]}
    if exporter == "old":
        axes = {"image": {0: "batch"}, "feature": {0: "batch"}}
        torch.onnx.export(net, (image,), str(path), dynamo=False, opset_version=13, dynamic_axes=axes, **names)
    else:
        torch.onnx.export(net, (image,), str(path), dynamo=True, external_data=True, **names)


def macula(program, folder, *arguments):
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"macula {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def parts(bundle):
    """Kind and bytes of each part, checked against its SHA-256."""
    magic, version, count, length = struct.unpack_from("<8sHHI", bundle)
    assert (magic, version, length) == (b"MACULABU", 1, len(bundle)), "the header of docs/bundle-format.md"
    found = {}
    for index in range(count):
        kind, offset, size = struct.unpack_from("<HxxII", bundle, 64 + 48 * index)
        found[kind] = bundle[offset : offset + size]
        assert hashlib.sha256(found[kind]).digest() == bundle[64 + 48 * index + 16 :][:32], f"part {index}"
    return found


def golden(part):
    """Raw images `[H, W, C]` and their features `[D]`."""
    count, dim = struct.unpack_from("<II", part)
    at = 8
    for _ in range(count):
        width, height, channels = struct.unpack_from("<HHB", part, at)
        size = width * height * channels
        pixels = np.frombuffer(part, np.uint8, size, at + 8).reshape(height, width, channels)
        at += 8 + (size + 3) // 4 * 4
        yield pixels, np.frombuffer(part, "<f4", dim, at)
        at += 4 * dim


def largest_error(net, part):
    """Largest error of the golden images that need no resizing."""
    errors = []
    for pixels, feature in golden(part):
        if pixels.shape != (SIDE, SIDE, 3):
            continue
        image = (pixels / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
        with torch.no_grad():
            expected = net(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float())[0].numpy()
        errors.append(abs(feature - expected).max() / np.linalg.norm(expected))
    assert errors, "no golden image has the size of the input"
    return max(errors)


def check(program, root, name, exporter):
    folder = root / f"{name}-{exporter}"
    folder.mkdir(parents=True)
    net, source = headless(name)
    export(net, folder / "net.onnx", exporter)
    macula(program, folder, "keygen", "--out", "maker")
    recipe = ["--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD)), "--origin", f"{name}, {source}"]
    made = ["bundle", "--encoder", "net.onnx", "--signing-key", "maker.key"]
    # One bundle with generated golden images in colour, one with images of the dataset.
    macula(program, folder, *made, "--out", "drawn.macula", *recipe)
    macula(program, folder, *made, "--out", "net.macula", "--data", DATA, *recipe)
    verified = macula(program, folder, "verify", "net.macula", "--trust", "maker.pub", "--json")
    error = largest_error(net, parts((folder / "drawn.macula").read_bytes())[4])
    encoder = ["--encoder", "net.macula", "--trust", "maker.pub"]
    macula(program, folder, "learn", "--device", "a.store", *encoder, "--data", DATA, "--shots", "3")
    said = macula(program, folder, "predict", "--device", "a.store", "--data", DATA, "--json")
    judged = macula(program, folder, "eval", "knn", *encoder, "--data", DATA, "--quiet", "--json")
    accuracy, knn = said["balanced_accuracy"], judged["rows"][0]["balanced_accuracy"]["mean"]
    print(
        f"{name:<13} {exporter} exporter, {verified['bytes'] / 1e6:.1f} MB: PyTorch's features to {error:.1e}; balanced "
        f"accuracy on phantoms, 6 classes: taught 3 shots {accuracy:.3f}, k-NN {knn:.3f}",
        flush=True,
    )
    return error <= TOLERANCE


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, root = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2])
    networks = [(name, exporter) for name in ("mobilenet_v2", "resnet18") for exporter in ("old", "new")]
    if not all([check(program, root, *network) for network in networks]):
        sys.exit(f"torchvision_check: features differ by more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
