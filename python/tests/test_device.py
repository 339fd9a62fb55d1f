"""Devices in this process, on a socket and on a serial line."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import macula


def by_class(images: np.ndarray, labels: np.ndarray, label: int) -> np.ndarray:
    return images[labels == label]


@pytest.fixture(scope="module")
def encoder() -> macula.Encoder:
    return macula.Encoder("grey-64")


@pytest.fixture(params=["memory", "file"])
def device(request, encoder, tmp_path):
    store = tmp_path / "ward.store" if request.param == "file" else None
    with macula.Device(encoder, store) as device:
        yield device


def teach(device: macula.Device, images: np.ndarray, labels: np.ndarray, shots: int = 5) -> None:
    for label in np.unique(labels):
        assert device.teach(f"class {label}", by_class(images, labels, label)[:shots]) == shots


def test_a_taught_device_predicts_explains_and_forgets(device, phantoms):
    images, labels = phantoms
    with pytest.raises(macula.RefusedError, match="predict"):
        device.predict(images[:1])
    teach(device, images, labels)
    assert device.classes == {f"class {label}": 5 for label in np.unique(labels)}
    queries = np.concatenate([by_class(images, labels, label)[5:15] for label in np.unique(labels)])
    truth = [f"class {label}" for label in np.unique(labels) for _ in range(10)]
    predictions = device.predict(queries)
    right = sum(prediction.label == true for prediction, true in zip(predictions, truth))
    assert right > 0.7 * len(truth), f"{right} of {len(truth)}"
    assert all(0 <= prediction.probability <= 1 for prediction in predictions)
    assert all(prediction.nearest and prediction.label in device.classes for prediction in predictions)
    taught = by_class(images, labels, 0)[:1]
    nearest = device.why(taught)[0][0]
    assert nearest.label == "class 0" and nearest.similarity > 0.999 and len(nearest.source) == 32
    before = device.state_sha256()
    assert device.teach("class 0", taught) == 0, "the same image is one sample"
    assert device.forget(taught) == 1 and device.forget(taught) == 0
    assert device.why(taught)[0][0].source != nearest.source
    assert device.state_sha256() != before
    device.rename_class("class 0", "healthy")
    assert device.forget_class("healthy") == 4
    assert "healthy" not in device.classes
    with pytest.raises(macula.InputError, match="healthy"):
        device.forget_class("healthy")


def test_a_refused_lesson_changes_nothing(device, phantoms):
    images, labels = phantoms
    teach(device, images, labels, 2)
    before, classes = device.state_sha256(), device.classes
    others = by_class(images, labels, 0)[2:5]
    with pytest.raises(macula.RefusedError, match="image 3 is a sample of another class.*nothing was changed"):
        device.teach("new", [*others, by_class(images, labels, 1)[0]])
    assert (device.state_sha256(), device.classes) == (before, classes)
    with pytest.raises(macula.InputError, match="float64"):
        device.teach("new", others.astype(float))
    for bad in ({"head": "best"}, {"error_rate": 0.0}, {"error_rate": 0.6}):
        with pytest.raises(macula.InputError):
            device.predict(others, **bad)


def test_a_store_is_kept_locked_and_opened_without_its_encoder(encoder, phantoms, tmp_path):
    images, labels = phantoms
    path = tmp_path / "ward.store"
    with macula.Device(encoder, path) as device:
        teach(device, images, labels)
        state, predicted = device.state_sha256(), device.predict(images[:20])
        with pytest.raises(macula.DeviceError, match="in use"):
            macula.Device(encoder, path)
    with pytest.raises(macula.DeviceError, match="closed"):
        device.predict(images)
    with macula.Device(store=path) as device:
        assert device.state_sha256() == state and device.predict(images[:20]) == predicted
    with pytest.raises(macula.DeviceError, match="colour-64|encoder") as refused:
        macula.Device("colour-64", path)
    assert isinstance(refused.value, OSError)
    with pytest.raises(macula.DeviceError, match="does not exist"):
        macula.Device(store=tmp_path / "other.store")
    with pytest.raises(macula.InputError):
        macula.Device()
    path.write_bytes(b"notes")
    with pytest.raises(macula.DeviceError, match="not a store"):
        macula.Device(encoder, path)


def test_a_full_device_refuses(encoder, phantoms):
    images, _ = phantoms
    with macula.Device(encoder, capacity=3) as device:
        with pytest.raises(macula.DeviceError, match="nothing was changed"):
            device.teach("many", images[:4])
        assert device.teach("many", images[:3]) == 3
        assert device.info["samples_max"] == 3


def test_ctrl_c_undoes_a_lesson(tmp_path):
    path = tmp_path / "ward.store"
    script = (
        "import numpy as np, macula\n"
        f"device = macula.Device('grey-64', {str(path)!r})\n"
        "images = np.random.default_rng(0).integers(0, 256, (4000, 64, 64), dtype=np.uint8)\n"
        "device.teach('base', images[:1])\n"
        "print('ready', flush=True)\n"
        "device.teach('more', images[1:])\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors, errors
    with macula.Device(store=path) as device:
        assert device.classes == {"base": 1}


def test_a_bundle_makes_a_device(phantoms, tmp_path):
    models = Path(__file__).parents[2] / "models"
    if not models.exists():
        pytest.skip("the package was tested outside its repository")
    bundle, trust = models / "grey-64" / "grey-64.macula", [models / "release.pub"]
    images, labels = phantoms
    path = tmp_path / "ward.store"
    with macula.Device(bundle, path, trust=trust) as device:
        teach(device, images, labels)
        state = device.state_sha256()
    with macula.Device(store=path) as device:
        assert device.state_sha256() == state
        predicted = [found.label for found in device.predict(images[:20])]
    with macula.Device(bundle, trust=trust) as device:
        teach(device, images, labels)
        assert [found.label for found in device.predict(images[:20])] == predicted


def program() -> Path:
    """The command-line program, which serves devices."""
    path = os.environ.get("MACULA_PROGRAM")
    if not path:
        pytest.skip("MACULA_PROGRAM is not set")
    return Path(path)


@contextmanager
def served(listen: str, store: Path):
    """Serves a device until the end of the block."""
    command = [program(), "device", "--listen", listen, "--encoder", "grey-64", "--store", store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        while not lines or not lines[-1].startswith("listening"):
            lines.append(process.stdout.readline())
            assert lines[-1], f"the program ended: {lines}"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def learns_the_same(remote: macula.Device, local: macula.Device, phantoms) -> None:
    images, labels = phantoms
    for device in (remote, local):
        teach(device, images, labels, 3)
    assert remote.classes == local.classes
    # The two are of different builds, whose features may differ in the last bit.
    for one, other in zip(remote.predict(images[:8]), local.predict(images[:8])):
        assert (one.label, one.known, one.prediction_set) == (other.label, other.known, other.prediction_set)
        assert abs(one.probability - other.probability) < 1e-3
        assert [near.source for near in one.nearest] == [near.source for near in other.nearest]


def test_a_device_behind_a_socket_learns_the_same(encoder, phantoms, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with served(f"tcp:127.0.0.1:{port}", tmp_path / "remote.store"):
        with macula.connect(f"tcp://127.0.0.1:{port}") as remote, macula.Device(encoder) as local:
            assert remote.address == f"tcp:127.0.0.1:{port}"
            learns_the_same(remote, local, phantoms)
        with pytest.raises(macula.InputError, match="built-in"):
            macula.connect(f"tcp:127.0.0.1:{port}", encoder=encoder)


@contextmanager
def cable():
    """Two ends of a serial line."""
    masters, ends = zip(*(os.openpty() for _ in range(2)))
    closed = threading.Event()

    def copy():
        while not closed.is_set():
            for master in select.select(masters, [], [], 0.1)[0]:
                os.write(masters[1 - masters.index(master)], os.read(master, 4096))

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        yield [os.ttyname(end) for end in ends]
    finally:
        closed.set()
        thread.join()
        for end in (*masters, *ends):
            os.close(end)


def test_a_device_on_a_serial_line_learns_the_same(encoder, phantoms, tmp_path):
    with cable() as (near, far), served(f"serial:{far}", tmp_path / "remote.store"):
        with macula.connect(near) as remote, macula.Device(encoder) as local:
            assert remote.address == f"serial:{near}:115200"
            learns_the_same(remote, local, phantoms)


def test_wrong_addresses_and_silent_devices_are_refused(tmp_path):
    for address in ("", "tcp:host", "tcp://host", "serial:", "ward.store", "http://host:80"):
        with pytest.raises(macula.InputError):
            macula.connect(address)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(macula.DeviceError, match="cannot reach"):
            macula.connect(f"tcp:127.0.0.1:{port}")
    with pytest.raises(macula.DeviceError, match="cannot reach"):
        macula.connect(f"serial:{tmp_path / 'ttyUSB0'}")


def test_devices_are_used_by_several_threads(encoder, phantoms):
    images, labels = phantoms
    with macula.Device(encoder) as device:
        teach(device, images, labels)
        expected, found = device.predict(images[:8]), []
        threads = [threading.Thread(target=lambda: found.append(device.predict(images[:8]))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [expected] * 4


def test_real_xrays_are_told_apart(xrays, encoder):
    train = np.array([index for index, split in enumerate(xrays.splits) if split == "train"])
    test = np.array([index for index, split in enumerate(xrays.splits) if split == "test"])
    with macula.Device(encoder) as device:
        for label, name in enumerate(xrays.class_names):
            device.teach(name, xrays.images(train[xrays.labels[train] == label][:20]))
        recalls = []
        for label, name in enumerate(xrays.class_names):
            predictions = device.predict(xrays.images(test[xrays.labels[test] == label][:100]))
            recalls.append(np.mean([prediction.label == name for prediction in predictions]))
    assert np.mean(recalls) > 0.7, recalls
