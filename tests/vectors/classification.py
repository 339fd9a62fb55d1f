"""Writes classification.json: scikit-learn's figures of small classifications, for tests/metrics.rs.

Run with scikit-learn 1.9 and NumPy 2: python3 tests/vectors/classification.py
"""
import json
import pathlib

import numpy
import sklearn
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, multilabel_confusion_matrix, roc_auc_score

rng = numpy.random.default_rng(21)
cases = []
# Probabilities with one digit have many ties.
for classes, images, digits in [(2, 40, 6), (2, 60, 1), (3, 50, 6), (5, 120, 1), (5, 200, 6)]:
    truth = rng.integers(classes, size=images)
    truth[:classes] = numpy.arange(classes)
    logits = rng.normal(size=(images, classes)) + 1.2 * numpy.eye(classes)[truth]
    scores = numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True)
    scores = scores.round(digits)
    predicted = scores.argmax(axis=1)
    one_versus_rest = multilabel_confusion_matrix(truth, predicted, labels=range(classes))
    cases.append({
        "classes": classes,
        "truth": truth.tolist(),
        "scores": scores.ravel().tolist(),
        "confusion": confusion_matrix(truth, predicted, labels=range(classes)).tolist(),
        "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)),
        "sensitivity": [float(m[1, 1] / m[1].sum()) for m in one_versus_rest],
        "specificity": [float(m[0, 0] / m[0].sum()) for m in one_versus_rest],
        "area_under_roc": [float(roc_auc_score(truth == c, scores[:, c])) for c in range(classes)],
    })
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}) + "\n")
