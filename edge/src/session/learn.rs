//! Classes and supports: learned, renamed, removed, merged.

use super::feature::read_feature;
use super::{Session, refusal};
use crate::encoder::Encoder;
use crate::protocol::message::{FORGETTING_CONFIRMATION, Input, RESET_CONFIRMATION};
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::Flash;
use crate::support_set::{ClassName, SourceId, SupportRecord};

impl<E: Encoder, F: Flash> Session<'_, E, F> {
    pub(super) fn add_class(&mut self, name: &str) -> Result<Reply<'static>, Refusal> {
        let name = ClassName::new(name)?;
        let (class, new) = self.class_of(&name)?;
        Ok(Reply::ClassAdded { class, new })
    }

    /// The slot of the class of this name, and whether it was added.
    fn class_of(&mut self, name: &ClassName) -> Result<(u8, bool), Refusal> {
        if let Some(class) = self.support_set.class_named(name.as_str()) {
            return Ok((class, false));
        }
        let class = self.support_set.free_slot()?;
        self.put_class(class, name)?;
        Ok((class, true))
    }

    fn put_class(&mut self, class: u8, name: &ClassName) -> Result<(), Refusal> {
        self.support_set.check_class(class, name)?;
        self.store.put_class(class, name).map_err(refusal)?;
        self.support_set.put_class(class, *name)?;
        self.count_change();
        Ok(())
    }

    pub(super) fn rename_class(&mut self, class: u8, name: &str) -> Result<Reply<'static>, Refusal> {
        let name = ClassName::new(name)?;
        self.check_class(class)?;
        // A repeated request must not wear the flash.
        if self.support_set.class_named(name.as_str()) != Some(class) {
            self.put_class(class, &name)?;
        }
        Ok(Reply::Done)
    }

    pub(super) fn remove_class(&mut self, class: u8) -> Result<Reply<'static>, Refusal> {
        self.check_class(class)?;
        let supports = self.supports_of(class);
        self.store.remove_class(class, &self.support_set).map_err(refusal)?;
        self.support_set.remove_class(class)?;
        self.operating_point = self.operating_point.filter(|point| point.class != class);
        self.count_change();
        Ok(Reply::ClassRemoved { supports })
    }

    pub(super) fn learn(
        &mut self,
        class: u8,
        source: SourceId,
        operator: u32,
        time_s: u64,
        input: Input<'_>,
    ) -> Result<Reply<'static>, Refusal> {
        self.load_feature(input)?;
        self.store_support(SupportRecord { source, class, operator, time_s })
    }

    /// Stores `self.feature` as a support.
    fn store_support(&mut self, record: SupportRecord) -> Result<Reply<'static>, Refusal> {
        let new = self.support_set.check_learn(&record, self.feature)?;
        if new {
            let before = self.store.wear();
            let stored = self.store.learn(&record, self.feature).map_err(refusal);
            self.learning.add(before, self.store.wear());
            stored?;
            self.support_set.learn(record, self.feature)?;
            self.count_change();
        }
        Ok(Reply::Learned { class: record.class, new, supports: self.supports_of(record.class) })
    }

    pub(super) fn merge(
        &mut self,
        name: &str,
        source: SourceId,
        operator: u32,
        time_s: u64,
        feature: &[u8],
    ) -> Result<Reply<'static>, Refusal> {
        read_feature(feature, self.feature)?;
        let name = ClassName::new(name)?;
        // A support that cannot be stored must not leave a new class behind.
        if let Some(index) = self.support_set.find(&source) {
            let known = self.support_set.supports().records[index].class;
            if self.support_set.class_named(name.as_str()) != Some(known) {
                return Err(Reason::SourceTaken.with(known.into(), 0));
            }
        } else if self.support_set.supports().len() == self.support_set.capacity() {
            return Err(Reason::SupportsFull.with(0, self.support_set.capacity() as u64));
        }
        let (class, _) = self.class_of(&name)?;
        self.store_support(SupportRecord { source, class, operator, time_s })
    }

    pub(super) fn forget(&mut self, source: &SourceId) -> Result<Reply<'static>, Refusal> {
        if self.support_set.find(source).is_none() {
            return Ok(Reply::Forgotten { record: None });
        }
        self.store.forget(source).map_err(refusal)?;
        let record = self.support_set.forget(source)?;
        self.count_change();
        Ok(Reply::Forgotten { record: Some(record.into()) })
    }

    pub(super) fn factory_reset(&mut self, confirmation: &str) -> Result<Reply<'static>, Refusal> {
        if confirmation != RESET_CONFIRMATION {
            return Err(Reason::NotConfirmed.with(0, 0));
        }
        // Settings of no class stay: the boot state, the anti-rollback counter and the trusted keys are in force at every moment.
        self.store.forget_all().map_err(refusal)?;
        self.support_set.clear();
        self.operating_point = None;
        self.count_change();
        Ok(Reply::Done)
    }

    pub(super) fn commit_forgetting(&mut self, confirmation: &str) -> Result<Reply<'static>, Refusal> {
        if confirmation != FORGETTING_CONFIRMATION {
            return Err(Reason::NotConfirmed.with(0, 0));
        }
        self.update.commit(&mut self.store, &self.support_set, true)
    }

    pub(super) fn check_class(&self, class: u8) -> Result<(), Refusal> {
        let names = self.support_set.names();
        match names.get(usize::from(class)) {
            Some(name) if !name.is_free() => Ok(()),
            _ => Err(Reason::NoSuchClass.with(class.into(), names.len() as u64)),
        }
    }

    pub(super) fn supports_of(&self, class: u8) -> u32 {
        self.support_set.supports().records.iter().filter(|record| record.class == class).count() as u32
    }

    pub(super) fn count_change(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }
}
