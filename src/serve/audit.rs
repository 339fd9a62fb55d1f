//! The audit log: who changed what, and when. JSON lines, each written through to the medium.
//!
//! A change has two lines: one before it is made, whose result is [`BEGUN`], and one with its result before the reply. A power
//! cut between them leaves the first alone, and [`Audit::last`] reports the change as [`INTERRUPTED`]: it may have been made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::{ApiError, ErrorKind};
use super::types::AuditEntry;
use crate::files::{TEXT_MAX, check_regular, path_beside, read_text_bounded};

/// Most bytes of the file before it is renamed to `audit.jsonl.1`, which replaces an older one: 35,000 changes.
const FILE_LEN_MAX: u64 = 16 << 20;

/// Result of a line that was written before its change.
const BEGUN: &str = "begun";

/// Result of a change that a power cut interrupted.
const INTERRUPTED: &str = "interrupted";

/// Sources listed in an entry; more are left out.
pub const SOURCES_MAX: usize = 16;

/// The audit log.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    /// Entries whose writing failed. No further change is made before they are written.
    unwritten: Vec<AuditEntry>,
}

impl Audit {
    /// The log in the file `path`, which is made with the first entry.
    pub fn new(path: PathBuf) -> Self {
        Self { path, unwritten: Vec::new() }
    }

    /// Writes that the change of `entry` begins.
    ///
    /// # Errors
    /// If this or an earlier entry cannot be written: the change may not be made then.
    pub fn begin(&mut self, entry: &AuditEntry) -> Result<(), ApiError> {
        self.catch_up()?;
        let entry = AuditEntry { result: BEGUN.to_owned(), ..entry.clone() };
        self.write(&entry).map_err(|error| self.fault(error))
    }

    /// Appends an entry. If this fails, it is tried again before the next change.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, entry: AuditEntry) -> Result<(), ApiError> {
        self.unwritten.push(entry);
        self.catch_up()
    }

    /// The last `limit` changes, newest first. Lines that are no entries are left out.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn last(&self, limit: usize) -> Result<Vec<AuditEntry>, ApiError> {
        let mut changes = Changes::default();
        changes.extend(self.unwritten.iter().rev().cloned(), limit);
        for path in [self.path.clone(), self.older()] {
            if changes.entries.len() >= limit {
                break;
            }
            let text = match read_text_bounded(&path, TEXT_MAX) {
                Ok(text) => text,
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(ApiError::new(ErrorKind::DeviceFault, error.to_string())),
            };
            changes.extend(text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()), limit);
        }
        Ok(changes.entries)
    }

    /// Writes entries that could not be written before.
    fn catch_up(&mut self) -> Result<(), ApiError> {
        while let Some(entry) = self.unwritten.first() {
            self.write(entry).map_err(|error| self.fault(error))?;
            self.unwritten.remove(0);
        }
        Ok(())
    }

    fn fault(&self, error: io::Error) -> ApiError {
        ApiError::new(
            ErrorKind::DeviceFault,
            format!("the audit log {} cannot be written: {error}", self.path.display()),
        )
    }

    fn older(&self) -> PathBuf {
        path_beside(&self.path, ".1")
    }

    fn write(&self, entry: &AuditEntry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() + line.len() as u64 > FILE_LEN_MAX) {
            std::fs::rename(&self.path, self.older())?;
        }
        let mut file = open(&self.path)?;
        // A line that was cut by a full disk must not swallow the next one.
        if file.metadata()?.len() > 0 && !ends_with_line_feed(&self.path)? {
            file.write_all(b"\n")?;
        }
        file.write_all(&line)?;
        file.sync_data()
    }
}

/// Collects changes from lines, newest first.
#[derive(Default)]
struct Changes {
    entries: Vec<AuditEntry>,
    /// The line read last, if it has a result.
    newer: Option<AuditEntry>,
}

