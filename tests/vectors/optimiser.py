"""Writes optimiser.json: parameters after each step of PyTorch's SGD and AdamW. Needs torch.

The first `decayed` parameters decay by the decoupled rule p *= 1 - rate * weight_decay before the step
(AdamW does so itself; SGD's own weight_decay is coupled and therefore left at 0).
"""

import json
import pathlib

import torch

torch.manual_seed(20191)
STEPS, LENGTH, DECAYED, WEIGHT_DECAY = 8, 5, 3, 0.05
start = torch.randn(LENGTH)
gradients = [torch.randn(LENGTH) * 10 ** (i % 3 - 1) for i in range(STEPS)]
rates = [0.1 * (1 - i / STEPS) for i in range(STEPS)]


def trajectory(make, decay_by_hand):
    groups = [start[:DECAYED].clone().requires_grad_(), start[DECAYED:].clone().requires_grad_()]
    optimiser = make(groups)
    out = []
    for gradient, rate in zip(gradients, rates):
        for group in optimiser.param_groups:
            group["lr"] = rate
        if decay_by_hand:
            with torch.no_grad():
                groups[0].mul_(1 - rate * WEIGHT_DECAY)
        groups[0].grad, groups[1].grad = gradient[:DECAYED].clone(), gradient[DECAYED:].clone()
        optimiser.step()
        out.append(torch.cat([g.detach() for g in groups]).tolist())
    return out


def adamw(groups):
    return torch.optim.AdamW(
        [{"params": [groups[0]], "weight_decay": WEIGHT_DECAY}, {"params": [groups[1]], "weight_decay": 0.0}]
    )


result = {
    "torch": torch.__version__.split("+")[0],
    "learning_rates": rates,
    "weight_decay": WEIGHT_DECAY,
    "decayed": DECAYED,
    "start": start.tolist(),
    "gradients": [g.tolist() for g in gradients],
    "trajectories": {
        "sgd": trajectory(lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.9), True),
        "nesterov": trajectory(lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.9, nesterov=True), True),
        "adamw": trajectory(adamw, False),
    },
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
