//! Keeps the report of a run up to date while it trains.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::page::report;
use super::pictures::Pictures;
use super::record::RunRecord;
use crate::files::write_private;
use crate::pretrain::Event;

/// Name of the report in a run folder.
pub const REPORT: &str = "report.html";

/// When the report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Never.
    Never,
    /// After the last epoch, or when the run is stopped.
    End,
    /// After every epoch, unless that would take more than a fiftieth of the time.
    #[default]
    Epoch,
}

/// Writing takes at most this share of the time of training: one in 50.
const TIMES: u32 = 50;

/// Writes the report of a run.
///
/// A report that cannot be written is a warning. Training does not depend on it.
pub struct Reporter {
    folder: PathBuf,
    when: When,
    pictures: Pictures,
    /// How long the last report took, and when it was written.
    last: Option<(Duration, Instant)>,
    /// Whether an event came after the last report.
    is_behind: bool,
    warned: bool,
}

impl Reporter {
    /// The reporter of the run in `folder`, which continues the report of a resumed run.
    pub fn new(folder: &Path, when: When) -> Self {
        // A file that cannot be read is replaced.
        let pictures = Pictures::read(folder).unwrap_or_default();
        Self { folder: folder.to_owned(), when, pictures, last: None, is_behind: false, warned: false }
    }

    /// Takes notice of `event`, and writes the report if it is time to. Returns a warning if it cannot be written, once.
    pub fn event(&mut self, event: &Event<'_>) -> Option<String> {
        if self.when == When::Never {
            return None;
        }
        match event {
            Event::Views { images, views } => {
                self.pictures.set_views(images, views);
                self.keep_pictures()
            }
            Event::Embedded(embedded) => {
                self.pictures.set_features(embedded);
                self.keep_pictures()
            }
            Event::Epoch(_) => {
                self.is_behind = true;
                let is_due = self.last.is_none_or(|(cost, at)| at.elapsed() >= TIMES * cost);
                if self.when == When::Epoch && is_due { self.write() } else { None }
            }
            _ => None,
        }
    }

    /// Writes the report if epochs or pictures are missing in it. Returns a warning if it cannot be written, once.
    pub fn finish(&mut self) -> Option<String> {
        if self.is_behind && self.when != When::Never { self.write() } else { None }
    }

    fn keep_pictures(&mut self) -> Option<String> {
        self.is_behind = true;
        let written = self.pictures.write(&self.folder);
        self.warning(written.map_err(|error| error.to_string()))
    }

    fn write(&mut self) -> Option<String> {
        let started = Instant::now();
        let written = RunRecord::read(&self.folder).map_err(|error| error.to_string()).and_then(|run| {
            let path = self.folder.join(REPORT);
            write_private(&path, report(&run).as_bytes()).map_err(|error| error.to_string())
        });
        self.last = Some((started.elapsed(), Instant::now()));
        self.is_behind = written.is_err();
        self.warning(written)
    }

    fn warning(&mut self, written: Result<(), String>) -> Option<String> {
        let reason = written.err().filter(|_| !self.warned)?;
        self.warned = true;
        Some(format!("the report is not up to date: {reason}"))
    }
}
