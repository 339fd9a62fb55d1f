//! The head of a device, fitted to features.

use macula_edge::feature::{FeatureError, quantise};
use macula_edge::head::{Head as DeviceHead, HeadKind};
use macula_edge::support_set::{CLASSES_MAX, SupportRecord, Supports};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::error::{Failure, detached};

/// Rows between two looks for Ctrl-C.
const BLOCK: usize = 4096;

/// The head called `name`.
pub fn kind(name: &str) -> Result<HeadKind, Failure> {
    let kinds = [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic];
    let found = kinds.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| Failure::input(format!("no head '{name}'; use auto, prototype, gaussian or logistic")))
}

/// A head of a device: a linear map of quantised features to scores of C classes, then a softmax.
#[pyclass(module = "macula._macula", frozen)]
pub struct Head {
    dim: usize,
    classes: usize,
    /// `[C, D]`, then `[C]`.
    weights: Vec<f64>,
}

impl Head {
    fn solved(&self) -> Result<DeviceHead<'_>, Failure> {
        Ok(DeviceHead::from_weights(self.dim, self.classes, &self.weights)?)
    }
}

#[pymethods]
impl Head {
    /// A head that was fitted before, from its weights [C, D] and biases [C].
    #[new]
    fn new(weights: PyReadonlyArray2<'_, f64>, biases: PyReadonlyArray1<'_, f64>) -> PyResult<Self> {
        let [classes, dim] = weights.shape() else { return Err(Failure::input("weights are [C, D]").into()) };
        let (dim, classes) = (*dim, *classes);
        let weights = weights.as_array().iter().chain(biases.as_array().iter()).copied().collect();
        let head = Self { dim, classes, weights };
        head.solved()?;
        Ok(head)
    }

    /// Fit a head as a device does.
    ///
    /// Parameters
    /// ----------
    /// features : ndarray of float32, [N, D]
    ///     Standardised features, 1 to 4096 dimensions.
    /// labels : ndarray of int64, [N]
    ///     0 to C - 1.
    /// classes : int
    ///     C, 1 to 255.
    /// kind : {'auto', 'prototype', 'gaussian', 'logistic'}
    #[staticmethod]
    #[pyo3(signature = (features, labels, classes, kind = "auto"))]
    fn fit(
        py: Python<'_>,
        features: PyReadonlyArray2<'_, f32>,
        labels: PyReadonlyArray1<'_, i64>,
        classes: usize,
        kind: &str,
    ) -> PyResult<Self> {
        let kind = self::kind(kind)?;
        let (rows, dim) = rows_of(&features);
        let labels: Vec<i64> = labels.as_array().iter().copied().collect();
        if labels.len() * dim != rows.len() {
            let message = format!("{} labels for {} features", labels.len(), features.shape()[0]);
            return Err(Failure::input(message).into());
        }
        if classes > CLASSES_MAX {
            return Err(Failure::input(format!("{classes} classes; a head has at most {CLASSES_MAX}")).into());
        }
        detached(py, || {
            let features = quantised(&rows, dim)?;
            let record = |(place, &label): (usize, &i64)| match u8::try_from(label) {
                Ok(class) => Ok(SupportRecord { source: (place as u128).to_be_bytes(), class, ..SupportRecord::EMPTY }),
                Err(_) => Err(Failure::input(format!("label {label} of sample {place}; 0 to {classes} are allowed"))),
            };
            let records: Vec<SupportRecord> = labels.iter().enumerate().map(record).collect::<Result<_, _>>()?;
            let supports = Supports { dim, records: &records, features: &features };
            let mut scratch = vec![0.0; DeviceHead::scratch_len(dim, classes, records.len())];
            let head = DeviceHead::fit(kind, supports, classes, &mut scratch)?;
            let weights = head.weights().iter().chain(head.biases()).copied().collect();
            Ok(Self { dim, classes, weights })
        })
    }

    /// Probabilities of the classes.
    ///
    /// Parameters
    /// ----------
    /// features : ndarray of float32, [N, D]
    ///     Standardised as those of `fit`.
    ///
    /// Returns
    /// -------
    /// ndarray of float64, [N, C]
    fn predict_proba<'py>(
        &self,
        py: Python<'py>,
        features: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let (rows, dim) = rows_of(&features);
        let mut probabilities = vec![0.0; features.shape()[0] * self.classes];
        let blocks = rows.chunks((BLOCK * dim).max(1)).zip(probabilities.chunks_mut(BLOCK * self.classes));
        for (rows, out) in blocks {
            detached(py, || {
                let (features, head) = (quantised(rows, dim)?, self.solved()?);
                for (feature, out) in features.chunks(dim).zip(out.chunks_mut(self.classes)) {
                    head.predict(feature, out)?;
                }
                Ok(())
            })?;
            py.check_signals()?;
        }
        probabilities.into_pyarray(py).reshape([features.shape()[0], self.classes])
    }

    /// Weights for quantised features: ndarray of float64, [C, D].
    #[getter]
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        self.weights[..self.classes * self.dim].to_vec().into_pyarray(py).reshape([self.classes, self.dim])
    }

    /// Biases: ndarray of float64, [C]; minus infinity for a class without samples.
    #[getter]
    fn biases<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.weights[self.classes * self.dim..].to_vec().into_pyarray(py)
    }

    /// For pickle.
    #[expect(clippy::type_complexity, reason = "weights and biases, as `__new__` takes them")]
    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>)> {
        Ok((self.weights(py)?, self.biases(py)))
    }
}

/// A copy of `[N, D]` in C order, and D.
fn rows_of(features: &PyReadonlyArray2<'_, f32>) -> (Vec<f32>, usize) {
    (features.as_array().iter().copied().collect(), features.shape()[1])
}

/// The features `[N, D]` as a device keeps them.
fn quantised(rows: &[f32], dim: usize) -> Result<Vec<i16>, Failure> {
    let mut features = vec![0; rows.len()];
    for (number, (row, out)) in rows.chunks(dim.max(1)).zip(features.chunks_mut(dim.max(1))).enumerate() {
        match quantise(row, None, out) {
            // A feature without a direction stays 0: no class is nearer.
            Ok(_) | Err(FeatureError::ZeroLength) => {}
            Err(error) => return Err(Failure::input(format!("sample {number}: {error}"))),
        }
    }
    Ok(features)
}
