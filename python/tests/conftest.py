"""Images of the tests: real ones if MACULA_DATA names a folder of datasets, phantoms always."""

import os
from pathlib import Path

import numpy as np
import pytest

import macula


@pytest.fixture(scope="session")
def phantoms() -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 32, 32] and labels [N] of drawn images."""
    dataset = macula.Dataset("phantoms:32:120")
    return np.stack(dataset.images()), dataset.labels


@pytest.fixture(scope="session")
def xrays() -> macula.Dataset:
    """Chest x-rays with and without pneumonia, 28 × 28 pixels."""
    folder = os.environ.get("MACULA_DATA")
    path = Path(folder or "/nowhere") / "pneumoniamnist"
    if not path.exists():
        pytest.skip("MACULA_DATA is not set, or has no pneumoniamnist")
    return macula.Dataset(path)
