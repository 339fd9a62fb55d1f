"""A classifier and a transformer for scikit-learn. Needs scikit-learn 1.6 or later (`pip install macula-vision[sklearn]`).

Examples
--------
>>> from sklearn.pipeline import make_pipeline
>>> import macula
>>> from macula.sklearn import MaculaClassifier, MaculaEncoder
>>> dataset = macula.Dataset("phantoms:32:60")
>>> images, labels = dataset.images(), dataset.labels
>>> model = make_pipeline(MaculaEncoder("grey-64"), MaculaClassifier())
>>> model.fit(images[:40], labels[:40]).predict_proba(images[40:]).shape[0]
20
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._errors import EncoderError, InputError
from ._macula import Encoder, Head

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags
    from typing_extensions import Self

    from ._types import Images

__all__ = ["MaculaClassifier", "MaculaEncoder"]

# Limits of a device's head; one dimension is the constant that keeps the length of a sample.
FEATURES_MAX = 4095
CLASSES_MAX = 255
# Keeps values finite in float32.
_VALUE_MAX = 1e30


def _open(encoder: Encoder | str | os.PathLike[str]) -> Encoder:
    return encoder if isinstance(encoder, Encoder) else Encoder(encoder)


class MaculaEncoder(TransformerMixin, BaseEstimator):
    """Images to features.

    Parameters
    ----------
    encoder : Encoder or str or os.PathLike, default 'grey-64'
        The encoder, or its name; see `macula.Encoder`. An open encoder cannot be pickled.
    standardize : bool, default True
        Centre and scale by the statistics of the encoder's training images, where it has them, as a device does.

    Attributes
    ----------
    n_features_out_ : int
        Dimensions D of a feature.
    encoder_id_ : str
        The identity of the encoder. After unpickling, the encoder of that name must be the same.
    """

    def __init__(self, encoder: Encoder | str | os.PathLike[str] = "grey-64", *, standardize: bool = True) -> None:
        self.encoder = encoder
        self.standardize = standardize

    def fit(self, X: Images, y: Any = None) -> Self:
        """Open the encoder. It learns nothing from the images.

        Parameters
        ----------
        X : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray
        y : ignored
        """
        self._opened = _open(self.encoder)
        self.n_features_out_ = self._opened.feature_dim
        self.encoder_id_ = self._opened.id
        return self

    def transform(self, X: Images) -> NDArray[np.float32]:
        """Compute the features of images.

        Parameters
        ----------
        X : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray

        Returns
        -------
        ndarray of float32, [N, D]
        """
        check_is_fitted(self, "n_features_out_")
        if not hasattr(self, "_opened"):
            opened = _open(self.encoder)
            if opened.id != self.encoder_id_:
                raise EncoderError(f"{opened.name} is another encoder than the one that was fitted")
            self._opened = opened
        return self._opened.encode(X, standardize=self.standardize)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the dimensions: 'maculaencoder0' …"""
        check_is_fitted(self, "n_features_out_")
        return np.asarray([f"maculaencoder{number}" for number in range(self.n_features_out_)], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_opened", None)
        return state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.no_validation = True
        return tags


class MaculaClassifier(ClassifierMixin, BaseEstimator):
    """The head of a device on feature matrices.

    It is fitted by the device's own code on features quantised to 16 bits, so that a device gives the same classes.

    Parameters
    ----------
    head : {'auto', 'prototype', 'gaussian', 'logistic'}
        `auto`, the default of a device, is a weighted mean of the scores of `gaussian` (discriminant analysis with chosen
        shrinkage) and `logistic` (softmax regression).
    standardize : bool, default True
        Centre and scale each feature by the training samples, and add a constant 1 as a last feature: a head compares
        directions, and with the constant a direction keeps the length of a sample. False takes the features as they are, as a
        device does with standardised ones.

    Attributes
    ----------
    classes_ : ndarray, [C]
        At most 255.
    n_features_in_ : int
        At most 4095.
    coef_, intercept_ : ndarray of float64, [C, D] and [C]
        Weights and biases for quantised features (units of 1 / 32767). With `standardize` coef_ is [C, D + 1]: the last
        weight is that of the constant.
    """

    def __init__(self, head: str = "auto", *, standardize: bool = True) -> None:
        self.head = head
        self.standardize = standardize

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the head.

        Parameters
        ----------
        X : array-like, [N, D]
        y : array-like, [N]

        Raises
        ------
        InputError
            More than 255 classes or 4095 features.
        """
        rows: NDArray[np.float64]
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) > CLASSES_MAX:
            raise InputError(f"{len(self.classes_)} classes; a head has at most {CLASSES_MAX}")
        if rows.shape[1] > FEATURES_MAX:
            raise InputError(f"{rows.shape[1]} features; a head takes at most {FEATURES_MAX}")
        if self.standardize:
            self.mean_ = rows.mean(axis=0)
            deviation = rows.std(axis=0)
            # A feature that never varied is centred only, as on a device. Its computed deviation may be that of rounding.
            rounding = len(rows) * np.finfo(np.float64).eps * np.abs(self.mean_)
            self.scale_ = np.where(deviation > rounding, deviation, 1.0)
        self._head = Head.fit(self._rows(rows), codes.astype(np.int64), len(self.classes_), self.head)
        return self

    def _rows(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        if self.standardize:
            rows = np.column_stack([(rows - self.mean_) / self.scale_, np.ones(len(rows))])
        return np.ascontiguousarray(np.clip(rows, -_VALUE_MAX, _VALUE_MAX), dtype=np.float32)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like, [N, D]

        Returns
        -------
        ndarray of float64, [N, C]
            In the order of `classes_`.
        """
        check_is_fitted(self, "_head")
        rows: NDArray[np.float64] = validate_data(self, X, dtype=np.float64, reset=False)
        return self._head.predict_proba(self._rows(rows))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each sample.

        Parameters
        ----------
        X : array-like, [N, D]

        Returns
        -------
        ndarray, [N]
        """
        probabilities = self.predict_proba(X)
        predicted: NDArray[Any] = self.classes_[np.argmax(probabilities, axis=1)]
        return predicted

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Weights, [C, D], or [C, D + 1] with `standardize`."""
        check_is_fitted(self, "_head")
        return self._head.weights

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Biases, [C]."""
        check_is_fitted(self, "_head")
        return self._head.biases
