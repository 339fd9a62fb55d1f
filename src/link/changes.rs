//! Changes to a device that can be undone.

use macula_edge::support_set::SourceId;

use super::{Client, Learned, LinkError};

/// The new samples and classes of one task, to remove them again if the task fails.
#[derive(Debug, Default)]
pub struct Changes {
    /// Sources of new samples.
    pub learned: Vec<SourceId>,
    /// Slots and names of new classes.
    pub added: Vec<(u8, String)>,
}

impl Changes {
    /// The slot of the class `name`, which is added if it is new.
    ///
    /// # Errors
    /// As [`Client::add_class`].
    pub fn class(&mut self, client: &mut Client<'_>, name: &str) -> Result<u8, LinkError> {
        let (slot, added) = client.add_class(name)?;
        if added {
            self.added.push((slot, name.to_owned()));
        }
        Ok(slot)
    }

    /// Records the answer to a sample.
    pub fn note(&mut self, source: SourceId, answer: &Learned) {
        if answer.new {
            self.learned.push(source);
        }
    }

    /// Removes the new samples and classes, the last first. After an error, `self` holds the changes that the device still
    /// has.
    ///
    /// # Errors
    /// As any call.
    pub fn undo(&mut self, client: &mut Client<'_>) -> Result<(), LinkError> {
        while let Some(source) = self.learned.last() {
            client.forget(*source)?;
            self.learned.pop();
        }
        while let Some((slot, _)) = self.added.last() {
            client.remove_class(*slot)?;
            self.added.pop();
        }
        Ok(())
    }
}
