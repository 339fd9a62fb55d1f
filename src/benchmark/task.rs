//! The file of tasks: TOML with a `[[task]]` for each.
//!
//! ```toml
//! [[task]]
//! name = "busi-malignant"
//! data = "busi/busi-malignant.csv"  # below the folder of datasets
//! role = "report"                   # or "development"
//! domain = "medical"
//! classes = ["malignant", "rest"]   # optional: others are left out
//! ```

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::BenchmarkError;
use crate::files::{TEXT_MAX, read_text_bounded};

/// What the figures of a task are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Settings are chosen on it.
    Development,
    /// It is measured once and never chosen by.
    Report,
}

impl Role {
    /// `development` or `report`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Report => "report",
        }
    }
}

/// A labelled dataset as a few-shot task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name in tables; it replaces `{task}` in the names of encoders.
    pub name: String,
    /// Its dataset: a path, relative to the folder of datasets, or `phantoms[:SIZE[:COUNT]]`.
    pub data: String,
    /// What its figures are for.
    pub role: Role,
    /// What the images show, such as `medical` or `photographs`; means are given per domain.
    pub domain: String,
    /// The classes to tell apart; all if empty.
    #[serde(default)]
    pub classes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    task: Vec<Task>,
}

/// Reads the tasks of the file `path`. Their datasets are relative to `root`, or to the folder of the file.
///
/// # Errors
/// When the file cannot be read, is not of this form, names no task or one twice.
pub fn read_tasks(path: &Path, root: Option<&Path>) -> Result<Vec<Task>, BenchmarkError> {
    let text = read_text_bounded(path, TEXT_MAX)?;
    let name = path.display().to_string();
    let invalid = |error: toml::de::Error| BenchmarkError::Tasks { path: name.clone(), message: one_line(&error) };
    let File { task: mut tasks } = toml::from_str(&text).map_err(invalid)?;
    if tasks.is_empty() {
        return Err(BenchmarkError::TaskName { path: name, name: String::new(), found: 0 });
    }
    for task in &tasks {
        let found = tasks.iter().filter(|other| other.name == task.name).count();
        if found > 1 {
            return Err(BenchmarkError::TaskName { path: name, name: task.name.clone(), found });
        }
    }
    let folder = root.or_else(|| path.parent()).unwrap_or(Path::new(""));
    for task in tasks.iter_mut().filter(|task| !is_generated(&task.data)) {
        task.data = folder.join(&task.data).display().to_string();
    }
    Ok(tasks)
}

/// Phantoms are drawn, not read.
fn is_generated(data: &str) -> bool {
    data == "phantoms" || data.starts_with("phantoms:")
}

fn one_line(error: &toml::de::Error) -> String {
    error.to_string().lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, root: Option<&Path>) -> Result<Vec<Task>, BenchmarkError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.toml");
        std::fs::write(&path, text).unwrap();
        read_tasks(&path, root)
    }

    #[test]
    fn the_tasks_of_the_documents_have_roles_and_domains() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lessons/tasks.toml");
        let tasks = read_tasks(&path, Some(Path::new("data"))).unwrap();
        let of =
            |role| tasks.iter().filter(|task| task.role == role).map(|task| task.name.as_str()).collect::<Vec<_>>();
        assert_eq!(of(Role::Development), ["kermany-3class", "pneumoniamnist", "cifar10", "sign-digits"]);
        assert_eq!(of(Role::Report), ["busi-malignant", "drive-patches", "brain-mri"]);
        assert_eq!(tasks.iter().filter(|task| task.domain == "medical").count(), 5);
        assert!(tasks.iter().all(|task| Path::new(&task.data).starts_with("data")));
    }

    #[test]
    fn paths_are_below_the_folder_and_faults_are_refused() {
        let task = |name: &str| format!("[[task]]\nname = '{name}'\ndata = 'a/b'\nrole = 'report'\ndomain = 'x'\n");
        let found = read(&task("a"), Some(Path::new("/sets"))).unwrap();
        assert_eq!((found[0].data.as_str(), found[0].classes.len()), ("/sets/a/b", 0));
        assert!(read(&task("a"), None).unwrap()[0].data.ends_with("/a/b"));
        let generated = task("a").replace("a/b", "phantoms:16:90");
        assert_eq!(read(&generated, Some(Path::new("/sets"))).unwrap()[0].data, "phantoms:16:90");
        let refused = |text: &str| read(text, None).unwrap_err();
        assert!(matches!(refused(""), BenchmarkError::TaskName { found: 0, .. }));
        let twice = refused(&(task("a") + &task("a")));
        assert!(matches!(twice, BenchmarkError::TaskName { name, found: 2, .. } if name == "a"));
        for text in [task("a").replace("report", "final"), task("a") + "shots = 5", "task = 1".to_owned()] {
            assert!(matches!(refused(&text), BenchmarkError::Tasks { .. }), "{text}");
        }
    }
}
