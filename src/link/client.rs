//! The host's half of a conversation: sessions, time-outs, repetition.

use std::time::{Duration, Instant};

use macula_edge::protocol::message::VERSION;
use macula_edge::protocol::{self, Reason, Refusal, Reply, Request, packet_max};

use super::replies::{DeviceInfo, Feature};
use super::transport::remaining;
use super::{Address, LinkError, Transport};
use crate::data::Image;
use crate::data::decode::EncoderRange;
use crate::rng::Rng;

/// Bytes of the longest message we take: that of the largest feature there is, and enough for a good part of an image.
const MESSAGE_MAX: usize = 65_536;

/// How long the first reply may take. A reply that is late is asked for again, which does no harm.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// Sending a request; each time we wait twice as long as before: 31 s in all, for a slow encoder or a large head.
const ATTEMPTS: usize = 6;

/// As [`ATTEMPTS`] for a hello, which is quick work: 7 s in all tell that nobody is there.
const HELLO_ATTEMPTS: usize = 4;

/// Bytes read from the line at once.
const READ_LEN: usize = 4096;

/// Memory of one client.
pub struct ClientMemory {
    received: Vec<u8>,
    packet: Vec<u8>,
}

impl ClientMemory {
    /// Enough for every device.
    pub fn new() -> Self {
        let room = packet_max(MESSAGE_MAX);
        Self { received: vec![0; room], packet: vec![0; room] }
    }
}

impl Default for ClientMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks a device, and asks again until it replies.
pub struct Client<'m> {
    address: String,
    line: &'m mut dyn Transport,
    protocol: protocol::Client<'m>,
    sessions: Rng,
    device: DeviceInfo,
    reply: Vec<u8>,
    /// Makes features here, for a device that cannot.
    embed: Option<&'m Embed<'m>>,
    /// What the device's encoder expects of images, which their reader must know.
    range: EncoderRange,
}

/// The feature of an image, or why there is none.
pub type Embed<'e> = dyn Fn(&Image) -> Result<Feature, String> + 'e;

impl<'m> Client<'m> {
    /// The range of raw values that the device's encoder was made for.
    pub fn range(&self) -> EncoderRange {
        self.range
    }

    /// Says what is known of the encoder, which the protocol does not tell: a device takes 8-bit pixels.
    pub fn set_range(&mut self, range: EncoderRange) {
        self.range = range;
    }

    /// Says hello over `line`.
    ///
    /// * `address`: where the line leads, for errors
    /// * `sessions`: session numbers are drawn from it; two hosts of one device must not draw the same
    ///
    /// # Errors
    /// When nobody replies, or the device speaks another version of the protocol.
    pub fn new(
        address: &Address,
        line: &'m mut dyn Transport,
        memory: &'m mut ClientMemory,
        mut sessions: Rng,
    ) -> Result<Self, LinkError> {
        let protocol = protocol::Client::new(session(&mut sessions), &mut memory.received, &mut memory.packet);
        let (address, device, reply) = (address.to_string(), DeviceInfo::default(), Vec::new());
        let mut client =
            Self { address, line, protocol, sessions, device, reply, embed: None, range: EncoderRange::Unknown };
        client.device = client.hello()?;
        Ok(client)
    }

    /// Who the device is and what its limits are, as it said when the session began.
    pub fn device(&self) -> &DeviceInfo {
        &self.device
    }

    /// Has `embed` make the features of a device that has no encoder.
    pub fn set_local_encoder(&mut self, embed: &'m Embed<'m>) {
        self.embed = Some(embed);
    }

