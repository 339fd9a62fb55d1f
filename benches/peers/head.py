"""Logistic regression of scikit-learn: the counterpart of `macula bench head`. head.py PEER DIM CLASSES SHOTS"""
import os
import sys

import measured

for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[variable] = "1"


def main():
    import numpy as np
    import sklearn
    from sklearn.linear_model import LogisticRegression
    dim, classes, shots = map(int, sys.argv[2:])
    generator = np.random.default_rng(1)
    labels = np.arange(classes * shots) % classes
    features = generator.normal(size=(classes * shots, dim))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    model = LogisticRegression(C=0.1, max_iter=1000)
    fit = measured.repeat(lambda: model.fit(features, labels), 1)
    predict = measured.repeat(lambda: model.predict_proba(features[:1]), 0.3)
    measured.report(peer=f"scikit-learn {sklearn.__version__}, logistic regression",
                    heads=[{"fit_us": measured.percentiles(fit, 1e6), "predict_us": measured.percentiles(predict, 1e6)}])


measured.or_missing(main)
