"""Few-shot evaluation."""

import numpy as np
import pytest

import macula


def test_an_encoder_is_ahead_of_the_baselines_on_phantoms():
    dataset = macula.Dataset("phantoms:32:300")
    found = macula.evaluate("grey-64", dataset, shots=(1, 5), queries=4, episodes=20)
    assert len(found.rows) == 2 * 4 and found.classes == dataset.class_names
    assert found.train_images + found.test_images == len(dataset)
    assert [row["shots"] for row in found.rows[:2]] == [1, 5]
    assert found.rows[1]["balanced_accuracy"] > found.rows[0]["balanced_accuracy"]
    assert found.balanced_accuracy == found.rows[0]["balanced_accuracy"] > 1 / len(found.classes)
    ahead = found.rows[2]
    assert ahead["encoder"] == "raw-pixels" and ahead["ahead_interval"][0] < ahead["ahead"] < ahead["ahead_interval"][1]
    assert np.isclose(found.rows[0]["balanced_accuracy"] - ahead["balanced_accuracy"], ahead["ahead"])
    assert "raw-pixels" in str(found) and "<td>raw-pixels</td>" in found._repr_html_()
    again = macula.evaluate(
        macula.Encoder("grey-64"), dataset, shots=(1, 5), queries=4, episodes=20, baselines=["raw-pixels"]
    )
    figures = [[row["balanced_accuracy"] for row in result.rows[:4]] for result in (found, again)]
    assert figures[0] == figures[1]


def test_arrays_are_split_and_labelled_in_any_form():
    dataset = macula.Dataset("phantoms:32:180")
    options = {"shots": 2, "queries": 2, "episodes": 10, "baselines": ["raw-pixels"]}
    names = np.array(dataset.class_names)[dataset.labels]
    by_name = macula.evaluate("raw-pixels", dataset.images(), names, **options)
    by_number = macula.evaluate("raw-pixels", np.stack(dataset.images()), dataset.labels.tolist(), **options)
    assert by_name.balanced_accuracy == by_number.balanced_accuracy
    assert set(by_name.classes) == set(dataset.class_names) and by_number.classes == list("012345")
    assert by_name.test_images == 36 and any("has no splits" in remark for remark in by_name.remarks)
    assert len(by_name.rows) == 1, "an encoder is not compared with itself"


def test_wrong_arguments_are_named():
    dataset = macula.Dataset("phantoms:16:60")
    images = dataset.images()
    for arguments, message in [
        ({"shots": 1000}, "images, but an episode needs"),
        ({"shots": 0}, "shots"),
        ({"episodes": 0}, "episodes"),
        ({"head": "best"}, "heads are"),
        ({"baselines": ["pixels"]}, "no baseline 'pixels'"),
    ]:
        with pytest.raises(macula.InputError, match=message):
            macula.evaluate("grey-64", dataset, **{"queries": 2, **arguments})
    with pytest.raises(macula.InputError, match="labels"):
        macula.evaluate("grey-64", dataset, dataset.labels)
    with pytest.raises(macula.InputError, match=f"{len(images)} images, but 3 labels"):
        macula.evaluate("grey-64", images, [0, 1, 2])
    with pytest.raises(macula.InputError, match="has no label"):
        macula.evaluate("grey-64", images)


def test_real_xrays(xrays):
    chosen = np.concatenate([np.flatnonzero(xrays.labels == label)[:250] for label in (0, 1)]).tolist()
    names = np.array(xrays.class_names)[xrays.labels[chosen]]
    found = macula.evaluate("grey-64", xrays.images(chosen), names, episodes=20, baselines=["raw-pixels"])
    assert found.balanced_accuracy > 0.65, str(found)
    assert found.rows[0]["area_under_roc"] > 0.7