    /// The feature of `image`, made here; none where the device makes it itself.
    pub(super) fn embed_locally(&self, image: &Image) -> Result<Option<Feature>, LinkError> {
        match self.embed {
            Some(embed) if self.device.channels == 0 => embed(image)
                .map(Some)
                .map_err(|message| LinkError::Unsendable { address: self.address.clone(), asked: "an image", message }),
            _ => Ok(None),
        }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends `request` until it is answered, and has `read` take what is wanted from the reply.
    ///
    /// * `asked`: what was asked for, as errors say it: the device refused *asked*
    pub(super) fn call<T>(
        &mut self,
        asked: &'static str,
        request: &Request<'_>,
        mut read: impl FnMut(&Reply<'_>) -> Option<T>,
    ) -> Result<T, LinkError> {
        self.exchange(asked, request, ATTEMPTS)?;
        if matches!(Reply::parse(&self.reply), Ok(Reply::Refused(refusal)) if is_over(refusal)) {
            // The device was started again, or has talked to somebody else since.
            self.protocol.begin(session(&mut self.sessions));
            self.device = self.hello()?;
            self.exchange(asked, request, ATTEMPTS)?;
        }
        self.read(asked, &mut read)
    }

    /// An answer to something else than was asked.
    pub(super) fn unexpected(&self, asked: &'static str, answered: String) -> LinkError {
        LinkError::Unexpected { address: self.address.clone(), asked, answered }
    }

    fn hello(&mut self) -> Result<DeviceInfo, LinkError> {
        let asked = "a greeting";
        self.exchange(asked, &Request::Hello { version: VERSION }, HELLO_ATTEMPTS)?;
        let mut device = self.read(asked, &mut |reply: &Reply<'_>| match reply {
            Reply::Hello(hello) => Some(DeviceInfo::of(hello)),
            _ => None,
        })?;
        // A message must fit both ends.
        device.message_max = device.message_max.min(MESSAGE_MAX);
        Ok(device)
    }

    fn read<T>(&self, asked: &'static str, read: &mut impl FnMut(&Reply<'_>) -> Option<T>) -> Result<T, LinkError> {
        let reply = match Reply::parse(&self.reply) {
            Ok(reply) => reply,
            Err(_) => return Err(self.unexpected(asked, format!("{} bytes that are no message", self.reply.len()))),
        };
        if let Reply::Refused(refusal) = reply {
            return Err(LinkError::Refused { address: self.address.clone(), asked, refusal });
        }
        read(&reply).ok_or_else(|| self.unexpected(asked, kind(&reply)))
    }

    /// Leaves the message of the reply in `self.reply`.
    fn exchange(&mut self, asked: &'static str, request: &Request<'_>, attempts: usize) -> Result<(), LinkError> {
        let (mut frame, mut timeout, mut waited) = (Vec::new(), REPLY_TIMEOUT, Duration::ZERO);
        let mut keep = |piece: &[u8]| frame.extend_from_slice(piece);
        self.protocol.request(request, &mut keep).map_err(|refusal| LinkError::Unsendable {
            address: self.address.clone(),
            asked,
            message: refusal.to_string(),
        })?;
        for _ in 0..attempts {
            let start = Instant::now();
            self.line.send(&frame).map_err(|source| self.broken(source))?;
            if self.await_reply(timeout)? {
                return Ok(());
            }
            waited += start.elapsed();
            timeout *= 2;
        }
        Err(LinkError::Silent { address: self.address.clone(), asked, attempts, waited })
    }

    /// Whether the reply came within `timeout`.
    fn await_reply(&mut self, timeout: Duration) -> Result<bool, LinkError> {
        let (start, mut bytes) = (Instant::now(), [0; READ_LEN]);
        while let Some(left) = remaining(timeout, start) {
            let arrived = self.line.receive(&mut bytes, left).map_err(|source| self.broken(source))?;
            if arrived == 0 {
                return Ok(false);
            }
            for &byte in &bytes[..arrived] {
                if let Some(message) = self.protocol.receive(byte) {
                    self.reply.clear();
                    self.reply.extend_from_slice(message);
                    // What follows in `bytes` can only be a second copy.
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn broken(&self, source: std::io::Error) -> LinkError {
        LinkError::Broken { address: self.address.clone(), source }
    }
}

fn is_over(refusal: Refusal) -> bool {
    refusal.reason() == Some(Reason::NoSession)
}

fn session(sessions: &mut Rng) -> u32 {
    sessions.bits() as u32
}

/// The name of a reply's variant.
fn kind(reply: &Reply<'_>) -> String {
    let debug = format!("{reply:?}");
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
