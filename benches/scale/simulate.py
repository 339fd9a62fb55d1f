#!/usr/bin/env python3
"""Step time of SimCLR on 1 to 64 nodes, from measured constants and the speed of the network.

    benches/scale/simulate.py --csv docs/lessons/scale.csv --svg docs/lessons/scale.svg

One rank per node, and the same batch for any number of nodes. The model:

    compute     images per node * seconds per image, the loss included: a rank has its own rows of the similarities
    gather      embeddings of all ranks, ring: (n - 1) / n of their bytes, n - 1 messages
    small       agreements, lengths, statistics and metrics: log2 n messages each
    all-reduce  gradients, the faster of ring (2 (n - 1) / n of the bytes, 2 (n - 1) messages) and recursive doubling
                (log2 n times all bytes and one message)

Without overlap the all-reduce follows the backward pass, which is two thirds of the compute time. With overlap it is hidden
behind the backward pass, except the share of the gradients that is complete only at its end.
"""

import argparse
import csv
import math

NODES = [1, 2, 4, 8, 16, 32, 64]
# Bytes per second that a program gets, and seconds of a message.
NETWORKS = {
    "1 Gbit/s": (0.117e9, 50e-6),
    "10 Gbit/s": (1.17e9, 25e-6),
    "25 Gbit/s": (2.9e9, 15e-6),
    "100 Gbit/s": (11.5e9, 3e-6),
}
FORWARD = 1 / 3
# `nano` at 3x32x32 on two cores: docs/results.md, "SimCLR beside PyTorch": 237 s for ten epochs of 50,000 images.
IMAGE_SECONDS = 237 / 500_000
# Parameters of `nano` and of its projection head, in f32.
GRADIENT_BYTES = 4 * (77_392 + 65 * 256 + 257 * 64)
# Share of the gradients of the first stages, which are complete last.
LAST_SHARE = 0.1


def step(constants, network, nodes):
    """Seconds of the parts of a step."""
    speed, latency = NETWORKS[network]
    rounds = math.log2(nodes)
    # An embedding, its length in the softmax, and the metrics of a view.
    gathered = 2 * constants.batch_size * (4 * constants.embedding_dim + 16) * (nodes - 1) / nodes
    ring = 2 * (nodes - 1) / nodes * constants.gradient_bytes / speed + 2 * (nodes - 1) * latency
    doubling = rounds * (constants.gradient_bytes / speed + latency)
    return {
        "compute": constants.batch_size / nodes * constants.image_seconds,
        "gather": gathered / speed + (nodes - 1) * latency,
        "small": constants.small_messages * rounds * latency,
        "all_reduce": min(ring, doubling),
    }


def rows(constants):
    """A row per network and number of nodes, without and with overlap."""
    for network in NETWORKS:
        for nodes in NODES:
            parts = step(constants, network, nodes)
            backward = (1 - FORWARD) * parts["compute"]
            for overlap in ("no", "yes"):
                hidden = min(backward, (1 - constants.last_share) * parts["all_reduce"]) if overlap == "yes" else 0
                seconds = sum(parts.values()) - hidden
                yield {
                    "network": network,
                    "nodes": nodes,
                    "overlap": overlap,
                    **{f"{name}_ms": f"{1e3 * value:.3f}" for name, value in parts.items()},
                    "hidden_ms": f"{1e3 * hidden:.3f}",
                    "step_ms": f"{1e3 * seconds:.3f}",
                    "efficiency": f"{parts['compute'] / seconds:.3f}",
                }


def svg(found, path):
    """Efficiency over the number of nodes: a line per network, solid with overlap."""
    width, height, left, top = 560, 260, 50, 20
    colours = ["#b3261e", "#1f6feb", "#2e7d32", "#6a3fb5"]
    parts = []

    def place(nodes, efficiency):
        return left + math.log2(nodes) / 6 * width, top + (1 - efficiency) * height

    for tick in (0, 0.25, 0.5, 0.75, 1):
        _, y = place(1, tick)
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    for nodes in NODES:
        parts.append(f'<text x="{place(nodes, 0)[0]:.1f}" y="{top + height + 18}" text-anchor="middle">{nodes}</text>')
    for index, (colour, network) in enumerate(zip(colours, NETWORKS)):
        for overlap, dash in (("yes", ""), ("no", ' stroke-dasharray="4 3"')):
            line = [r for r in found if (r["network"], r["overlap"]) == (network, overlap)]
            points = " ".join("{:.1f},{:.1f}".format(*place(r["nodes"], float(r["efficiency"]))) for r in line)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        x, y = left + index * 140, top + height + 40
        parts.append(f'<line x1="{x}" x2="{x + 24}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 30}" y="{y + 4}">{network}</text>')
    parts.append(f'<text x="{left}" y="{top + height + 62}">solid: with overlap, dashed: without; nodes and efficiency</text>')
    with open(path, "w", encoding="utf-8") as file:
        size = f'width="{left + width + 20}" height="{top + height + 72}"'
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n')
        file.write('<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    """Writes the table and the chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-seconds", type=float, default=IMAGE_SECONDS, help="compute per image and step of a node")
    parser.add_argument("--gradient-bytes", type=float, default=GRADIENT_BYTES, help="parameters of encoder and head, 4 bytes each")
    parser.add_argument("--embedding-dim", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=256, help="of all nodes, with which --image-seconds was measured")
    parser.add_argument("--small-messages", type=int, default=8, help="agreements, lengths, statistics and metrics per step")
    parser.add_argument("--last-share", type=float, default=LAST_SHARE, help="share of the gradients that is complete only at the end")
    parser.add_argument("--csv", default="scale.csv")
    parser.add_argument("--svg", default="scale.svg")
    constants = parser.parse_args()
    found = list(rows(constants))
    with open(constants.csv, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, found[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(found)
    svg(found, constants.svg)


if __name__ == "__main__":
    main()
