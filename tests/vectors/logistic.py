"""Writes logistic.json: scikit-learn's logistic regression on small clouds, for tests/eval.rs.

Run with scikit-learn 1.9 and NumPy 2: python3 tests/vectors/logistic.py
"""
import json
import pathlib

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression

rng = numpy.random.default_rng(20)
cases = []
for classes, examples, dim, c in [(2, 30, 5, 0.1), (2, 60, 8, 1.0), (3, 45, 6, 0.1), (5, 80, 10, 1.0)]:
    labels = numpy.arange(examples) % classes
    centres = rng.normal(size=(classes, dim))
    features = (centres[labels] + rng.normal(size=(examples, dim))).astype(numpy.float32)
    fitted = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(features.astype(numpy.float64), labels)
    queries = rng.normal(size=(20, dim)).astype(numpy.float32)
    cases.append({
        "classes": classes,
        "dim": dim,
        "c": c,
        "features": [round(float(x), 7) for x in features.ravel()],
        "labels": labels.tolist(),
        "queries": [round(float(x), 7) for x in queries.ravel()],
        "probabilities": [round(float(x), 9) for x in fitted.predict_proba(queries.astype(numpy.float64)).ravel()],
    })
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}) + "\n")
