//! One method per request.

use std::borrow::Cow;

use macula_edge::protocol::message::{
    BundleReport, FORGETTING_CONFIRMATION, Input, RESET_CONFIRMATION, StatePart, chunk_max,
};
use macula_edge::protocol::{Reason, Reply, Request};
use macula_edge::support_set::SourceId;
use sha2::{Digest, Sha256};

use super::replies::{
    Class, DeviceInfo, DeviceState, Feature, Learned, Neighbour, OperatingPoint, OperatingPointReport, Provenance,
    SelfTest, Status, Support, Verdict,
};
use super::{Client, LinkError};
use crate::data::{Image, Preprocessing};

/// Most readings of a state that another host keeps changing.
const EXPORT_ATTEMPTS: usize = 5;

/// Most attempts to stage an image on a device that restarts meanwhile.
const STAGE_ATTEMPTS: usize = 3;

/// Most attempts to send a bundle to a device that restarts meanwhile.
const SEND_ATTEMPTS: usize = 3;

/// The sample of a request.
#[derive(Clone, Copy, Debug)]
pub enum Sample<'a> {
    /// An image, which the device's encoder embeds.
    Image(&'a Image),
    /// A feature that the device's encoder made elsewhere.
    Feature(&'a Feature),
}

/// Options of a prediction.
#[derive(Clone, Copy, Debug)]
pub struct PredictOptions {
    /// The head: 0 the device's choice, 1 prototype, 2 Gaussian, 3 softmax regression.
    pub head: u8,
    /// Error rate of the conformal prediction set, in thousandths.
    pub error_rate_permille: u16,
    /// Operating point for this prediction; otherwise that of the device, if it has one.
    pub point: Option<OperatingPoint>,
}

impl Client<'_> {
    /// The status of the device.
    ///
    /// # Errors
    /// As any call: when the device does not reply, or refuses.
    pub fn status(&mut self) -> Result<Status, LinkError> {
        self.call("status", &Request::Status, |reply| match reply {
            Reply::Status(status) => Some(*status),
            _ => None,
        })
    }

    /// The classes, in the order of their slots.
    ///
    /// # Errors
    /// As any call.
    pub fn classes(&mut self) -> Result<Vec<Class>, LinkError> {
        let mut classes: Vec<Class> = Vec::new();
        loop {
            let from = match classes.last().map(|class| class.slot.checked_add(1)) {
                None => 0,
                Some(Some(from)) => from,
                Some(None) => return Ok(classes),
            };
            let next = self.call("classes", &Request::Classes { from }, |reply| match *reply {
                // A slot below `from` would make this loop endless.
                Reply::Class { class, name, supports } if class >= from => {
                    Some(Some(Class { slot: class, name: name.to_owned(), supports }))
                }
                Reply::NoMoreClasses => Some(None),
                _ => None,
            })?;
            match next {
                Some(class) => classes.push(class),
                None => return Ok(classes),
            }
        }
    }

    /// The slot of the class `name`, which is added if it is missing, and whether it was added.
    ///
    /// # Errors
    /// As any call; a name that is not allowed, or no free slot.
    pub fn add_class(&mut self, name: &str) -> Result<(u8, bool), LinkError> {
        self.call("add class", &Request::AddClass { name }, |reply| match *reply {
            Reply::ClassAdded { class, new } => Some((class, new)),
            _ => None,
        })
    }

    /// Renames the class in `slot`.
    ///
    /// # Errors
    /// As any call; no such class, or a name that is taken.
    pub fn rename_class(&mut self, slot: u8, name: &str) -> Result<(), LinkError> {
        self.call("rename class", &Request::RenameClass { class: slot, name }, done)
    }

    /// Removes the class in `slot` with all its supports; returns their number.
    ///
    /// # Errors
    /// As any call; no such class.
    pub fn remove_class(&mut self, slot: u8) -> Result<u32, LinkError> {
        self.call("remove class", &Request::RemoveClass { class: slot }, |reply| match *reply {
            Reply::ClassRemoved { supports } => Some(supports),
            _ => None,
        })
    }

    /// The feature of `sample`.
    ///
    /// # Errors
    /// As any call; a sample that the encoder cannot embed.
    pub fn embed(&mut self, sample: Sample<'_>) -> Result<Feature, LinkError> {
        self.with_sample(sample, |client, input| {
            client.call("embed", &Request::Embed { input }, |reply| match reply {
                Reply::Feature { feature, length } => Some(Feature { values: feature.to_vec(), length: *length }),
                _ => None,
            })
        })
    }

    /// Learns `sample` as a support of the class in `slot`.
    ///
    /// # Errors
    /// As any call; no such class, no room, or a source that belongs to another class.
    pub fn learn(&mut self, slot: u8, from: &Provenance, sample: Sample<'_>) -> Result<Learned, LinkError> {
        let &Provenance { source, operator, time_s } = from;
        self.with_sample(sample, |client, input| {
            client.call("learn", &Request::Learn { class: slot, source, operator, time_s, input }, learned)
        })
    }

    /// Forgets the support of `source`; returns its class and provenance, or `None` when there was none.
    ///
    /// # Errors
    /// As any call.
    pub fn forget(&mut self, source: SourceId) -> Result<Option<(u8, Provenance)>, LinkError> {
        self.call("forget", &Request::Forget { source }, |reply| match *reply {
            Reply::Forgotten { record } => Some(record.map(|record| (record.class, Provenance::of(source, &record)))),
            _ => None,
        })
    }

    /// Predicts the class of `sample`, and decides at an operating point. A device that is too old for operating points predicts
    /// only.
    ///
    /// # Errors
    /// As any call; no support yet; an operating point of a class that does not exist, or for a device that is too old.
    pub fn predict(&mut self, sample: Sample<'_>, options: PredictOptions) -> Result<Verdict, LinkError> {
        let PredictOptions { head, error_rate_permille, point } = options;
        self.with_sample(sample, |client, input| {
            if !client.is_without_points || point.is_some() {
                let request = Request::Decide { input, head, error_rate_permille, point };
                let decided = client.call("predict", &request, |reply| match *reply {
                    Reply::Decision { ref prediction, point, decision } => {
                        Some(Verdict { point, decision, ..Verdict::of(prediction) })
                    }
                    _ => None,
                });
                match decided {
                    Err(error) if error.reason() == Some(Reason::Malformed) && point.is_none() => {
                        client.is_without_points = true;
                    }
                    done => return done,
                }
            }
            let request = Request::Predict { input, head, error_rate_permille };
            client.call("predict", &request, |reply| match reply {
                Reply::Prediction(prediction) => Some(Verdict::of(prediction)),
                _ => None,
            })
        })
    }

    /// The operating point of the device; `None` when it has none, or is too old for one.
    ///
    /// # Errors
    /// As any call.
    pub fn operating_point(&mut self) -> Result<Option<OperatingPointReport>, LinkError> {
        match self.call("operating point", &Request::OperatingPoint, operating_point) {
            Err(error) if error.reason() == Some(Reason::Malformed) => Ok(None),
            done => done,
        }
    }

    /// Sets the operating point of the device, or removes it; returns it with its threshold.
    ///
    /// # Errors
    /// As any call; no such class, values out of range, or a device that is too old ([`Reason::Malformed`]).
    pub fn set_operating_point(
        &mut self,
        point: Option<OperatingPoint>,
    ) -> Result<Option<OperatingPointReport>, LinkError> {
        self.call("operating point", &Request::SetOperatingPoint { point }, operating_point)
    }

    /// The supports nearest to `sample`, nearest first.
    ///
    /// # Errors
    /// As any call.
    pub fn why(&mut self, sample: Sample<'_>) -> Result<Vec<Neighbour>, LinkError> {
        self.with_sample(sample, |client, input| {
            client.call("why", &Request::Why { input }, |reply| match reply {
                Reply::Why { nearest } => Some(nearest.iter().flatten().map(Neighbour::of).collect()),
                _ => None,
            })
        })
    }

    /// The state of the device.
    ///
    /// # Errors
    /// As any call; a device that another host keeps changing.
    pub fn export(&mut self) -> Result<DeviceState, LinkError> {
        for _ in 0..EXPORT_ATTEMPTS {
            if let Some(state) = self.export_once()? {
                return Ok(state);
            }
        }
        Err(LinkError::ConcurrentModification { address: self.address().to_owned(), times: EXPORT_ATTEMPTS })
    }

    /// SHA-256 of the canonical state.
    ///
    /// # Errors
    /// As any call.
    pub fn state_sha256(&mut self) -> Result<[u8; 32], LinkError> {
        let name = "export";
        // There is no such part. The refusal names the last one, which carries the hash.
        let beyond = self.call(name, &Request::ExportState { cursor: u32::MAX }, |_| None::<u32>);
        let last = match beyond {
            Err(LinkError::Refused { refusal, .. }) if refusal.reason() == Some(Reason::Cursor) => refusal.limit as u32,
            Err(error) => return Err(error),
            Ok(cursor) => cursor,
        };
        self.call(name, &Request::ExportState { cursor: last }, |reply| match *reply {
            Reply::State { part: StatePart::End { sha256 }, .. } => Some(sha256),
            _ => None,
        })
    }

    /// One reading of the state; `None` when the device changed meanwhile.
    fn export_once(&mut self) -> Result<Option<DeviceState>, LinkError> {
        let (mut state, mut cursor, mut first) = (DeviceState::default(), 0, None);
        loop {
            let part = self.call("export", &Request::ExportState { cursor }, |reply| match reply {
                Reply::State { revision, next, part } => Some((*revision, *next, state.take(part))),
                _ => None,
            });
            let (revision, next, ended) = match part {
                Ok(part) => part,
                // A support was forgotten meanwhile: the end lies before the cursor now.
                Err(error) if error.reason() == Some(Reason::Cursor) && cursor > 0 => return Ok(None),
                Err(error) => return Err(error),
            };
            if *first.get_or_insert(revision) != revision {
                return Ok(None);
            }
            if ended {
                return Ok(Some(state));
            }
            if next <= cursor {
                return Err(self.unexpected("export", format!("part {next} after part {cursor}")));
            }
            cursor = next;
        }
    }

    /// Adds a support of another device.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn merge(&mut self, class: &str, support: &Support) -> Result<Learned, LinkError> {
        let Provenance { source, operator, time_s } = support.from;
        let request = Request::MergeState { name: class, source, operator, time_s, feature: &support.feature };
        self.call("merge", &request, learned)
    }

    /// Sends a bundle, which the device checks and tries at its next start; returns its slot. The transfer continues where it
    /// stopped, also after a restart of the device.
    ///
    /// * `forgetting`: whether supports may be forgotten for another encoder; otherwise the device refuses with
    ///   [`Reason::WouldForget`] and keeps the bundle
    /// * `progress`: receives the bytes sent
    ///
    /// # Errors
    /// As any call; a bundle that the device does not accept.
    pub fn send_bundle(&mut self, bundle: &[u8], forgetting: bool, progress: &dyn Fn(usize)) -> Result<u8, LinkError> {
        for _ in 1..SEND_ATTEMPTS {
            match self.send_bundle_once(bundle, forgetting, progress) {
                Err(error) if is_lost_bundle(&error) => {}
                done => return done,
            }
        }
        self.send_bundle_once(bundle, forgetting, progress)
    }

    fn send_bundle_once(&mut self, bundle: &[u8], forgetting: bool, progress: &dyn Fn(usize)) -> Result<u8, LinkError> {
        let name = "update";
        let next = |reply: &Reply<'_>| match *reply {
            Reply::Bundle { next } => Some(next),
            _ => None,
        };
        let len = u32::try_from(bundle.len()).unwrap_or(u32::MAX);
        let sha256 = Sha256::digest(bundle).into();
        let mut offset = self.call(name, &Request::BundleBegin { len, sha256 }, next)?;
        let chunk_max = chunk_max(self.device().message_max);
        while let Some(rest) = bundle.get(offset as usize..).filter(|rest| !rest.is_empty()) {
            progress(offset as usize);
            let bytes = &rest[..rest.len().min(chunk_max)];
            let then = self.call(name, &Request::BundleChunk { offset, bytes }, next)?;
            if then <= offset {
                return Err(self.unexpected(name, format!("byte {then} after byte {offset}")));
            }
            offset = then;
        }
        progress(bundle.len());
        let commit = match forgetting {
            true => Request::BundleCommitForgetting { confirmation: FORGETTING_CONFIRMATION },
            false => Request::BundleCommit,
        };
        self.call(name, &commit, |reply| match *reply {
            Reply::BundleTaken { slot } => Some(slot),
            _ => None,
        })
    }

    /// The bundles of the device; `None` when it accepts none, or is too old for this request.
    ///
    /// # Errors
    /// As any call.
    pub fn bundles(&mut self) -> Result<Option<BundleReport>, LinkError> {
        let report = self.call("bundles", &Request::Bundles, |reply| match *reply {
            Reply::Bundles(report) => Some(report),
            _ => None,
        });
        match report {
            Ok(report) => Ok(Some(report)),
            Err(error) if matches!(error.reason(), Some(Reason::NoBundles | Reason::Malformed)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes all classes and supports of the device.
    ///
    /// # Errors
    /// As any call.
    pub fn factory_reset(&mut self) -> Result<(), LinkError> {
        self.call("factory reset", &Request::FactoryReset { confirmation: RESET_CONFIRMATION }, done)
    }

    /// Runs the self-test of the device.
    ///
    /// # Errors
    /// As any call; a failed test is not an error here.
    pub fn self_test(&mut self) -> Result<SelfTest, LinkError> {
        self.call("self-test", &Request::SelfTest, |reply| match reply {
            Reply::SelfTest(test) => Some(*test),
            _ => None,
        })
    }

    /// Stages `sample` if it is an image, then calls `call` with it.
    fn with_sample<T>(
        &mut self,
        sample: Sample<'_>,
        mut call: impl FnMut(&mut Self, Input<'_>) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let image = match sample {
            Sample::Feature(feature) => return call(self, input_of(feature)),
            Sample::Image(image) => image,
        };
        if let Some(feature) = self.embed_locally(image)? {
            return call(self, input_of(&feature));
        }
        for _ in 1..STAGE_ATTEMPTS {
            match self.stage(image).and_then(|()| call(self, Input::Image)) {
                Err(error) if is_lost_image(&error) => {}
                done => return done,
            }
        }
        self.stage(image)?;
        call(self, Input::Image)
    }

    /// Sends an image, made smaller if necessary.
    fn stage(&mut self, image: &Image) -> Result<(), LinkError> {
        let name = "image";
        let image = &*fitted(image, self.device());
        let staged = |reply: &Reply<'_>| match *reply {
            Reply::Staged { next, .. } => Some(next),
            _ => None,
        };
        let side = |pixels: usize| u16::try_from(pixels).unwrap_or(u16::MAX);
        let (width, height) = (side(image.width), side(image.height));
        let begin = Request::ImageBegin { width, height, channels: image.channels as u8 };
        let mut offset = self.call(name, &begin, staged)?;
        let chunk_max = chunk_max(self.device().message_max);
        while let Some(rest) = image.pixels.get(offset as usize..).filter(|rest| !rest.is_empty()) {
            let bytes = &rest[..rest.len().min(chunk_max)];
            let next = self.call(name, &Request::ImageChunk { offset, bytes }, staged)?;
            if next <= offset {
                return Err(self.unexpected(name, format!("byte {next} after byte {offset}")));
            }
            offset = next;
        }
        Ok(())
    }
}

fn input_of(feature: &Feature) -> Input<'_> {
    match feature.length {
        None => Input::Feature(&feature.values),
        Some(length) => Input::Measured(&feature.values, length),
    }
}

