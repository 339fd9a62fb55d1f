"""SimCLR in PyTorch on the CPU: the counterpart of `macula pretrain --method simclr` and `macula eval knn`.

python benches/simclr_torch.py --data cifar10 --epochs 10 --seed 1 --threads 2
`--data` is a folder {train,test}/CLASS/IMAGE of 32×32 colour images. Prints one JSON line.

The settings are Macula's defaults (`nano`, the policy `natural`, projection 256 → 64, NT-Xent, SGD with decoupled weight
decay, warm-up and cosine schedule), except for the temperature of 0.5 and the feature, the means of the last layer; k-NN
uses raw features. Only the random numbers differ. Views are computed per batch by tensor operations, so that Python is not
the bottleneck.
"""
import argparse
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

sys.path.append(str(pathlib.Path(__file__).parent / "peers"))
from train import network

SIDE = 32
# The policy `natural` at 32 pixels (src/augment/policy.rs).
CROP_AREA_MIN = 0.08
JITTER_PROBABILITY, BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.8, 0.4, 0.4, 0.4, 0.1
GREY_PROBABILITY = 0.2
# src/pretrain/config.rs.
BATCH, TEMPERATURE, HIDDEN, PROJECTION_DIM = 256, 0.5, 256, 64
LEARNING_RATE, WEIGHT_DECAY, MOMENTUM, WARMUP_FRACTION = 0.06 * BATCH / 128, 5e-3, 0.9, 0.05
NEIGHBOURS, KNN_TEMPERATURE = 20, 0.07

LUMA = torch.tensor([0.299, 0.587, 0.114])
TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
FROM_YIQ = torch.tensor([[1.0, 0.956, 0.619], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])


def read(folder):
    """Images `[N, 3, 32, 32]` (uint8) and labels `[N]`."""
    images, labels = [], []
    for label, name in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(name.iterdir()):
            with Image.open(path) as image:
                images.append(np.asarray(image.convert("RGB")))
            labels.append(label)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor(labels)


def uniform(count, low, high):
    return low + (high - low) * torch.rand(count)


def crop_and_flip(images):
    """Random resized crops of `[N, 3, H, W]`, flipped with probability 0.5."""
    count = len(images)
    area, aspect = uniform(count, CROP_AREA_MIN, 1), uniform(count, math.log(3 / 4), math.log(4 / 3)).exp()
    width, height = (area * aspect).sqrt().clamp(max=1) * SIDE, (area / aspect).sqrt().clamp(max=1) * SIDE
    left, top = torch.rand(count) * (SIDE - width), torch.rand(count) * (SIDE - height)
    middle = torch.arange(SIDE) + 0.5
    x = left[:, None] + middle * (width / SIDE)[:, None] - 0.5
    y = top[:, None] + middle * (height / SIDE)[:, None] - 0.5
    x = torch.where((torch.rand(count) < 0.5)[:, None], SIDE - 1 - x, x)
    grid = torch.stack([x[:, None, :].expand(-1, SIDE, -1), y[:, :, None].expand(-1, -1, SIDE)], 3)
    grid = grid * (2 / (SIDE - 1)) - 1
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=True)


def saturation_matrix(factor):
    return factor[:, None, None] * torch.eye(3) + (1 - factor)[:, None, None] * LUMA.expand(3, 3)


def hue_matrix(share):
    sin, cos = (share * math.tau).sin(), (share * math.tau).cos()
    rotation = torch.zeros(len(share), 3, 3)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1], rotation[:, 1, 2], rotation[:, 2, 1], rotation[:, 2, 2] = cos, -sin, sin, cos
    return FROM_YIQ @ rotation @ TO_YIQ


def jitter(images):
    """Jitter of brightness, contrast, saturation and hue, and greyscale, as one affine map of the colours of `[N, 3, H, W]`."""
    count = len(images)
    changed, grey = torch.rand(count) < JITTER_PROBABILITY, torch.rand(count) < GREY_PROBABILITY
    brightness, contrast, saturation = (uniform(count, 1 - r, 1 + r) for r in (BRIGHTNESS, CONTRAST, SATURATION))
    mean = images.mean((2, 3)) @ LUMA
    matrix = hue_matrix(uniform(count, -HUE, HUE)) @ saturation_matrix(saturation) * (brightness * contrast)[:, None, None]
    shift = (1 - contrast) * brightness * mean
    matrix = torch.where(changed[:, None, None], matrix, torch.eye(3))
    shift = torch.where(changed, shift, 0.0)
    matrix = torch.where(grey[:, None, None], LUMA.expand(3, 3) @ matrix, matrix)
    out = torch.baddbmm(shift[:, None, None], matrix, images.flatten(2))
    return out.clamp_(0, 255).round_().view_as(images)


