"""Types of arguments, for type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Literal, TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from ._macula import Dataset

    # [N, H, W], [N, H, W, C], or arrays [H, W] or [H, W, C].
    Images: TypeAlias = NDArray[np.uint8] | list[NDArray[np.uint8]] | tuple[NDArray[np.uint8], ...]
    Path: TypeAlias = str | os.PathLike[str]
    # Images, the label of each (-1 for none) and the names of the classes; or a dataset or its name.
    Labelled: TypeAlias = Dataset | Path | tuple[Images, Sequence[int], Sequence[str]]
    HeadName: TypeAlias = Literal["auto", "prototype", "gaussian", "logistic"] | str