impl Changes {
    /// Reads no more lines than `limit` changes need.
    fn extend(&mut self, mut lines: impl Iterator<Item = AuditEntry>, limit: usize) {
        while self.entries.len() < limit
            && let Some(entry) = lines.next()
        {
            if entry.result != BEGUN {
                self.newer = Some(entry.clone());
                self.entries.push(entry);
            } else if !self.newer.take().is_some_and(|newer| is_same_change(&entry, &newer)) {
                self.entries.push(AuditEntry { result: INTERRUPTED.to_owned(), ..entry });
            }
        }
    }
}

/// Changes are made one after the other, so the result of a change follows its beginning.
fn is_same_change(begun: &AuditEntry, done: &AuditEntry) -> bool {
    AuditEntry { time_s: done.time_s, result: done.result.clone(), ..begun.clone() } == *done
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(crate::files::PRIVATE_FILE);
    }
    let file = options.open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn ends_with_line_feed(path: &Path) -> io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    let (mut file, mut last) = (File::open(path)?, [0]);
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time_s: u64) -> AuditEntry {
        AuditEntry {
            time_s,
            client: "127.0.0.1".to_owned(),
            operator: Some(7),
            action: "learn".to_owned(),
            class: Some("normal".to_owned()),
            samples: vec!["00".repeat(16)],
            result: "done".to_owned(),
        }
    }

    #[test]
    fn entries_are_read_newest_first_and_a_torn_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut audit = Audit::new(path.clone());
        assert_eq!(audit.last(10).unwrap(), []);
        audit.append(entry(1)).unwrap();
        std::fs::write(&path, [&std::fs::read(&path).unwrap()[..], b"{\"time_s\":2,\"cli"].concat()).unwrap();
        audit.append(entry(3)).unwrap();
        assert_eq!(audit.last(10).unwrap(), [entry(3), entry(1)]);
        assert_eq!(audit.last(1).unwrap(), [entry(3)]);
    }

    #[test]
    fn a_change_without_a_result_was_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::new(folder.path().join("audit.jsonl"));
        audit.begin(&entry(1)).unwrap();
        // The same request again after a restart.
        audit.begin(&entry(2)).unwrap();
        audit.append(entry(3)).unwrap();
        let interrupted = AuditEntry { result: INTERRUPTED.to_owned(), ..entry(1) };
        assert_eq!(audit.last(10).unwrap(), [entry(3), interrupted.clone()]);
        let other = AuditEntry { action: "forget".to_owned(), ..entry(4) };
        audit.begin(&entry(4)).unwrap();
        audit.begin(&other).unwrap();
        audit.append(other.clone()).unwrap();
        assert_eq!(audit.last(2).unwrap(), [other, AuditEntry { time_s: 4, ..interrupted }]);
    }

    #[test]
    fn an_entry_that_could_not_be_written_is_written_before_the_next_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::create_dir(&path).unwrap();
        let mut audit = Audit::new(path.clone());
        assert_eq!(audit.append(entry(1)).unwrap_err().kind, ErrorKind::DeviceFault);
        assert!(audit.begin(&entry(2)).is_err(), "changes must stop");
        assert!(audit.last(10).is_err());
        std::fs::remove_dir(&path).unwrap();
        audit.begin(&entry(2)).unwrap();
        audit.append(entry(2)).unwrap();
        assert_eq!(audit.last(10).unwrap(), [entry(2), entry(1)]);
    }

    #[test]
    fn a_full_file_is_renamed_and_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut audit = Audit::new(path.clone());
        audit.append(entry(1)).unwrap();
        let padding = vec![b' '; FILE_LEN_MAX as usize];
        std::fs::write(&path, [&std::fs::read(&path).unwrap()[..], &padding, b"\n"].concat()).unwrap();
        audit.append(entry(2)).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 1000);
        assert_eq!(audit.last(10).unwrap(), [entry(2), entry(1)]);
    }
}