def views(images, mean, std):
    """One view of each image as network input `[N, 3, H, W]`."""
    return (jitter(crop_and_flip(images.float())) - mean) / std


def initialise(encoder):
    """He-normal weights (fan-out), as in Macula; linear layers have the same defaults."""
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def nt_xent(projections):
    """Loss of `[2N, P]`; rows `i` and `i + N` are two views of one image."""
    unit = F.normalize(projections)
    similarity = unit @ unit.T / TEMPERATURE
    similarity.fill_diagonal_(-math.inf)
    partner = torch.arange(len(unit)).roll(len(unit) // 2)
    return F.cross_entropy(similarity, partner)


def learning_rate_at(step, steps):
    warmup = round(WARMUP_FRACTION * steps)
    if step < warmup:
        return LEARNING_RATE * (step + 1) / warmup
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def train(encoder, images, mean, std, epochs, precision):
    """Trains `encoder`; returns the loss of each epoch."""
    head = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PROJECTION_DIM))
    model = nn.Sequential(encoder, head).to(memory_format=torch.channels_last).train()
    parameters = list(model.parameters())
    decayed = [parameter for parameter in parameters if parameter.dim() > 1]
    optimiser = torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM)
    batch = min(BATCH, len(images))
    per_epoch, losses = len(images) // batch, []
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        order = torch.randperm(len(images))
        for step in range(per_epoch):
            chosen = images[order[step * batch:(step + 1) * batch]]
            both = torch.cat([views(chosen, mean, std), views(chosen, mean, std)])
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                projections = model(both.contiguous(memory_format=torch.channels_last))
            loss = nt_xent(projections.float())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            rate = learning_rate_at(epoch * per_epoch + step, epochs * per_epoch)
            optimiser.param_groups[0]["lr"] = rate
            with torch.no_grad():
                torch._foreach_mul_(decayed, 1 - rate * WEIGHT_DECAY)
            optimiser.step()
            total += loss.item()
        losses.append(total / per_epoch)
        print(f"epoch {epoch + 1} of {epochs}: loss {losses[-1]:.4f}, {time.perf_counter() - started:.0f} s",
              file=sys.stderr, flush=True)
    return losses


@torch.no_grad()
def features(encoder, images, mean, std):
    encoder.eval()
    parts = [encoder(((part.float() - mean) / std).contiguous(memory_format=torch.channels_last))
             for part in images.split(500)]
    return F.normalize(torch.cat(parts))


def knn(references, labels, queries, truth, classes):
    """Balanced accuracy; each neighbour votes for its class with weight exp(cosine / temperature)."""
    correct = torch.zeros(classes)
    for part, answers in zip(queries.split(500), truth.split(500)):
        near = (part @ references.T).topk(min(NEIGHBOURS, len(references)))
        votes = torch.zeros(len(part), classes)
        votes.scatter_add_(1, labels[near.indices], (near.values / KNN_TEMPERATURE).exp())
        found = votes.argmax(1) == answers
        correct += torch.bincount(answers[found], minlength=classes)
    return (correct / torch.bincount(truth, minlength=classes)).mean().item()


def spread_over(images, count):
    """At most `count` of `images`, evenly spaced."""
    count = min(count, len(images))
    return images[torch.arange(count) * len(images) // count]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16: autocast")
    parser.add_argument("--limit", type=int, help="use a random subset of this size of each split")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    started, cpu_started = time.perf_counter(), time.process_time()
    parts = [read(args.data / part) for part in ("train", "test")]
    if args.limit:
        parts = [[values[torch.randperm(len(part[0]), generator=torch.Generator().manual_seed(args.seed))[:args.limit]]
                  for values in part] for part in parts]
    (images, labels), (test_images, test_labels) = parts
    sample = spread_over(images, 2000).float()
    mean, std = sample.mean((0, 2, 3), keepdim=True), sample.std((0, 2, 3), keepdim=True, unbiased=False)

    encoder = network("nano", 3, SIDE)[:-1]
    initialise(encoder)
    losses = train(encoder, images, mean, std, args.epochs, args.precision)
    pretrained, cpu_pretrained = time.perf_counter(), time.process_time()
    accuracy = knn(features(encoder, images, mean, std), labels,
                   features(encoder, test_images, mean, std), test_labels, int(labels.max()) + 1)
    print(json.dumps({
        "peer": f"torch {torch.__version__} channels_last", "precision": args.precision, "seed": args.seed, "epochs": args.epochs,
        "threads": args.threads, "images": len(images), "test_images": len(test_images),
        "losses": [round(loss, 4) for loss in losses], "knn_balanced_accuracy": round(accuracy, 4),
        "pretrain_seconds": round(pretrained - started, 1),
        "pretrain_cpu_seconds": round(cpu_pretrained - cpu_started, 1)}))


if __name__ == "__main__":
    main()