/// The image in a form that the device accepts.
///
/// Colour is dropped when the encoder does not use it, as the device would do first. An image that is still too large is
/// shrunk with the filter that the device uses.
fn fitted<'i>(image: &'i Image, device: &DeviceInfo) -> Cow<'i, Image> {
    let image = match device.channels {
        1 if image.channels > 1 => Cow::Owned(image.to_grey()),
        _ => Cow::Borrowed(image),
    };
    let (limit, bytes) = (device.image_bytes_max, image.pixels.len());
    if limit == 0 || bytes <= limit {
        return image;
    }
    let scale = (limit as f64 / bytes as f64).sqrt();
    let side = |pixels: usize| ((pixels as f64 * scale) as usize).max(1);
    Cow::Owned(Preprocessing::unit(image.channels, side(image.height), side(image.width)).to_pixels(&image))
}

/// Whether the device lost the image: it restarted, or another host sent one.
fn is_lost_image(error: &LinkError) -> bool {
    matches!(error.reason(), Some(Reason::NoSession | Reason::ImageMissing | Reason::ImageOffset))
}

/// Whether the device lost a part of the bundle: it restarted, or another host sent one.
fn is_lost_bundle(error: &LinkError) -> bool {
    matches!(error.reason(), Some(Reason::NoSession | Reason::BundleMissing | Reason::BundleOffset))
}

