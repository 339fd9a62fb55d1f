//! Shared by the integration tests.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// The folder of real images (`MACULA_DATA`), or `None` after saying that `test` is skipped.
///
/// `./check` names a file in `MACULA_SKIPPED` and lists in its summary what was written there: a skipped test counts as
/// passed, and its own output is not shown.
#[expect(clippy::print_stdout)]
pub fn data_or_skip(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("MACULA_DATA").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        assert!(folder.is_dir(), "MACULA_DATA names {}, which is not a folder", folder.display());
        return Some(folder);
    }
    let line = format!("skipped: {test} (MACULA_DATA is not set)\n");
    print!("{line}");
    if let Some(list) = std::env::var_os("MACULA_SKIPPED") {
        // One short write in append mode: tests of several threads and processes do not mix their lines.
        let mut list = OpenOptions::new().append(true).create(true).open(list).expect("MACULA_SKIPPED names a file");
        list.write_all(line.as_bytes()).expect("the list can be written");
    }
    None
}
