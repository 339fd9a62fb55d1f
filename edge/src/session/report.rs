//! Reports: status, classes, export of the state, self-test.

use sha2::{Digest, Sha256};

use super::feature::{length, write_feature};
use super::{Learning, Session, refusal};
use crate::encoder::Encoder;
use crate::feature::UNIT;
use crate::protocol::message::{Outcome, SelfTest, StatePart, Status, TestResult, Wear};
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::{self, Flash};
use crate::support_set::SupportSet;

impl Learning {
    /// Counts a sample and the wear from storing it.
    pub(super) fn add(&mut self, before: store::Wear, after: store::Wear) {
        self.samples = self.samples.saturating_add(1);
        self.bytes_programmed += after.bytes_programmed.saturating_sub(before.bytes_programmed);
        self.erases = self.erases.saturating_add(after.erases.saturating_sub(before.erases));
    }
}

impl<E: Encoder, F: Flash> Session<'_, E, F> {
    pub(super) fn status(&mut self, now_s: u64) -> Result<Reply<'static>, Refusal> {
        let (names, wear) = (self.support_set.names(), self.store.wear());
        let [bundle_slot, bundle_slot_next] = self.update.slots();
        let (bundle_received, bundle_len) = self.update.progress();
        Ok(Reply::Status(Status {
            now_s,
            classes: names.iter().filter(|name| !name.is_free()).count() as u8,
            classes_limit: names.len() as u8,
            supports: self.support_set.supports().len() as u32,
            supports_limit: self.support_set.capacity() as u32,
            revision: self.revision,
            wear: Wear {
                bytes_programmed: wear.bytes_programmed,
                erases: wear.erases,
                free_bytes: wear.free_bytes,
                learned: self.learning.samples,
                learned_bytes: self.learning.bytes_programmed,
                learned_erases: self.learning.erases,
            },
            line: self.line,
            bundle_slot,
            bundle_slot_next,
            bundle_received,
            bundle_len,
        }))
    }

    pub(super) fn class_from(&self, from: u8) -> Reply<'_> {
        match next_class(&self.support_set, from.into()) {
            None => Reply::NoMoreClasses,
            Some(slot) => {
                let (class, name) = (slot as u8, self.support_set.names()[slot].as_str());
                Reply::Class { class, name, supports: self.supports_of(class) }
            }
        }
    }

    /// One part of the state. Cursors below C are slots, cursors from C on are supports.
    pub(super) fn export(&mut self, cursor: u32) -> Result<Reply<'_>, Refusal> {
        let (slots, supports) = (self.support_set.names().len(), self.support_set.supports());
        let (at, end) = (cursor as usize, slots + supports.len());
        if at > end {
            return Err(Reason::Cursor.with(cursor.into(), end as u64));
        }
        let class = next_class(&self.support_set, at);
        let index = at.saturating_sub(slots);
        let (next, part) = match class {
            Some(slot) => {
                (slot + 1, StatePart::Class { class: slot as u8, name: self.support_set.names()[slot].as_str() })
            }
            None if index == supports.len() => (end, StatePart::End { sha256: fingerprint(&self.support_set) }),
            None => {
                let record = supports.records[index];
                let feature = write_feature(supports.feature(index), self.bytes);
                (slots + index + 1, StatePart::Support { source: record.source, provenance: record.into(), feature })
            }
        };
        Ok(Reply::State { revision: self.revision, next: next as u32, part })
    }

    pub(super) fn self_test(&mut self) -> Result<Reply<'static>, Refusal> {
        let supports = self.support_set.supports();
        let sound = supports.iter().filter(|&(class, feature)| {
            let named = self.support_set.names().get(usize::from(class)).is_some_and(|name| !name.is_free());
            named && length(feature).abs_diff(UNIT as u64) * 100 <= UNIT as u64
        });
        let supports = result(sound.count(), supports.len());
        let store = self.store.verify(&self.support_set).map_err(refusal)?;
        let store = result(store, self.support_set.supports().len());
        let (found, expected) = self.head_cache.memory(&self.support_set);
        let outcome = if found >= expected { Outcome::Passed } else { Outcome::Failed };
        let memory = TestResult { outcome, found: found as u32, expected: expected as u32 };
        let encoder = match self.encoder.self_test(self.work, self.feature) {
            Ok(None) => TestResult { outcome: Outcome::Absent, found: 0, expected: 0 },
            Ok(Some(same)) => result(same.into(), 1),
            Err(_) => result(0, 1),
        };
        Ok(Reply::SelfTest(SelfTest { store, supports, encoder, memory }))
    }
}

/// The first slot with a class, from `from` on.
fn next_class(support_set: &SupportSet<'_>, from: usize) -> Option<usize> {
    let names = support_set.names();
    (from..names.len()).find(|&slot| !names[slot].is_free())
}

/// SHA-256 of the canonical state.
fn fingerprint(support_set: &SupportSet<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    support_set.state(|piece| hash.update(piece));
    hash.finalize().into()
}

fn result(found: usize, expected: usize) -> TestResult {
    let outcome = if found == expected { Outcome::Passed } else { Outcome::Failed };
    TestResult { outcome, found: found as u32, expected: expected as u32 }
}
