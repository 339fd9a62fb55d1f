//! Errors of a table over several tasks.

use crate::data::DataError;
use crate::encoders::OpenError;
use crate::evaluate::EvaluateError;
use crate::files::ReadError;

/// A table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    /// The file of tasks cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file of tasks is not valid TOML of this form.
    #[error("{path}: {message}")]
    Tasks {
        /// The file.
        path: String,
        /// Line, column and reason.
        message: String,
    },
    /// The file names no task, or one task twice.
    #[error("{path}: {found} tasks are named '{name}'; exactly 1 is needed")]
    TaskName {
        /// The file.
        path: String,
        /// The name, empty if there is no task.
        name: String,
        /// How many have it.
        found: usize,
    },
    /// Two encoders have the same label.
    #[error("two encoders are called '{label}'; name one by --encoder OTHER={label}")]
    Label {
        /// The label.
        label: String,
    },
    /// A split of a task has no image that can be read.
    #[error("task {task}: no readable image in the {split} split of {data}")]
    EmptySplit {
        /// The task.
        task: String,
        /// `train` or `test`.
        split: &'static str,
        /// The dataset.
        data: String,
    },
    /// A class that the task names is not in its dataset.
    #[error("task {task}: no class '{class}' in {data}; its classes are {known}")]
    UnknownClass {
        /// The task.
        task: String,
        /// The class.
        class: String,
        /// The dataset.
        data: String,
        /// Names of the classes.
        known: String,
    },
    /// An encoder was trained with the labels of test images.
    #[error("task {task}: {encoder} was trained with labels on {images} of the test images")]
    TrainedOnTest {
        /// The task.
        task: String,
        /// The encoder.
        encoder: String,
        /// Number of images.
        images: usize,
    },
    /// The figures of a task could not be measured.
    #[error("task {task}: {source}")]
    Task {
        /// The task.
        task: String,
        /// The reason.
        source: EvaluateError,
    },
    /// The images of a task cannot be opened.
    #[error("task {task}: {source}")]
    Data {
        /// The task.
        task: String,
        /// The reason.
        source: Box<DataError>,
    },
    /// An encoder cannot be opened.
    #[error("task {task}: {source}")]
    Open {
        /// The task.
        task: String,
        /// The reason.
        source: Box<OpenError>,
    },
}
