//! Files that belong to another one, and their removal.

use std::io;
use std::path::{Path, PathBuf};

/// `path` with `ending` after its whole name: `ward.store` and `.images` give `ward.store.images`.
pub fn path_beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Removes a file; one that does not exist is no error.
///
/// # Errors
/// If it exists and cannot be removed.
pub fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_follows_the_whole_name() {
        assert_eq!(path_beside(Path::new("clinic/ward.store"), ".images"), Path::new("clinic/ward.store.images"));
    }

    #[test]
    fn only_what_cannot_be_removed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "").unwrap();
        remove_if_present(&path).unwrap();
        assert!(!path.exists());
        remove_if_present(&path).unwrap();
        assert!(remove_if_present(folder.path()).is_err());
    }
}
