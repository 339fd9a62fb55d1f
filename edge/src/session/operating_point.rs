//! The operating point of the device: stored, and its threshold chosen again whenever the support set changes.

use super::predict::head_refusal;
use super::{Session, refusal};
use crate::decide::OperatingPoint;
use crate::encoder::Encoder;
use crate::protocol::message::OperatingPointReport;
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::{Flash, OPERATING_POINT_KEY, SETTING_MAX};

impl<E: Encoder, F: Flash> Session<'_, E, F> {
    pub(super) fn report_point(&mut self) -> Result<Reply<'static>, Refusal> {
        let report = match self.operating_point {
            None => None,
            Some(point) => {
                let threshold = self.head_cache.threshold(point, &self.support_set, self.revision);
                Some(OperatingPointReport { point, threshold: threshold.map_err(head_refusal)? })
            }
        };
        Ok(Reply::OperatingPoint(report))
    }

    pub(super) fn set_point(&mut self, point: Option<OperatingPoint>) -> Result<Reply<'static>, Refusal> {
        if let Some(point) = point {
            self.check_point(point)?;
        }
        // One that only a later program reads is stored and not in force; it can be removed all the same.
        let stored = self.store.get_setting(OPERATING_POINT_KEY, &mut [0; SETTING_MAX]).map_err(refusal)?;
        let is_unread = self.operating_point.is_none() && stored > 0;
        // A repeated request must not wear the flash.
        if point != self.operating_point || is_unread {
            let bytes = point.map(OperatingPoint::to_bytes);
            let value = bytes.as_ref().map_or(&[][..], |bytes| bytes);
            self.store.put_setting(OPERATING_POINT_KEY, value).map_err(refusal)?;
            self.operating_point = point;
            self.count_change();
        }
        self.report_point()
    }

    /// Refuses an operating point out of range, or of a class that does not exist.
    pub(super) fn check_point(&self, point: OperatingPoint) -> Result<OperatingPoint, Refusal> {
        self.check_class(point.class)?;
        let out_of_range = |(found, limit): (u16, u16)| Reason::OperatingPoint.with(found.into(), limit.into());
        point.target.check().map_err(out_of_range)?;
        Ok(point)
    }
}
