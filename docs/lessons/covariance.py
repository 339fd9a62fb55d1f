"""Does the covariance of an encoder's features over its corpus help a head at 1 to 20 shots?

    macula export grey-64 --out G
    macula embed --encoder G --data kermany-cxr/kermany-3class.csv --out kermany-3class.npz
    python3 covariance.py kermany-3class.npz ... > covariance.csv      # needs NumPy

The head is the Gaussian head of a device: scatter plus kappa times a target, kappa chosen by leaving one support out
(`edge/src/head/shrunken.rs`). Its target is the identity. Two uses of the covariance S of the images that are not in the
test split, scaled to the trace of the identity, are compared with it:

* `target B`: the target is (1 - B) I + B S
* `whiten B`: features are multiplied by ((1 - B) I + B S)^(-1/2) and brought to unit length again

Each row has balanced accuracy, its difference from the identity and the 95 % interval of the paired difference.
"""

import sys
from pathlib import Path

import numpy as np

GRID = [0.1, 0.2, 0.5, 1, 2, 5, 20]
PRIOR = 3
SHARES = [0.25, 0.5, 0.75]
EPISODES = 100
QUERIES = 30


def unit_rows(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def load(path):
    """Standardised unit features of all images outside the test split, those of the test split, and its labels."""
    table = np.load(path)
    is_test = table["split"] == "test"
    unlabelled = table["features"][~is_test].astype(float)
    mean, std = unlabelled.mean(0), unlabelled.std(0)
    std[std == 0] = 1
    features = unit_rows((table["features"].astype(float) - mean) / std)
    return features[~is_test], features[is_test], np.unique(table["label"][is_test], return_inverse=True)[1]


def left_out_scores(supports, labels, means, counts, inverse, sharpness):
    """Scores of each support against classes from which it was left out, in closed form (Sherman and Morrison)."""
    rows = np.arange(len(labels))
    to_mean, between = supports @ inverse @ means.T, means @ inverse @ means.T
    own, own_to_class = ((supports @ inverse) * supports).sum(1), to_mean[rows, labels]
    beta = counts[labels] / (counts[labels] - 1)
    of_d = own - 2 * own_to_class + between[labels, labels]
    gain = beta / np.maximum(1 - beta * of_d, 1e-12)
    distance = own[:, None] - 2 * to_mean + np.diag(between)
    with_d = own[:, None] - own_to_class[:, None] - to_mean + between[labels]
    distance[rows, labels], with_d[rows, labels] = beta**2 * of_d, beta * of_d
    return -0.5 * sharpness * (distance + gain[:, None] * with_d**2)


def log_loss(scores, labels, certainty):
    """Smallest summed log loss over a grid of temperatures, with the penalty for leaving the prior."""
    rows, losses = np.arange(len(labels)), []
    for step in range(13):
        s = certainty / 8 * 2 ** (step / 2) * scores
        most = s.max(1)
        losses.append((np.log(np.exp(s - most[:, None]).sum(1)) + most - s[rows, labels]).sum() + (step / 2 - 3) ** 2)
    return min(losses)


def gaussian(supports, labels, classes, queries, target):
    """Scores `[Q, C]` of the Gaussian head that shrinks towards `target`."""
    samples, dim = supports.shape
    means = np.stack([supports[labels == c].mean(0) for c in range(classes)])
    counts = np.bincount(labels, minlength=classes)
    d = supports - means[labels]
    best = (np.inf, None)
    for index, kappa in enumerate(GRID):
        inverse = np.linalg.inv(d.T @ d + kappa * target)
        loss = 0.0
        if counts.min() > 1:
            sharpness = samples - 1 - classes + kappa
            scores = left_out_scores(supports, labels, means, counts, inverse, sharpness)
            loss = log_loss(scores, labels, samples / (samples + 2 * dim))
        best = min(best, (loss + 0.5 * (index - PRIOR) ** 2, inverse), key=lambda pair: pair[0])
    inverse = best[1]
    return 2 * queries @ inverse @ means.T - np.einsum("cd,de,ce->c", means, inverse, means)


def evaluate(path, shots):
    unlabelled, features, labels = load(path)
    classes, dim = labels.max() + 1, features.shape[1]
    identity, covariance = np.eye(dim) / dim, np.cov(unlabelled.T, bias=True)
    covariance /= np.trace(covariance)
    uses = {"identity": (np.eye(dim), identity)}
    for share in SHARES:
        mixed = (1 - share) * identity + share * covariance
        values, vectors = np.linalg.eigh(mixed * dim)
        uses[f"target {share}"] = (np.eye(dim), mixed)
        uses[f"whiten {share}"] = (vectors @ np.diag(values**-0.5) @ vectors.T, identity)
    rng, found = np.random.default_rng(0), {use: [] for use in uses}
    for _ in range(EPISODES):
        drawn = [rng.permutation(np.flatnonzero(labels == c))[: shots + QUERIES] for c in range(classes)]
        support, query = np.concatenate([d[:shots] for d in drawn]), np.concatenate([d[shots:] for d in drawn])
        for use, (transform, target) in uses.items():
            both = unit_rows(features[np.concatenate([support, query])] @ transform)
            scores = gaussian(both[: len(support)], labels[support], classes, both[len(support) :], target)
            right = scores.argmax(1) == labels[query]
            found[use].append(np.mean([right[labels[query] == c].mean() for c in range(classes)]))
    base = np.array(found["identity"])
    for use, values in found.items():
        apart = np.array(values) - base
        print(f"{Path(path).stem},{shots},{use},{np.mean(values):.3f},{apart.mean():+.3f},{1.96 * apart.std() / EPISODES**0.5:.3f}")


print("task,shots,use,balanced_accuracy,difference,interval")
for path in sys.argv[1:]:
    for shots in (1, 5, 20):
        evaluate(path, shots)
