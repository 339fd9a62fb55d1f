"""Images with labels as the native module takes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._errors import InputError
from ._macula import Dataset

if TYPE_CHECKING:
    from ._types import Images, Labelled


def labelled(data: Images | Dataset | str | os.PathLike[str], labels: Any) -> Labelled:
    """`data` with its labels, or a dataset, which has its own."""
    if isinstance(data, (str, os.PathLike, Dataset)):
        if labels is not None:
            raise InputError("a dataset has its own labels; leave labels out")
        return data
    if labels is None:
        return data, [-1] * len(data), []
    import numpy as np

    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise InputError(f"labels have shape {labels.shape}; [N] is needed")
    names, codes = np.unique(labels, return_inverse=True)
    return data, codes.tolist(), [str(name) for name in names]
