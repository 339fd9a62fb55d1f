//! Adds the state of another device.

use std::collections::BTreeMap;

use macula_edge::support_set::SourceId;

use super::super::error::{ApiError, ErrorKind};
use super::super::types::Imported;
use super::super::undo::{Change, Taken};
use super::{Author, Controller};
use crate::data::Image;
use crate::link::DeviceState;
use crate::report::text::hexadecimal;

/// Finds the picture of a sample.
pub type ImageOf<'f> = dyn FnMut(&SourceId) -> Result<Option<Image>, ApiError> + 'f;

impl Controller<'_, '_> {
    /// Adds classes and samples of another device, all or none.
    ///
    /// * `image_of`: the picture of a sample, if there is one
    /// * `progress`: receives the number of finished samples
    ///
    /// # Errors
    /// If a sample is one of another class here, or they do not fit; nothing is changed then.
    pub fn import(
        &mut self,
        author: &Author,
        state: &DeviceState,
        image_of: &mut ImageOf<'_>,
        progress: &dyn Fn(usize),
    ) -> Result<Imported, ApiError> {
        self.audited(author, "import", None, &[], |own| {
            let (known, new) = own.compare(state)?;
            let (mut sources, mut classes) = (Vec::new(), Vec::new());
            let added = own.import_now(state, &new, (&mut sources, &mut classes), image_of, progress);
            let imported = Imported { learned: sources.len(), known, classes_added: classes.len() };
            let change = Change::Imported { sources, classes };
            if let Err(error) = added {
                own.take_back(&change)?;
                own.sweep_pictures()?;
                return Err(error);
            }
            if imported.learned + imported.classes_added > 0 {
                own.files.undo.push(change)?;
            }
            Ok(imported)
        })
    }

    fn import_now(
        &mut self,
        state: &DeviceState,
        new: &[usize],
        (sources, classes): (&mut Vec<SourceId>, &mut Vec<String>),
        image_of: &mut ImageOf<'_>,
        progress: &dyn Fn(usize),
    ) -> Result<(), ApiError> {
        for (_, name) in &state.classes {
            if self.client.add_class(name)?.1 {
                classes.push(name.clone());
            }
        }
        for (done, &index) in new.iter().enumerate() {
            let support = &state.supports[index];
            let class = state.name(support.slot).unwrap_or_default().to_owned();
            let image = image_of(&support.from.source)?;
            sources.push(support.from.source);
            self.add(&Taken { class, support: support.clone() }, image.as_ref())?;
            progress(done + 1);
        }
        Ok(())
    }

    /// The number of samples of `state` that the device has, and the indices of those that it does not have.
    fn compare(&mut self, state: &DeviceState) -> Result<(usize, Vec<usize>), ApiError> {
        let own = self.client.export()?;
        let classes: BTreeMap<SourceId, Option<&str>> =
            own.supports.iter().map(|support| (support.from.source, own.name(support.slot))).collect();
        let mut new = Vec::new();
        for (index, support) in state.supports.iter().enumerate() {
            match classes.get(&support.from.source) {
                None => new.push(index),
                Some(class) if *class == state.name(support.slot) => {}
                Some(class) => {
                    let (source, class) = (hexadecimal(&support.from.source), class.unwrap_or("?"));
                    let message = format!("sample {source} is one of class '{class}' here; nothing was changed");
                    return Err(ApiError::new(ErrorKind::Exists, message));
                }
            }
        }
        let status = self.client.status()?;
        let left = status.supports_limit.saturating_sub(status.supports) as usize;
        if new.len() > left {
            let message = format!("{} new samples, but {left} places are free; nothing was changed", new.len());
            return Err(ApiError::new(ErrorKind::Refused, message).with(new.len() as u64, left as u64));
        }
        Ok((state.supports.len() - new.len(), new))
    }
}