/// The outer `None` is a reply of another kind.
fn operating_point(reply: &Reply<'_>) -> Option<Option<OperatingPointReport>> {
    match *reply {
        Reply::OperatingPoint(report) => Some(report),
        _ => None,
    }
}

fn done(reply: &Reply<'_>) -> Option<()> {
    matches!(reply, Reply::Done).then_some(())
}

fn learned(reply: &Reply<'_>) -> Option<Learned> {
    match *reply {
        Reply::Learned { class, new, supports } => Some(Learned { slot: class, new, supports }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, Read};
    use std::time::Duration;

    use macula_edge::protocol::message::{HelloReply, Prediction, VERSION};
    use macula_edge::protocol::{Endpoint, Refusal, packet_max};

    use super::*;
    use crate::link::{Address, ClientMemory, Target, Transport};
    use crate::rng::Rng;

    const ROOM: usize = packet_max(512);

    /// A device of a version before operating points: it knows requests 0 to 21.
    struct OldDevice {
        endpoint: Endpoint<'static>,
        answered: VecDeque<u8>,
        /// Numbers of the requests that came.
        asked: Vec<u8>,
    }

    fn old_reply(message: &[u8]) -> Reply<'static> {
        let malformed = Refusal { code: Reason::Malformed as u16, found: message.len() as u64, limit: 0 };
        match message[0] {
            0 => Reply::Hello(HelloReply {
                version: VERSION,
                program: "macula-board",
                program_version: "0.0.9",
                identity: [1; 16],
                dim: 2,
                classes: 2,
                supports: 4,
                message_max: 256,
                image_bytes_max: 0,
                channels: 0,
                bundle_bytes_max: 0,
            }),
            11 => Reply::Prediction(Prediction {
                head: 0,
                class: 1,
                probability: 0.75,
                set: &[0b10],
                known: true,
                enough: true,
                shots_needed: 1,
                nearest: [None; 3],
            }),
            _ => Reply::Refused(malformed),
        }
    }

    impl Transport for OldDevice {
        fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
            for &byte in bytes {
                let (answered, asked) = (&mut self.answered, &mut self.asked);
                self.endpoint.receive(
                    byte,
                    |message, _, out| {
                        asked.push(message[0]);
                        old_reply(message).write(out).unwrap()
                    },
                    &mut |piece| answered.extend(piece),
                );
            }
            Ok(())
        }

        fn receive(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
            self.answered.read(buffer)
        }
    }

    #[test]
    fn a_device_without_operating_points_still_predicts() {
        let lent = || Box::leak(Box::new([0; ROOM]));
        let mut line =
            OldDevice { endpoint: Endpoint::new(lent(), lent()), answered: VecDeque::new(), asked: Vec::new() };
        let (address, mut memory) = (Address::Tcp { socket: "old:1".to_owned() }, ClientMemory::new());
        let asked = {
            let mut client = Client::new(&address, &mut line, &mut memory, Rng::for_purpose(1, "test")).unwrap();
            let feature = Feature { values: vec![0xff, 0x7f, 0, 0], length: None };
            let options = PredictOptions { head: 0, error_rate_permille: 100, point: None };
            for _ in 0..2 {
                let verdict = client.predict(Sample::Feature(&feature), options).unwrap();
                assert_eq!((verdict.slot, verdict.point, verdict.positive()), (1, None, None));
            }
            assert_eq!(client.operating_point().unwrap(), None);
            let point = OperatingPoint { class: 1, target: Target::Sensitivity { permille: 900 } };
            let options = PredictOptions { point: Some(point), ..options };
            let refused = client.predict(Sample::Feature(&feature), options).unwrap_err();
            assert_eq!(refused.reason(), Some(Reason::Malformed));
            assert_eq!(client.set_operating_point(Some(point)).unwrap_err().reason(), Some(Reason::Malformed));
            drop(client);
            line.asked
        };
        // Only the first prediction was asked for twice.
        assert_eq!(asked, [0, 24, 11, 11, 22, 24, 23]);
    }
}
