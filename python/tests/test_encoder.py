"""Encoders and datasets."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import macula


def test_features_have_their_shape_and_do_not_depend_on_the_batch(phantoms):
    images, _ = phantoms
    encoder = macula.Encoder("grey-64")
    features = encoder.encode(images)
    assert features.shape == (len(images), encoder.feature_dim) and features.dtype == np.float32
    assert np.array_equal(encoder.encode(images[7:8])[0], features[7])
    assert encoder.input_shape == (64, 64, 1) and len(encoder.id) == 64
    assert encoder.encode(images[:0]).shape == (0, encoder.feature_dim)


def test_all_forms_of_the_same_images_give_the_same_features(phantoms):
    images = phantoms[0][:3]
    encoder = macula.Encoder("grey-64")
    expected = encoder.encode(images)
    colour = np.repeat(images[..., None], 3, axis=3)
    forms = [
        images[..., None],
        colour,
        list(images),
        tuple(images),
        [images[0], colour[1], images[2][..., None]],
        np.asfortranarray(images),
        np.concatenate([images, images], axis=2)[:, :, : images.shape[2]],
    ]
    for form in forms:
        assert np.array_equal(encoder.encode(form), expected), type(form)
    flipped = encoder.encode(images[:, ::-1])
    assert np.array_equal(flipped, encoder.encode(np.ascontiguousarray(images[:, ::-1])))
    assert not np.array_equal(flipped, expected)


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (np.zeros((2, 8, 8), np.float32), "float32"),
        (np.zeros((8, 8), np.uint8), r"\[8, 8\]"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"\[8, 8, 4\]"),
        (np.zeros((2, 0, 8), np.uint8), r"\[0, 8\]"),
        ([np.zeros((8, 8), np.uint8), np.zeros(8, np.uint8)], "image 1"),
        ([[1, 2], [3, 4]], "list"),
        ("images.png", "str"),
    ],
)
def test_other_arrays_are_refused(images, found):
    with pytest.raises(macula.InputError, match=found) as refused:
        macula.Encoder("grey-64").encode(images)
    assert isinstance(refused.value, ValueError) and isinstance(refused.value, macula.MaculaError)
    assert "[N, H, W]" in str(refused.value)


def test_unknown_encoders_are_refused(tmp_path):
    with pytest.raises(macula.EncoderError, match="no encoder 'grey-65'"):
        macula.Encoder("grey-65")
    with pytest.raises(macula.EncoderError, match="x.macula"):
        (tmp_path / "x.macula").write_bytes(b"no bundle")
        macula.Encoder(tmp_path / "x.macula")
    with pytest.raises(macula.InputError, match="imagenet"):
        macula.Encoder("grey-64", preprocessing="imagenette")


def test_a_shipped_model_and_its_export_agree(phantoms):
    models = Path(__file__).parents[2] / "models" / "grey-64"
    if not models.exists():
        pytest.skip("the package was tested outside its repository")
    images = phantoms[0][:8]
    expected = macula.Encoder("grey-64").encode(images)
    bundle = macula.Encoder(models / "grey-64.macula", trust=[models.parent / "release.pub"])
    for encoder in [macula.Encoder(models / "encoder.onnx"), bundle]:
        features = encoder.encode(images)
        cosine = (features * expected).sum(1) / np.linalg.norm(features, axis=1) / np.linalg.norm(expected, axis=1)
        assert cosine.min() > 0.999, encoder
    with pytest.raises(macula.EncoderError, match="key"):
        macula.Encoder(models / "grey-64.macula")


def _children() -> list[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [pid for task in tasks for pid in task.read_text().split()]


def test_a_foreign_onnx_file_runs_in_a_process_of_its_own():
    file = Path(__file__).parents[2] / "tests" / "vectors" / "torch_net.onnx"
    if not file.exists():
        pytest.skip("the package was tested outside its repository")
    images = np.random.default_rng(1).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    with pytest.raises(macula.EncoderError, match="does not state its preprocessing"):
        macula.Encoder(file)

    def workers() -> list[int]:
        children = [Path(f"/proc/{pid}/cmdline") for pid in _children()]
        return [int(path.parent.name) for path in children if "_worker.py" in path.read_text()]

    encoder = macula.Encoder(file, preprocessing="unit")
    features = encoder.encode(images)
    (worker,) = workers()
    own = macula.Encoder(file, preprocessing="unit", isolate=False)
    assert features.shape == (3, own.feature_dim) and np.array_equal(features, own.encode(images))
    os.kill(worker, signal.SIGKILL)
    try:
        encoder.encode(images)
    except macula.EncoderError as error:
        assert "killed" in str(error)
    assert np.array_equal(encoder.encode(images), features), "the next request starts a new process"
    del encoder
    assert not workers()


def test_other_threads_run_while_images_are_encoded(phantoms):
    images = np.tile(phantoms[0], (4, 1, 1))
    encoder = macula.Encoder("grey-64")
    done, ticks = threading.Event(), 0

    def encode():
        encoder.encode(images)
        done.set()

    thread = threading.Thread(target=encode)
    thread.start()
    while not done.wait(0.001):
        ticks += 1
    thread.join()
    assert ticks > 3


def test_ctrl_c_interrupts(tmp_path):
    script = (
        "import numpy as np, macula\n"
        "encoder = macula.Encoder('grey-64')\n"
        "print('ready', flush=True)\n"
        "encoder.encode(np.zeros((1000000, 8, 8), np.uint8))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors and child.returncode in (1, -signal.SIGINT)


def test_datasets_are_read_as_by_the_command_line(tmp_path):
    dataset = macula.Dataset("phantoms:16:10", seed=3)
    assert len(dataset) == len(dataset.names) == len(dataset.labels) == len(dataset.images())
    assert np.array_equal(dataset[-1], dataset.images([len(dataset) - 1])[0])
    assert dataset[0].shape == (16, 16) and set(dataset.labels) == set(range(len(dataset.class_names)))
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    for kind in ("dark", "light"):
        (tmp_path / kind).mkdir()
        for number in range(2):
            value = number + (0 if kind == "dark" else 200)
            (tmp_path / kind / f"{number}.pgm").write_bytes(b"P5 4 3 255\n" + bytes([value] * 12))
    folder = macula.Dataset(tmp_path)
    assert folder.class_names == ["dark", "light"] and folder.labels.tolist() == [0, 0, 1, 1]
    assert macula.read_image(tmp_path / "light" / "1.pgm").tolist() == [[201] * 4] * 3
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(macula.DataError, match="broken.png") as refused:
        macula.read_image(tmp_path / "broken.png")
    assert isinstance(refused.value, OSError)
    with pytest.raises(macula.DataError, match="nowhere"):
        macula.Dataset(tmp_path / "nowhere")


def test_real_images_of_one_class_are_nearer(xrays):
    train = [index for index, split in enumerate(xrays.splits) if split == "train"][:200]
    features = macula.Encoder("grey-64").encode(xrays.images(train), standardize=True)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    similarity, labels = features @ features.T, xrays.labels[train]
    same = labels[:, None] == labels[None, :]
    np.fill_diagonal(same, False)
    assert similarity[same].mean() > similarity[labels[:, None] != labels[None, :]].mean() + 0.05


def test_models_are_listed():
    assert set(macula.models()) == {"grey-64", "colour-64", "grey-128", "colour-128"}
    assert macula.__version__.count(".") == 2
    assert os.path.exists(os.path.join(os.path.dirname(macula.__file__), "py.typed"))
