//! Changes of classes.

use macula_edge::support_set::SourceId;

use super::super::error::ApiError;
use super::super::types::{ClassAdded, ClassRemoved};
use super::super::undo::Change;
use super::{Author, Controller};

impl Controller<'_, '_> {
    /// Adds a class.
    ///
    /// # Errors
    /// If the name is not allowed, or no slot is free.
    pub fn add_class(&mut self, author: &Author, name: &str) -> Result<ClassAdded, ApiError> {
        self.audited(author, "add-class", Some(name), &[], |own| {
            let (slot, new) = own.client.add_class(name)?;
            if new {
                own.files.undo.push(Change::ClassAdded { class: name.to_owned() })?;
            }
            Ok(ClassAdded { slot, new })
        })
    }

    /// Renames the class in `slot`.
    ///
    /// # Errors
    /// If there is none, or the name is not allowed or taken.
    pub fn rename_class(&mut self, author: &Author, slot: u8, name: &str) -> Result<(), ApiError> {
        let before = self.class_name(slot)?;
        self.audited(author, "rename-class", Some(name), &[], |own| {
            own.client.rename_class(slot, name)?;
            if before != name {
                own.files.undo.push(Change::ClassRenamed { before: before.clone(), after: name.to_owned() })?;
            }
            Ok(())
        })
    }

    /// Removes the class in `slot` with its samples.
    ///
    /// # Errors
    /// If there is none.
    pub fn remove_class(&mut self, author: &Author, slot: u8) -> Result<ClassRemoved, ApiError> {
        let class = self.class_name(slot)?;
        let state = self.client.export()?;
        let samples = self.take(&state, &class, |support| support.slot == slot)?;
        let sources: Vec<SourceId> = samples.iter().map(|taken| taken.support.from.source).collect();
        self.audited(author, "remove-class", Some(&class), &sources, |own| {
            let removed = own.client.remove_class(slot)?;
            own.files.undo.push(Change::Forgotten { class: class.clone(), samples, with_class: true })?;
            own.sweep_pictures()?;
            Ok(ClassRemoved { samples: removed })
        })
    }
}
