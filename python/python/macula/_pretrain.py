"""Pretraining, and a callback that shows its course."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _macula
from ._arrays import labelled
from ._errors import InputError

if TYPE_CHECKING:
    from ._macula import Dataset, Encoder
    from ._types import Images


@dataclass(frozen=True)
class Pretrained:
    """The result of `pretrain`.

    Attributes
    ----------
    run : str
        The run folder; a name for `Encoder`.
    finished : bool
        False if the callback stopped the run; `pretrain(..., resume=True)` continues it.
    step : int or None
        Steps done; None if the run was finished before.
    last : dict or None
        The metrics of the last epoch.
    skipped : int
        Images left out because they cannot be read.
    """

    run: str
    finished: bool
    step: int | None
    last: dict[str, Any] | None
    skipped: int

    def encoder(self) -> Encoder:
        """Open the trained encoder."""
        return _macula.Encoder(self.run)


def pretrain(
    data: Images | Dataset | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    method: str = "simclr",
    labels: Any = None,
    init: str | None = None,
    policy: str | None = None,
    resume: bool = False,
    callback: Callable[[dict[str, Any]], object] | None = None,
    **settings: Any,
) -> Pretrained:
    """Train an encoder into a run folder, usually without labels.

    The same settings, data and seed give the same bytes for any number of threads and interruptions. Ctrl-C ends the current
    step, writes a checkpoint and raises KeyboardInterrupt; `resume=True` continues.

    Parameters
    ----------
    data : images, Dataset, or str or os.PathLike
        Images (see `Encoder.encode`), or a dataset or its name.
    out : str or os.PathLike
        The run folder: new or empty, or with `resume` that of the run to continue.
    method : {'simclr', 'rotation', 'triplet', 'moco', 'masked', 'supervised'}
    labels : array-like of int or str, [N], optional
        The class of each image, for methods that need labels.
    init : str, optional
        The run or shipped model to start from.
    policy : {'none', 'light', 'natural', 'medical', 'centred'}, optional
        Augmentations; by default those of the method.
    resume : bool, default False
        Continue the run in `out`, with its settings. Others must not be given.
    callback : callable, optional
        Called with a dict for each event: `event` is 'start', 'step', 'epoch', 'warning', 'remark' or 'skipped'; the other keys
        are those of `metrics.jsonl` (`step`, `epoch`, `loss`, `train`, `health` …). Training waits for it. It stops the run
        by returning False. `Progress` is such a callback.
    **settings
        Settings by their names in `config.toml`: `encoder`, `size`, `channels`, `epochs`, `batch_size`, `learning_rate`,
        `seed`, `metrics_steps` …

    Returns
    -------
    Pretrained

    Raises
    ------
    InputError
        A setting is unknown or out of range.
    TrainingError
        Training diverged or collapsed, or files cannot be written.
    """
    if resume and (settings or init is not None or policy is not None):
        raise InputError("a run is resumed with its own settings; leave out init, policy and settings")
    given = json.dumps({"method": method, **settings}, default=_plain)
    found = _macula.pretrain(
        labelled(data, labels), out, settings=given, init=init, policy=policy, resume=resume, callback=callback
    )
    return Pretrained(**found)


def _plain(value: Any) -> Any:
    """A number of NumPy or a path as JSON has them."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise InputError(f"a setting is of type {type(value).__name__}; numbers, texts, lists and dicts are allowed")


class Progress:
    """A callback for `pretrain` that shows a line per epoch: in a notebook one table that grows, otherwise printed lines.

    Attributes
    ----------
    epochs : list of dict
        The metrics of each epoch so far.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        self._steps = 0
        self._display: Any = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event."""
        kind = event["event"]
        if kind == "start":
            self._steps = event["steps"]
        elif kind == "epoch":
            self.epochs.append(event)
            self._show(event)
        elif kind in ("warning", "remark"):
            print(f"{kind}: {event['message']}")

    def _line(self, epoch: dict[str, Any]) -> str:
        health = epoch.get("health") or {}
        rank = f"  effective rank {health['effective_rank']:.1f}" if "effective_rank" in health else ""
        return f"epoch {epoch['epoch']}  step {epoch['step']}/{self._steps}  loss {epoch['train']['loss']:.4f}{rank}"

    def _show(self, epoch: dict[str, Any]) -> None:
        display = _notebook_display()
        if display is None:
            print(self._line(epoch), flush=True)
            return
        text = {"text/plain": "\n".join(self._line(epoch) for epoch in self.epochs)}
        if self._display is None:
            self._display = display(text, raw=True, display_id=True)
        else:
            self._display.update(text, raw=True)


def _notebook_display() -> Any:
    """The function that displays in a notebook; None elsewhere."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return None
    shell = get_ipython()
    return display if shell is not None and hasattr(shell, "kernel") else None
