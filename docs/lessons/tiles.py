#!/usr/bin/env python3
"""Do tiles help where small structures decide, and does a heat map find the vessels of a retina?

    python3 docs/lessons/tiles.py MACULA DATA [PART …] > docs/lessons/tiles.csv      # needs NumPy and Pillow

MACULA is the program, DATA the folder of datasets, of which `drive` and `drive-patches` are read. Four parts:

* `regions` and `quarters`: parts of 141×146 and of 282×292 pixels of the photographs of `drive`, 70 pixels apart, a class for
  those whose share of vessels is above the median of the training photographs and one for the others. Few-shot episodes of the
  testing photographs, none of which gives both supports and queries: the encoder on tiles (mean and attention), on the whole
  part made as small as a tile, and the baselines. The scale was chosen with `regions-tune`, the same on the training
  photographs.
* `heat`: a device is taught vessels from 50 patches per class of the training photographs, and decides every tile of the testing
  photographs alone. Area under the ROC curve of the map against the manual segmentation, inside the field of view, one figure
  per photograph; by chance against the segmentation of the next photograph.
* `lesions`: a synthetic stand-in for x-rays of 2,048 pixels, because no set of that size is public here: smooth background, ribs
  and noise, and in half of the images one spot of 8 pixels radius at a random place.

Ridge and temperature of the attention are the defaults of the program, which were chosen before any of these figures;
`lesions-tune` tries others on images of another seed.

`picture` draws the heat map of docs/tiles.md again. Intervals are 95 %: over episodes, or over photographs by Student's t.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

GRIDS, STEPS = {"regions": 4, "quarters": 2}, 8  # sides of a photograph per side of a part, and per step to the next
EPISODES = 200
SEED = 1
# The scale was chosen with `regions-tune`; ridge and temperature are the defaults.
TILES, RIDGE, TEMPERATURE = "1,overlap=0.5", 1.0, 0.5
# Tiles of 32 pixels, as the patches that the device is taught, every 8 pixels.
HEAT_TILES = "0.5,overlap=0.75,empty=0,max=20000"
LESION_TILES, LESION_SIDE, LESION_RADIUS = "2,overlap=0.5", 2048, 8
T_19 = 2.093  # Student's t, 97.5 %, of 20 photographs


def macula(program, *arguments):
    command = [program, *map(str, arguments), "--json", "--quiet"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def photographs(data, part):
    """Number, pixels, vessels and field of view of each photograph."""
    name = {"training": "training", "testing": "test"}[part]
    for image in sorted((data / "drive" / part / "images").glob("*.tif")):
        number = image.name[:2]
        masks = [f"1st_manual/{number}_manual1.gif", f"mask/{number}_{name}_mask.gif"]
        vessels, view = (np.array(Image.open(data / "drive" / part / mask)) > 0 for mask in masks)
        yield number, image, vessels, view


def regions(data, folder, parts, grid):
    """Writes parts of photographs and their manifest. Split `train` is the first of `parts`, `test` the second."""
    found = []
    for split, part in zip(["train", "test"], parts):
        for number, image, vessels, view in photographs(data, part):
            pixels = np.array(Image.open(image))
            (height, width), (down, across) = ([side // n for side in vessels.shape] for n in (grid, STEPS))
            for row, top in enumerate(range(0, vessels.shape[0] - height + 1, down)):
                for column, left in enumerate(range(0, vessels.shape[1] - width + 1, across)):
                    at = np.s_[top : top + height, left : left + width]
                    if view[at].mean() < 0.9:
                        continue
                    path = folder / f"{part}-{split}-{number}-{row}{column}.png"
                    Image.fromarray(pixels[at]).save(path)
                    found.append((path.name, vessels[at].mean(), split, f"{part} {number}"))
    median = np.median([share for _, share, split, _ in found if split == "train"])
    with open(folder / "regions.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split", "group"])
        rows.writerows((path, "dense" if share > median else "sparse", split, group) for path, share, split, group in found)
    return folder / "regions.csv"


def few_shot(program, data, part, encoder, tiles, queries, *more):
    """The rows of one evaluation."""
    report = macula(
        program, "eval", "few-shot", "--encoder", encoder, "--data", data, "--tiles", tiles, "--shots", "5,20",
        "--queries", queries, "--episodes", EPISODES, "--seed", SEED, *more,
    )
    for row in report["rows"]:
        accuracy, sensitivity = row["balanced_accuracy"], row["sensitivity_at_95_specificity"]
        for measure, found in [("balanced accuracy", accuracy), ("sensitivity at 95 % specificity", sensitivity)]:
            yield part, row["encoder"], row["shots"], measure, found["mean"], found["half_width_95"]
    for row in report["comparison"]:
        low, high = row["interval"]
        what = f"{row['measure']}, minus {row['baseline']}"
        yield part, row["encoder"], row["shots"], what, row["difference"], (high - low) / 2


def attention(ridge, temperature):
    return ["--tile-pooling", "mean,attention", "--attention-ridge", ridge, "--attention-temperature", temperature]


def tune_scale(program, data, folder):
    manifest = regions(data, folder, ["testing", "training"], GRIDS["regions"])
    for tiles in ["0.5", "0.5,overlap=0.5", "1", "1,overlap=0.5", "1.5,overlap=0.5"]:
        yield from few_shot(program, manifest, f"tune {tiles}", "colour-64", tiles, 20, "--baselines", "none")


def tune_attention(program, data, folder):
    manifest, _ = draw_lesions(folder, SEED + 1)
    for ridge in [0.1, 1.0, 10.0]:
        for temperature in [0.125, 0.25, 0.5, 1.0]:
            part = f"tune ridge {ridge} temperature {temperature}"
            more = [*attention(ridge, temperature), "--cache", folder / "cache"]
            found = few_shot(program, manifest, part, "grey-64", LESION_TILES, 30, "--baselines", "none", *more)
            yield from (row for row in found if "attention" in row[1])


def area_under_roc(scores, positive):
    """Mann and Whitney's statistic; equal scores count half."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    values, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    positives = positive.sum()
    return (ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * (len(scores) - positives))


