"""Few-shot image classification on small devices.

An `Encoder` turns images into features. A `Device` learns classes from a few images, predicts, explains and forgets; it
runs in this process, or behind a socket or serial line (`connect`). `evaluate` measures an encoder on labelled images,
`pretrain` trains one without labels. `macula.sklearn` has a classifier and a transformer for scikit-learn.

Images are arrays of uint8 with values 0 to 255: [N, H, W] or [N, H, W, C] with C = 1 or 3 (red, green, blue), or a list of
arrays [H, W] or [H, W, C] of different sizes.
"""

from ._errors import (
    DataError,
    DeviceError,
    EncoderError,
    InputError,
    InternalError,
    MaculaError,
    RefusedError,
    TrainingError,
)
from ._evaluate import Evaluation, evaluate
from ._macula import Dataset, Device, Encoder, Neighbour, Prediction, __version__, connect, read_image
from ._macula import models as _models
from ._pretrain import Pretrained, Progress, pretrain

__all__ = [
    "DataError",
    "Dataset",
    "Device",
    "DeviceError",
    "Encoder",
    "EncoderError",
    "Evaluation",
    "InputError",
    "InternalError",
    "MaculaError",
    "Neighbour",
    "Prediction",
    "Pretrained",
    "Progress",
    "RefusedError",
    "TrainingError",
    "__version__",
    "connect",
    "evaluate",
    "models",
    "pretrain",
    "read_image",
]


def models() -> dict[str, str]:
    """Names of the encoders that come with the package, with their purpose.

    Examples
    --------
    >>> import macula
    >>> macula.models()["grey-64"]
    'grey images of up to 100 pixels'
    """
    return dict(_models())
