//! Takes changes back.

use macula_edge::support_set::SourceId;

use super::super::error::{ApiError, ErrorKind};
use super::super::queue::Facts;
use super::super::types::{Action, Undone};
use super::super::undo::Change;
use super::{Author, Controller};

impl Controller<'_, '_> {
    /// Takes the last change back. After an error the change can be taken back again.
    ///
    /// * `expected`: the revision of the device that the client knows, if it states one
    ///
    /// # Errors
    /// If there is none, the device has another revision, or it refuses.
    pub fn undo(&mut self, author: &Author, expected: Option<u32>) -> Result<Undone, ApiError> {
        if let Some(expected) = expected {
            let revision = self.client.status()?.revision;
            if revision != expected {
                let message = format!("the device has revision {revision}, not {expected}: something else was changed");
                return Err(ApiError::new(ErrorKind::Refused, message));
            }
        }
        let Some(change) = self.files.undo.last().cloned() else {
            return Err(ApiError::new(ErrorKind::NotFound, "there is nothing to undo"));
        };
        let undone = change.step();
        let sources = sources_of(&change);
        let class = Some(undone.class.as_str()).filter(|class| !class.is_empty());
        self.audited(author, undo_name(undone.action), class, &sources, |own| {
            own.take_back(&change)?;
            own.files.undo.pop()?;
            own.sweep_pictures()
        })?;
        Ok(Undone { undone, undo: self.files.undo.last().map(Change::step) })
    }

    pub(super) fn take_back(&mut self, change: &Change) -> Result<(), ApiError> {
        match change {
            Change::Learned { source, queued, .. } => self.unlearn(*source, queued.as_ref()),
            Change::Forgotten { class, samples, .. } => {
                self.client.add_class(class)?;
                samples.iter().try_for_each(|taken| self.put_back(taken).map(drop))
            }
            Change::Moved { source, from, .. } => {
                let state = self.client.export()?;
                self.client.add_class(from)?;
                self.move_now(&state, *source, from).map(drop)
            }
            Change::ClassAdded { class } => self.remove_empty(class),
            Change::ClassRenamed { before, after } => {
                let slot = self.slot_of(after)?;
                Ok(self.client.rename_class(slot, before)?)
            }
            Change::Imported { sources, classes } => {
                sources.iter().try_for_each(|source| self.client.forget(*source).map(drop))?;
                classes.iter().try_for_each(|class| self.remove_empty(class))
            }
        }
    }

    fn unlearn(&mut self, source: SourceId, queued: Option<&Facts>) -> Result<(), ApiError> {
        if let (Some(facts), Some(images)) = (queued, self.pictures.folder())
            && let Some(image) = images.get(&source)?
        {
            self.files.queue.add(source, &image, facts.clone())?;
        }
        self.client.forget(source)?;
        Ok(())
    }

    /// Removes a class that was added, unless it has samples by now.
    fn remove_empty(&mut self, class: &str) -> Result<(), ApiError> {
        match self.client.classes()?.iter().find(|known| known.name == class) {
            Some(found) if found.supports > 0 => {
                let message = format!("class '{class}' has samples by now; remove it if they are to be forgotten");
                Err(ApiError::new(ErrorKind::Refused, message))
            }
            Some(found) => Ok(self.client.remove_class(found.slot).map(drop)?),
            None => Ok(()),
        }
    }
}

fn sources_of(change: &Change) -> Vec<SourceId> {
    match change {
        Change::Learned { source, .. } | Change::Moved { source, .. } => vec![*source],
        Change::Forgotten { samples, .. } => samples.iter().map(|taken| taken.support.from.source).collect(),
        Change::Imported { sources, .. } => sources.clone(),
        Change::ClassAdded { .. } | Change::ClassRenamed { .. } => Vec::new(),
    }
}

const fn undo_name(action: Action) -> &'static str {
    match action {
        Action::Learn => "undo-learn",
        Action::Forget => "undo-forget",
        Action::Move => "undo-move",
        Action::AddClass => "undo-add-class",
        Action::RenameClass => "undo-rename-class",
        Action::RemoveClass => "undo-remove-class",
        Action::Import => "undo-import",
    }
}
