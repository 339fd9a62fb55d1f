//! Changes that can be taken back, the last first, until the server ends.

use std::collections::VecDeque;
use std::path::PathBuf;

use macula_edge::support_set::SourceId;

use super::error::ApiError;
use super::queue::Facts;
use super::types::{Action, UndoStep};
use crate::device::KeptImages;
use crate::link::Support;

/// Most changes that are kept.
const STEPS_MAX: usize = 50;

/// Most samples that all kept changes may hold.
const SAMPLES_MAX: usize = 8192;

/// A sample that was taken from the device, with the name of its class. Its picture is in [`Undo::images`].
#[derive(Clone, Debug)]
pub struct Taken {
    /// Name of its class.
    pub class: String,
    /// Feature and provenance.
    pub support: Support,
}

/// A change, with what is needed to take it back. Classes are named, because a slot may change hands.
#[derive(Clone, Debug)]
pub enum Change {
    /// A sample was learned, perhaps from the queue.
    Learned { source: SourceId, class: String, queued: Option<Facts> },
    /// Samples were forgotten, with their class or without.
    Forgotten { class: String, samples: Vec<Taken>, with_class: bool },
    /// A sample was moved to another class.
    Moved { source: SourceId, from: String, to: String },
    /// A class was added.
    ClassAdded { class: String },
    /// A class was renamed.
    ClassRenamed { before: String, after: String },
    /// Samples and classes of another device were added.
    Imported { sources: Vec<SourceId>, classes: Vec<String> },
}

impl Change {
    /// The change as the API shows it.
    pub fn step(&self) -> UndoStep {
        let step = |action, class: &str, samples| UndoStep { action, class: class.to_owned(), samples };
        match self {
            Self::Learned { class, .. } => step(Action::Learn, class, 1),
            Self::Forgotten { class, samples, with_class: false } => step(Action::Forget, class, samples.len()),
            Self::Forgotten { class, samples, with_class: true } => step(Action::RemoveClass, class, samples.len()),
            Self::Moved { to, .. } => step(Action::Move, to, 1),
            Self::ClassAdded { class } => step(Action::AddClass, class, 0),
            Self::ClassRenamed { after, .. } => step(Action::RenameClass, after, 0),
            Self::Imported { sources, .. } => step(Action::Import, "", sources.len()),
        }
    }

    fn taken(&self) -> &[Taken] {
        match self {
            Self::Forgotten { samples, .. } => samples,
            _ => &[],
        }
    }
}

/// The changes since the server started.
#[derive(Debug)]
pub struct Undo {
    changes: VecDeque<Change>,
    images: KeptImages,
}

impl Undo {
    /// No change; `folder` is for the pictures of forgotten samples, and is emptied.
    ///
    /// * `moving`: the sample that was being moved when the server ended, whose picture is still needed
    ///
    /// # Errors
    /// If the folder cannot be made or emptied.
    pub fn new(folder: PathBuf, moving: Option<SourceId>) -> Result<Self, ApiError> {
        let images = KeptImages::in_folder(folder)?;
        images.retain(|source| moving == Some(*source))?;
        Ok(Self { changes: VecDeque::new(), images })
    }

    /// The pictures of forgotten samples.
    pub fn images(&self) -> &KeptImages {
        &self.images
    }

    /// The last change.
    pub fn last(&self) -> Option<&Change> {
        self.changes.back()
    }

    /// Adds a change. The oldest ones are dropped where there are too many.
    ///
    /// # Errors
    /// If the pictures of dropped changes cannot be removed.
    pub fn push(&mut self, change: Change) -> Result<(), ApiError> {
        self.changes.push_back(change);
        let samples = |changes: &VecDeque<Change>| changes.iter().map(|change| change.taken().len()).sum::<usize>();
        let mut dropped = false;
        while self.changes.len() > STEPS_MAX || (self.changes.len() > 1 && samples(&self.changes) > SAMPLES_MAX) {
            self.changes.pop_front();
            dropped = true;
        }
        if dropped { self.sweep() } else { Ok(()) }
    }

    /// Removes the last change, which was taken back.
    ///
    /// # Errors
    /// If its pictures cannot be removed.
    pub fn pop(&mut self) -> Result<(), ApiError> {
        self.changes.pop_back();
        self.sweep()
    }

    /// Removes the pictures that no change needs.
    fn sweep(&self) -> Result<(), ApiError> {
        let needed: std::collections::BTreeSet<SourceId> =
            self.changes.iter().flat_map(Change::taken).map(|taken| taken.support.from.source).collect();
        Ok(self.images.retain(|source| needed.contains(source))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Image;
    use crate::link::Provenance;

    fn forgotten(source: u8) -> Change {
        let from = Provenance { source: [source; 16], operator: 1, time_s: 2 };
        let support = Support { slot: 0, from, feature: Vec::new() };
        Change::Forgotten {
            class: "a".to_owned(),
            samples: vec![Taken { class: "a".to_owned(), support }],
            with_class: false,
        }
    }

    #[test]
    fn pictures_stay_as_long_as_a_change_needs_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut undo = Undo::new(folder.path().join("undo"), None).unwrap();
        let image = Image { width: 1, height: 1, channels: 1, pixels: vec![3] };
        for source in 0..=STEPS_MAX as u8 {
            undo.images().put_image(&[source; 16], &image).unwrap();
            undo.push(forgotten(source)).unwrap();
        }
        assert!(!undo.images().has(&[0; 16]), "the oldest change was dropped");
        assert_eq!(undo.images().sources().unwrap().len(), STEPS_MAX);
        undo.pop().unwrap();
        assert_eq!(undo.images().sources().unwrap().len(), STEPS_MAX - 1);
        assert_eq!(undo.last().unwrap().step().action, Action::Forget);
        let undo = Undo::new(folder.path().join("undo"), Some([2; 16])).unwrap();
        assert_eq!((undo.last().is_none(), undo.images().sources().unwrap()), (true, vec![[2; 16]]));
        let undo = Undo::new(folder.path().join("undo"), None).unwrap();
        assert!(undo.images().sources().unwrap().is_empty());
    }
}