def heat(program, data, folder):
    store = folder / "vessels.store"
    patches = data / "drive-patches" / "drive_patches.npz"
    learn = ["learn", "--device", store, "--encoder", "colour-64", "--data", patches, "--split", "train", "--shots", 50]
    classes = [found["name"] for found in macula(program, *learn, "--seed", SEED)["classes"]]
    maps, masks, views = [], [], []
    for number, image, vessels, view in photographs(data, "testing"):
        out = folder / f"{number}.npy"
        draw = ["why", "--device", store, image, "--heatmap-values", out, "--heatmap-class", classes[1]]
        macula(program, *draw, "--heatmap-tiles", HEAT_TILES)
        maps.append(np.load(out))
        masks.append(vessels)
        views.append(view)
    own = [area_under_roc(m[v], mask[v]) for m, mask, v in zip(maps, masks, views)]
    others = masks[1:] + masks[:1]
    chance = [area_under_roc(m[v], mask[v]) for m, mask, v in zip(maps, others, views)]
    dark = [np.array(Image.open(image).convert("L")) for _, image, _, _ in photographs(data, "testing")]
    darkness = [area_under_roc(-d[v].astype(float), mask[v]) for d, mask, v in zip(dark, masks, views)]
    for name, areas in [("own vessels", own), ("vessels of the next photograph", chance), ("own vessels, by darkness alone", darkness)]:
        half = T_19 * np.std(areas, ddof=1) / len(areas) ** 0.5
        yield "heat", "colour-64 in tiles", 50, f"ROC AUC against {name}", float(np.mean(areas)), float(half)


def smooth(rng, side, cells):
    noise = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
    return np.array(noise.resize((side, side), Image.Resampling.BICUBIC))


