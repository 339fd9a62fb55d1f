"""The classifier and the transformer of scikit-learn."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import macula
from macula.sklearn import MaculaClassifier, MaculaEncoder


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MaculaClassifier(), MaculaClassifier(head="prototype")])
def test_scikit_learn_accepts_the_classifier(estimator, check):
    check(estimator)


def test_digits_are_classified_with_every_head():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=300, random_state=1, stratify=y)
    # Nearest means are at about 0.85 on this split, linear classifiers above 0.9.
    for head, least in (("auto", 0.9), ("gaussian", 0.88), ("logistic", 0.9), ("prototype", 0.8)):
        model = MaculaClassifier(head).fit(X_train, y_train)
        assert model.score(X_test, y_test) > least, head
        probabilities = model.predict_proba(X_test)
        assert np.allclose(probabilities.sum(axis=1), 1)
        assert model.coef_.shape == (10, 65) and model.intercept_.shape == (10,)
        again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.predict_proba(X_test), probabilities)


def test_a_feature_that_is_constant_but_for_rounding_does_not_decide():
    X, y = load_digits(return_X_y=True)
    train, test = slice(0, 300), slice(300, None)
    expected = MaculaClassifier().fit(X[train], y[train]).score(X[test], y[test])
    constant = np.where(np.arange(len(X)) < 300, 0.1, 0.2)
    X = np.column_stack([X, constant])
    assert MaculaClassifier().fit(X[train], y[train]).score(X[test], y[test]) > expected - 0.05


def test_an_open_encoder_can_be_cloned():
    encoder = macula.Encoder("grey-64")
    assert clone(MaculaEncoder(encoder)).encoder is encoder


def test_limits_are_named():
    with pytest.raises(ValueError, match="256 classes; a head has at most 255"):
        MaculaClassifier().fit(np.eye(512), np.arange(512) // 2)
    with pytest.raises(ValueError, match="4096 features; a head takes at most 4095"):
        MaculaClassifier().fit(np.zeros((2, 4096)), [0, 1])
    with pytest.raises(ValueError, match="no head 'best'"):
        MaculaClassifier("best").fit(np.eye(2), [0, 1])


def test_a_pipeline_of_images_classifies_as_a_device(phantoms):
    images, labels = phantoms
    shots = np.concatenate([np.flatnonzero(labels == label)[:5] for label in np.unique(labels)])
    rest = np.setdiff1d(np.arange(len(labels)), shots)
    model = make_pipeline(MaculaEncoder("grey-64"), MaculaClassifier(standardize=False))
    model.fit(images[shots], labels[shots])
    with macula.Device("grey-64") as device:
        for label in np.unique(labels):
            device.teach(str(label), images[shots][labels[shots] == label])
        predictions = device.predict(images[rest])
    probabilities = model.predict_proba(images[rest])
    assert [str(label) for label in model.predict(images[rest])] == [prediction.label for prediction in predictions]
    assert np.allclose(probabilities.max(axis=1), [prediction.probability for prediction in predictions], atol=1e-4)
    names = model[0].get_feature_names_out()
    assert len(names) == model[0].n_features_out_ and names[0] == "maculaencoder0"
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(images[rest]), probabilities)
    assert clone(model).get_params()["maculaclassifier__standardize"] is False


def test_real_xrays_by_cross_validation(xrays):
    chosen = np.concatenate([np.flatnonzero(xrays.labels == label)[:60] for label in (0, 1)])
    model = make_pipeline(MaculaEncoder("grey-64"), MaculaClassifier())
    images = np.stack(xrays.images(chosen.tolist()))
    scores = cross_val_score(model, images, xrays.labels[chosen], cv=3, scoring="balanced_accuracy")
    assert scores.mean() > 0.75, scores
