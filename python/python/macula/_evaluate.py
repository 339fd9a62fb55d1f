"""Few-shot evaluation."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _macula
from ._arrays import labelled

if TYPE_CHECKING:
    from ._macula import Dataset, Encoder
    from ._types import Images

_COLUMNS = ("encoder", "shots", "balanced accuracy", "95 % interval", "encoder ahead by", "95 % interval")


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`. It prints as a table, in notebooks too.

    Attributes
    ----------
    rows : list of dict
        One for each encoder (the evaluated one first) and number of shots: `encoder`, `shots`, `balanced_accuracy` and
        `half_width_95` (0 to 1), `accuracy`, `recalls` (class to recall), `area_under_roc` (two classes only), and for
        baselines `ahead` and `ahead_interval`: how far the encoder is ahead of it on the same episodes, and the 95 %
        interval.
    classes : list of str
    train_images, test_images : int
        Images that standardise the features, without labels; images that episodes are drawn from.
    episodes : int
    head : str
    remarks : list of str
        What a reader of the figures must know: images left out, duplicates in both parts.
    """

    rows: list[dict[str, Any]]
    classes: list[str]
    train_images: int
    test_images: int
    episodes: int
    head: str
    remarks: list[str]

    @property
    def balanced_accuracy(self) -> float:
        """Balanced accuracy of the encoder with the first number of shots, 0 to 1."""
        return float(self.rows[0]["balanced_accuracy"])

    def _cells(self) -> list[tuple[str, ...]]:
        def cells(row: dict[str, Any]) -> tuple[str, ...]:
            half, ahead, interval = row["half_width_95"], row["ahead"], row["ahead_interval"]
            return (
                row["encoder"],
                str(row["shots"]),
                f"{row['balanced_accuracy']:.3f}",
                "-" if half is None else f"± {half:.3f}",
                "" if ahead is None else f"{ahead:+.3f}",
                "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}",
            )

        return [cells(row) for row in self.rows]

    def __str__(self) -> str:
        table = [_COLUMNS, *self._cells()]
        widths = [max(len(row[column]) for row in table) for column in range(len(_COLUMNS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        return "\n".join([*lines, *(f"remark: {remark}" for remark in self.remarks)])

    def _repr_html_(self) -> str:
        def line(tag: str, cells: tuple[str, ...]) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        rows = "".join(line("td", cells) for cells in self._cells())
        remarks = "".join(f"<li>{html.escape(remark)}</li>" for remark in self.remarks)
        return f"<table><thead>{line('th', _COLUMNS)}</thead><tbody>{rows}</tbody></table><ul>{remarks}</ul>"


def evaluate(
    encoder: Encoder | str | os.PathLike[str],
    data: Images | Dataset | str | os.PathLike[str],
    labels: Any = None,
    *,
    shots: int | Sequence[int] = 5,
    queries: int = 15,
    episodes: int = 100,
    ways: int | None = None,
    head: str = "auto",
    seed: int = 1,
    baselines: Sequence[str] = ("raw-pixels", "colour-statistics", "random"),
) -> Evaluation:
    """Measure an encoder by few-shot episodes, beside the baselines on the same images and episodes.

    Images without splits are split as `macula eval few-shot` does: one in five per class is a test image, by the hash of
    its pixels. Test images that the encoder is known to have been trained on are left out.

    Parameters
    ----------
    encoder : Encoder or str or os.PathLike
        The encoder or its name.
    data : images, Dataset, or str or os.PathLike
        Images (see `Encoder.encode`) with `labels`, or a dataset or its name.
    labels : array-like of int or str, [N], optional
        The class of each image.
    shots : int or sequence of int, default 5
        Labelled images per class.
    queries : int, default 15
        Images per class that are classified in an episode.
    episodes : int, default 100
        Use at least 100 for a figure to quote.
    ways : int, optional
        Classes per episode; all by default.
    head : {'auto', 'prototype', 'gaussian', 'softmax', 'logistic'}
        `auto` is the default of a device.
    seed : int, default 1
        Episode `i` of a seed is the same for every encoder and head. Also the seed of phantoms that `data` names.
    baselines : sequence of str
        `raw-pixels`, `colour-statistics` and `random` (an untrained encoder of the same preset).

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        A class has too few images, or there are fewer than two classes.
    EncoderError, DataError
        The encoder or the images cannot be opened.
    """
    found = _macula.evaluate(
        encoder,
        labelled(data, labels),
        shots=[shots] if isinstance(shots, int) else list(shots),
        queries=queries,
        episodes=episodes,
        ways=ways,
        head=head,
        seed=seed,
        baselines=list(baselines),
    )
    return Evaluation(**found)