def draw_lesions(folder, seed):
    """Writes images and their manifest. Returns its path and the places of the spots by name."""
    rng, spots = np.random.default_rng(seed), {}
    y, x = np.mgrid[:LESION_SIDE, :LESION_SIDE].astype(np.float32)
    rows = [("path", "label", "split")]
    for split, count in [("train", 40), ("test", 120)]:
        for index in range(count):
            ribs = 12 * np.sin(y / rng.uniform(40, 60) + 0.002 * x + rng.uniform(0, 6))
            image = 110 + 30 * smooth(rng, LESION_SIDE, 5) + ribs + 6 * smooth(rng, LESION_SIDE, 200)
            image += 8 * rng.normal(size=image.shape).astype(np.float32)
            if index % 2:
                centre = rng.uniform(0.1, 0.9, 2) * LESION_SIDE
                distance = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / LESION_RADIUS**2
                image += 55 * np.exp(-distance / 2)
            name = f"{split}-{index:03}.png"
            if index % 2:
                spots[name] = centre.astype(int)
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / name, compress_level=1)
            rows.append((name, "lesion" if index % 2 else "clear", split))
    manifest = folder / "lesions.csv"
    with open(manifest, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return manifest, spots


def lesions(program, data, folder):
    manifest, _ = draw_lesions(folder, SEED)
    more = attention(RIDGE, TEMPERATURE)
    yield from few_shot(program, manifest, "lesions", "grey-64", LESION_TILES, 30, *more)


def picture(program, data, folder):
    """Draws the heat map of docs/tiles.md beside this script: a device is taught patches with and without a spot."""
    _, spots = draw_lesions(folder, SEED)
    store, out, half = folder / "spots.store", folder / "map.png", 64
    patches = {"lesion": [], "clear": []}
    for name, (left, top) in [(name, place) for name, place in spots.items() if name.startswith("train")]:
        image = Image.open(folder / name)
        # The other patch lies on the other side of the image.
        for label, x, y in [("lesion", left, top), ("clear", LESION_SIDE - left, LESION_SIDE - top)]:
            patches[label].append(folder / f"{label}-{name}")
            image.crop((x - half, y - half, x + half, y + half)).save(patches[label][-1])
    for label, files in patches.items():
        macula(program, "learn", "--device", store, "--encoder", "grey-64", "--class", label, *files)
    image = folder / "test-003.png"
    draw = ["why", "--device", store, image, "--heatmap", out, "--heatmap-class", "lesion"]
    macula(program, *draw, "--heatmap-tiles", "2,overlap=0.75")
    pair = Image.new("RGB", (1034, 512), "white")
    for left, path in [(0, image), (522, out)]:
        pair.paste(Image.open(path).convert("RGB").resize((512, 512), Image.Resampling.LANCZOS), (left, 0))
    pair.quantize(128).save(Path(__file__).parent / "heat-map.png", optimize=True)
    yield from ()


def retina(part):
    """The evaluation of parts of retinal photographs."""

    def run(program, data, folder):
        manifest = regions(data, folder, ["training", "testing"], GRIDS[part])
        yield from few_shot(program, manifest, part, "colour-64", TILES, 20, *attention(RIDGE, TEMPERATURE))

    return run


PARTS = {part: retina(part) for part in GRIDS} | {"heat": heat, "lesions": lesions}
OTHERS = {"regions-tune": tune_scale, "lesions-tune": tune_attention, "picture": picture}


def main():
    program, data, parts = sys.argv[1], Path(sys.argv[2]), sys.argv[3:] or PARTS
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["part", "encoder", "shots", "measure", "value", "half_width_95"])
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            for row in (PARTS | OTHERS)[part](program, data, Path(folder)):
                half = "" if row[5] is None else f"{row[5]:.4f}"
                out.writerow([*row[:4], f"{row[4]:.4f}", half])
                sys.stdout.flush()


if __name__ == "__main__":
    main()
