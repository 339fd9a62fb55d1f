//! Heads: classifiers on quantised features, solved from the supports that a device keeps.

mod error;
pub(crate) mod block; //         products of blocks of rows
mod exponential; //              exponentials of several numbers at once
mod cholesky; //                 symmetric matrices as triangles, in f32
mod tridiagonal; //              symmetric matrices in tridiagonal form
mod decision; //                 scores to class and probability
pub(crate) mod span; //          supports as coordinates in the space they span
mod logistic; //                 softmax regression
pub(crate) mod leave_one_out; // distances and log loss of left-out supports
pub(crate) mod shrunken; //      discriminant analysis, shrinkage chosen by leave-one-out
pub(crate) mod fitted; //        every kind of head as weights and biases

pub use decision::Decision;
pub use error::HeadError;
pub use fitted::{Head, HeadKind};
