"""Pretraining and its callback."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import macula

SETTINGS = {"encoder": "pico", "size": 16, "epochs": 2, "batch_size": 16, "metrics_steps": 1, "seed": 5}


def test_a_run_reports_and_its_encoder_opens(tmp_path, capsys):
    images = np.stack(macula.Dataset("phantoms:16:20").images())
    events, progress = [], macula.Progress()

    def watch(event):
        events.append(event)
        progress(event)

    found = macula.pretrain(images, tmp_path / "run", method="rotation", callback=watch, **SETTINGS)
    kinds = [event["event"] for event in events]
    assert kinds.count("epoch") == 2 and kinds.count("step") == found.step and kinds.count("start") == 1
    assert found.finished and found.last["epoch"] == 2 and len(progress.epochs) == 2
    assert "epoch 2" in capsys.readouterr().out
    encoder = found.encoder()
    assert encoder.input_shape == (16, 16, 1)
    assert encoder.encode(images).shape == (len(images), encoder.feature_dim)
    again = macula.pretrain(images, tmp_path / "again", method="rotation", **SETTINGS)
    assert again.encoder().id == encoder.id, "the same seed gives the same encoder"
    other = macula.pretrain(images, tmp_path / "other", method="rotation", **{**SETTINGS, "seed": 6})
    assert other.encoder().id != encoder.id


def test_a_stopped_run_resumes_to_the_same_encoder(tmp_path):
    data = "phantoms:16:20"
    whole = macula.pretrain(data, tmp_path / "whole", method="rotation", **SETTINGS)
    stopped = macula.pretrain(
        data, tmp_path / "run", method="rotation", callback=lambda event: event["event"] != "epoch", **SETTINGS
    )
    assert not stopped.finished and 0 < stopped.step < whole.step
    resumed = macula.pretrain(data, tmp_path / "run", resume=True)
    assert resumed.finished and resumed.encoder().id == whole.encoder().id
    with pytest.raises(macula.InputError, match="its own settings"):
        macula.pretrain(data, tmp_path / "run", resume=True, epochs=5)


def test_an_exception_of_the_callback_ends_the_run(tmp_path):
    def fail(event):
        raise LookupError(event["event"])

    with pytest.raises(LookupError, match="start"):
        macula.pretrain("phantoms:16:20", tmp_path / "run", method="rotation", callback=fail, **SETTINGS)


def test_wrong_settings_are_named(tmp_path):
    for settings, message in [
        ({"epochz": 2}, "epochz"),
        ({"epochs": "many"}, "epochs"),
        ({"method": "best"}, "method"),
        ({"policy": "wild"}, "no policy 'wild'"),
        ({"method": "distill"}, "teachers"),
    ]:
        with pytest.raises(macula.InputError, match=message):
            macula.pretrain("phantoms:16:20", tmp_path / "run", **settings)
    with pytest.raises(macula.MaculaError, match="label"):
        macula.pretrain(
            np.zeros((40, 16, 16), np.uint8), tmp_path / "run", method="supervised", **SETTINGS
        )


def test_ctrl_c_writes_a_checkpoint(tmp_path):
    script = (
        "import macula, sys\n"
        "def started(event):\n"
        "    if event['event'] == 'step': print(event['step'], flush=True)\n"
        f"macula.pretrain('phantoms:16:20', {str(tmp_path / 'run')!r}, method='rotation', callback=started,\n"
        "    encoder='pico', size=16, epochs=100000, batch_size=16, metrics_steps=1)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "1\n"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors, errors
    assert macula.Encoder(tmp_path / "run").input_shape == (16, 16, 1)
