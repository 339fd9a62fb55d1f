//! What a run shows and writes besides its own files: the terminal, the report, event files.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use super::progress::Progress;
use crate::pretrain::{Event, Observer};
use crate::report::run::{Reporter, When};
use crate::report::tensorboard::EventWriter;

/// Options of reports.
#[derive(clap::Args)]
pub struct OutputArgs {
    /// When to write RUN/report.html, with RUN/report.json; they contain some of the training images
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ReportWhen::Epoch)]
    report: ReportWhen,
    /// Write event files for TensorBoard into this folder
    #[arg(long, value_name = "FOLDER")]
    tensorboard: Option<PathBuf>,
}

/// [`When`] as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportWhen {
    /// After every epoch, as far as that takes at most a fiftieth of the time, and at the end
    Epoch,
    /// At the end
    End,
    /// Never
    Never,
}

/// The observer of a run.
pub struct Outputs {
    pub progress: Progress,
    reporter: Reporter,
    /// The folder of event files, until there is one.
    tensorboard: Option<PathBuf>,
    events: Option<EventWriter>,
}

impl OutputArgs {
    /// Whether the run is to report pictures.
    pub fn has_pictures(&self) -> bool {
        self.report != ReportWhen::Never
    }

    /// The observer of the run in `folder`. A rank that writes nothing has a quiet `progress` only.
    pub fn observer(&self, folder: &Path, progress: Progress, writes: bool) -> Outputs {
        let when = match self.report {
            _ if !writes => When::Never,
            ReportWhen::Epoch => When::Epoch,
            ReportWhen::End => When::End,
            ReportWhen::Never => When::Never,
        };
        let tensorboard = self.tensorboard.clone().filter(|_| writes);
        Outputs { progress, reporter: Reporter::new(folder, when), tensorboard, events: None }
    }
}

/// Seconds since 1970.
fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

impl Outputs {
    /// Completes the report.
    pub fn finish(&mut self) {
        let warning = self.reporter.finish();
        self.warn(warning);
    }

    fn warn(&mut self, warning: Option<String>) {
        if let Some(warning) = warning {
            self.progress.event(Event::Warning(&warning));
        }
    }
}

impl Outputs {
    /// Writes the event files. One that cannot be written is a warning: training does not depend on it.
    fn write_events(&mut self, event: Event<'_>) -> Result<(), String> {
        // Not before the run has its folder, which may contain that of the events.
        if let Event::Started { .. } = event
            && let Some(folder) = self.tensorboard.take()
        {
            let created = EventWriter::create(&folder, now_s());
            self.events = Some(created.map_err(|error| format!("--tensorboard {}: {error}", folder.display()))?);
        }
        if let Event::Epoch(line) = event
            && let Some(mut events) = self.events.take()
        {
            let written = events.epoch(line, now_s());
            written.map_err(|error| format!("{}: {error}; no more events are written", events.path().display()))?;
            self.events = Some(events);
        }
        Ok(())
    }
}

impl Observer for Outputs {
    fn event(&mut self, event: Event<'_>) {
        self.progress.event(event);
        let warning = self.write_events(event).err();
        self.warn(warning);
        let warning = self.reporter.event(&event);
        self.warn(warning);
    }
}
